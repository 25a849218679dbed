"""What the service is, how it is, and what it can do."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import version
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from api.deps import BaseUrl, Svc, UserId
from api.metrics import collect
from api.problems import RESPONSES, Problem
from api.resources import iso
from api.routes.page import page, wants_page
from api.service import Service
from api.states import STATUSES
from api.statistics import count_by_status
from dubline.engines import registry
from dubline.engines.inventory import EngineRow, engine_rows
from dubline.errors import DublineError
from dubline.languages import name

router = APIRouter()
_ENGINES_S = 2.0
_CHECK_S = 5.0


class Links(BaseModel):
    name: str
    version: str
    environment: str
    docs: str
    openapi: str
    health: str
    jobs: str
    upload: str
    languages: str
    prefect: str | None = Field(description="Prefect's own page, when there is one.")


class Health(BaseModel):
    """`status` is `healthy` or `unhealthy`; every part says how it is."""

    status: str
    queue_running: bool
    debug: bool
    service: str
    version: str
    environment: str
    uptime_seconds: float
    database_service: dict[str, Any]
    job_queue: dict[str, Any]
    storage_service: dict[str, Any]
    ai_service_factory: dict[str, Any]
    websocket_manager: dict[str, Any]
    timestamp: str | None


class Models(BaseModel):
    """Engines that are installed, and the models that are loaded now with their hits and misses."""

    engines: list[EngineRow]
    model_cache: dict[str, Any]


class LanguagePair(BaseModel):
    source: str
    target: str
    engines: list[str]


class Languages(BaseModel):
    """What this installation can really do: recognise the source, translate the pair, speak the target."""

    languages: list[dict[str, Any]]
    pairs: list[LanguagePair]
    source_languages: list[str]
    target_languages: list[str]
    total_count: int


class VoiceResource(BaseModel):
    id: str
    language: str
    gender: str
    engine: str


class Voices(BaseModel):
    voices: list[VoiceResource]
    total_count: int


@router.get("/", tags=["service"], summary="Name, version, links; the web page for a browser", response_model=Links)
async def root(request: Request, response: Response, service: Svc, base_url: BaseUrl) -> Links | Response:
    if wants_page(request.headers.get("accept", "")):
        return page()
    response.headers["Vary"] = "Accept"
    return Links(
        name=service.settings.app_name,
        version=version("dubline"),
        environment=service.settings.environment,
        docs=f"{base_url}/docs",
        openapi=f"{base_url}/openapi.json",
        health=f"{base_url}/health",
        jobs=f"{base_url}/api/v1/jobs",
        upload=f"{base_url}/api/v1/upload",
        languages=f"{base_url}/api/v1/languages",
        prefect=service.orchestrator.page_url,
    )


@router.get("/health/live", tags=["service"], summary="The process answers")
async def live() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/health/ready", tags=["service"], summary="It can take jobs", responses={503: RESPONSES[503]})
async def ready(service: Svc) -> dict[str, str]:
    """Jobs are taken while the database and the store answer; Prefect may be away meanwhile."""
    await service.db.check()
    await asyncio.to_thread(service.store.check)
    return {"status": "ready"}


@router.get(
    "/health",
    tags=["service"],
    summary="How every part is",
    responses={503: {"model": Health, "description": "Not well"}},
)
async def health(service: Svc, user_id: UserId, response: Response) -> Health:
    database, storage, queue, engines = await asyncio.gather(
        _part(service.db.check()),
        _part(asyncio.to_thread(service.store.check)),
        _part(service.orchestrator.check()),
        engine_server(service, "/v1/models"),
    )
    counts = dict.fromkeys(STATUSES, 0)
    if database["status"] == "healthy":
        counts, _ = await count_by_status(service.db, user_id)
    good = all(p["status"] == "healthy" for p in (database, storage, queue))
    response.status_code = 200 if good else 503
    resident = engines.get("rss_bytes")
    return Health(
        status="healthy" if good else "unhealthy",
        queue_running=queue["status"] == "healthy",
        debug=service.settings.debug,
        service=service.settings.app_name,
        version=version("dubline"),
        environment=service.settings.environment,
        uptime_seconds=round(time.time() - service.started_s, 1),
        database_service={**database, "kind": "sqlite" if service.db.is_sqlite else "postgresql", "jobs": counts},
        job_queue={
            **queue,
            "running": queue["status"] == "healthy",
            "queue_size": counts["uploaded"] + counts["queued"],
        },
        storage_service=storage,
        ai_service_factory={
            "status": engines.get("status"),
            "memory_usage_mb": round(resident / 1024**2, 1) if resident else 0.0,
        },
        websocket_manager={"status": "healthy", "total_connections": service.sockets.total()},
        timestamp=iso(time.time()),
    )


async def _part(check: Any) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_CHECK_S):
            await check
    except DublineError as error:
        return {"status": "unhealthy", "message": error.message}
    except TimeoutError:
        return {"status": "unhealthy", "message": "It does not answer in time."}
    return {"status": "healthy"}


async def engine_server(service: Service, path: str) -> dict[str, Any]:
    """What the engine server says; an empty cache when engines load where they are used."""
    socket = service.settings.engine_socket
    if socket is None:
        return {"status": "inprocess"}
    try:
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://engines", timeout=_ENGINES_S) as client:
            return {"status": "healthy", **(await client.get(path)).json()}
    except (httpx.HTTPError, ValueError):
        return {"status": "unhealthy", "message": "The engine server does not answer."}


@router.get("/metrics", tags=["service"], summary="Figures for Prometheus", response_class=PlainTextResponse)
async def metrics(service: Svc) -> Response:
    await collect(service)
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/v1/models", tags=["engines"], summary="What is installed, and what is loaded")
async def models(service: Svc) -> Models:
    rows = await asyncio.to_thread(engine_rows, service.settings)
    return Models(engines=rows, model_cache=await engine_server(service, "/v1/models"))


@router.get("/api/v1/languages", tags=["engines"], summary="Pairs that can be done here")
async def languages(service: Svc) -> Languages:
    return await asyncio.to_thread(_languages, service)


def _languages(service: Service) -> Languages:
    rows = [r for r in engine_rows(service.settings) if r.state == "ready"]
    if not service.settings.simulated_engines:
        rows = [r for r in rows if r.engine != "simulated"]
    heard = {code for r in rows if r.kind == "stt" for code in r.languages}
    spoken = {code for r in rows if r.kind == "tts" for code in r.languages}
    pairs: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.kind == "mt":
            able = registry.get("mt", row.engine).capabilities(service.settings).pairs
            for source, target in sorted(able):
                if _has(heard, source) and _has(spoken, target):
                    pairs.setdefault((source, target), []).append(row.engine)
    sources = sorted({s for s, _ in pairs})
    targets = sorted({t for _, t in pairs})
    return Languages(
        languages=[
            {"code": code, "name": name(code), "is_source": code in sources, "is_target": code in targets}
            for code in sorted({*sources, *targets})
        ],
        pairs=[LanguagePair(source=s, target=t, engines=e) for (s, t), e in sorted(pairs.items())],
        source_languages=sources,
        target_languages=targets,
        total_count=len({*sources, *targets}),
    )


def _has(codes: set[str], wanted: str) -> bool:
    base = wanted.split("-")[0]
    return any(c.split("-")[0] == base for c in codes)


@router.get("/api/v1/voices", tags=["engines"], summary="Voices, by language", responses={422: RESPONSES[422]})
async def voices(service: Svc, language: str | None = None) -> Voices:
    """All of them, or those that speak a language."""
    if language is not None and len(language) > 64:
        raise Problem(422, "That is no language code.", code="language_unknown", errors=[("language", "too long")])
    rows = await asyncio.to_thread(_voices, service, language)
    return Voices(voices=rows, total_count=len(rows))


@router.get(
    "/api/v1/voices/sample",
    tags=["engines"],
    summary="A sentence in a voice, as WAV",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {}}}, 422: RESPONSES[422], 503: RESPONSES[503]},
)
async def voice_sample(
    service: Svc,
    language: Annotated[str, Query(max_length=64)],
    voice: Annotated[str | None, Query(max_length=200)] = None,
    engine: Annotated[str, Query(max_length=64)] = "auto",
) -> Response:
    """Without `voice`, the one that a job in this language gets when none is named."""
    sound = await service.voice_samples.get(language=language, engine=engine, voice=voice)
    return Response(sound, media_type="audio/wav", headers={"Cache-Control": "private, max-age=3600"})


def _voices(service: Service, language: str | None) -> list[VoiceResource]:
    out: list[VoiceResource] = []
    for plugin in registry.plugins("tts").values():
        if plugin.id == "simulated" and not service.settings.simulated_engines:
            continue
        if plugin.missing(service.settings) is not None:
            continue
        for voice in plugin.capabilities(service.settings).voices:
            if language is None or voice.language.split("-")[0].lower() == language.split("-")[0].lower():
                out.append(VoiceResource(id=voice.id, language=voice.language, gender=voice.gender, engine=plugin.id))
    return out
