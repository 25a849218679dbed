"""The application: routes, guards, life cycle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api import problems
from api.guards import Guards
from api.metrics import CountRequests
from api.problems import ProblemDocument
from api.routes import info, jobs, page, queue, results, short, sockets, stream, transcript, tus, uploads
from api.runs import Orchestrator
from api.service import Service
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore

_DESCRIPTION = """Videos dubbed into another language: submit a job, follow it live, fetch the result.

Every error is a problem document (RFC 9457). `Idempotency-Key` on any POST that creates gives the first answer again.
"""


def create_app(settings: Settings, store: ArtifactStore, orchestrator: Orchestrator) -> FastAPI:
    """The ASGI application over the given store and orchestrator."""
    service = Service(settings, store, orchestrator)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPIOffline(
        title=settings.app_name,
        version=version("dubline"),
        description=_DESCRIPTION,
        lifespan=life,
        static_url="/docs/static",
        separate_input_output_schemas=False,
    )
    app.state.service = service
    problems.install(app)
    # Fixed paths under /jobs come before /jobs/{job_id}.
    for module in (info, queue, uploads, tus, jobs, results, transcript, stream, short, sockets, page):
        app.include_router(module.router)
    app.add_middleware(CountRequests, metrics=service.metrics)
    app.add_middleware(Guards, sockets=sockets.SOCKETS)
    _add_problem_schema(app)
    return app


def _add_problem_schema(app: FastAPI) -> None:
    """Name the problem document in the OpenAPI page, in place of FastAPI's own shape of 422."""
    make = app.openapi

    def openapi() -> dict:
        if app.openapi_schema is None:
            schema = make()
            parts = schema.setdefault("components", {}).setdefault("schemas", {})
            document = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
            parts |= document.pop("$defs", {})
            parts["ProblemDocument"] = document
            for name in ("HTTPValidationError", "ValidationError"):
                parts.pop(name, None)
            reference = {"$ref": "#/components/schemas/ProblemDocument"}
            for path in schema["paths"].values():
                for operation in path.values():
                    answers = operation["responses"]
                    if "422" in answers:
                        answers["422"] = {
                            "description": "Unprocessable request",
                            "content": {problems.MEDIA_TYPE: {"schema": reference}},
                        }
        return app.openapi_schema or {}

    app.openapi = openapi
