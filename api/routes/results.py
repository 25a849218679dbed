"""What a finished job made: download, artifacts, preview."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from api.deps import BaseUrl, JobId, Svc, UserId
from api.problems import RESPONSES, Problem, not_found
from api.resources import iso, output_artifact
from api.service import Service
from api.tables import Job
from dubline.contract import FIRST_MINUTE, first_minute_record
from dubline.errors import ArtifactMissing
from dubline.models import ArtifactRef
from dubline.storage.export import file_name

router = APIRouter(prefix="/api/v1", tags=["results"], responses=RESPONSES)

_SANDBOX = "sandbox; default-src 'none'"
_FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"application/octet-stream": {}}},
    206: {"description": "The part that `Range` asks for."},
    304: {"description": "The client has it already (`If-None-Match`)."},
    416: {"description": "The range lies outside the file."},
}
ArtifactName = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
IfNoneMatch = Annotated[str | None, Header()]
RangeHeader = Annotated[str | None, Header(alias="Range", description="`bytes=0-499`: a part of the file.")]


class ArtifactResource(BaseModel):
    """A file of the result."""

    name: str
    filename: str
    suffix: str = Field(description="The end of `filename`, after the name of the source.", examples=["pt-BR.srt"])
    media_type: str
    size_bytes: int
    sha256: str
    url: str


class Artifacts(BaseModel):
    job_id: str
    artifacts: list[ArtifactResource]
    total_count: int


class Preview(BaseModel):
    """Something to look at before the whole is fetched."""

    job_id: str
    status: str
    original_filename: str
    file_size_mb: float
    source_language: str | None
    target_language: str | None
    created_at: str | None
    metadata: dict[str, Any]
    preview_note: str
    duration_seconds: float | None
    thumbnails: list[str]
    first_minute_url: str | None = Field(
        description="The first minute of the dub, while the job runs and once it is there (media of two minutes on)."
    )
    clip_url: str | None
    peaks_url: str | None
    subtitles: dict[str, str]
    report_url: str | None
    verdict: str | None


async def finished(service: Service, user_id: str, job_id: str) -> Job:
    """The user's job, when it has a result: its own, or while it is rendered again the one before.

    Raises:
        Problem: 404, or 409 without a result.
    """
    job = await service.jobs.get(user_id, job_id)
    if job.result is None:
        raise Problem(
            409,
            f"The job is {job.status}; its result is not there.",
            code="job_not_completed",
            retryable=job.status not in ("failed", "cancelled"),
            details={"status": job.status},
        )
    return job


def _rows(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in result.get("artifacts", [])}


async def read_artifact_text(service: Service, result: Mapping[str, Any], name: str, *, most_bytes: int) -> str | None:
    """A small text artifact; None when there is none of this name, or it is too long or gone."""
    row = _rows(result).get(name)
    if row is None or row["ref"]["size_bytes"] > most_bytes:
        return None
    try:
        return (await asyncio.to_thread(service.store.read_bytes, ArtifactRef.model_validate(row["ref"]))).decode()
    except ArtifactMissing:
        return None


async def _send(service: Service, job: Job, row: dict[str, Any], if_none_match: str | None) -> Response:
    """A whole artifact or a part of it; its content is checked against its hash before the first byte goes out."""
    ref = ArtifactRef.model_validate(row["ref"])
    etag = f'"{ref.sha256}"'
    headers = {
        "ETag": etag,
        "Content-Security-Policy": _SANDBOX,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    if if_none_match is not None:
        tags = [t.strip().removeprefix("W/") for t in if_none_match.split(",")]
        if etag in tags or "*" in tags:
            return Response(status_code=304, headers=headers)
    path = await asyncio.to_thread(service.store.fetch, ref)
    return FileResponse(
        path, media_type=ref.media_type, headers=headers, filename=_offered_name(job, row), stat_result=path.stat()
    )


def _offered_name(job: Job, row: dict[str, Any]) -> str:
    stem = job.filename.rpartition(".")[0] or job.filename
    return file_name(stem, row["suffix"])


_METHODS = ["GET", "HEAD"]


@router.get(
    "/download/{job_id}", responses=_FILE_ANSWERS, response_class=FileResponse, summary="The result's main file"
)
@router.head("/download/{job_id}", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/download", responses=_FILE_ANSWERS, response_class=FileResponse, summary="The result's main file"
)
@router.head("/jobs/{job_id}/download", include_in_schema=False)
async def download(
    job_id: JobId,
    service: Svc,
    user_id: UserId,
    if_none_match: IfNoneMatch = None,
    range_header: RangeHeader = None,
) -> Response:
    """The dubbed video (or the audio, or the transcript). Takes `Range`, `HEAD` and `If-None-Match`."""
    job = await finished(service, user_id, job_id)
    row = output_artifact(job)
    if row is None:
        raise not_found("result", "artifact_not_found")
    return await _send(service, job, row, if_none_match)


@router.get("/jobs/{job_id}/artifacts", summary="Everything the job made")
async def artifacts(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> Artifacts:
    job = await finished(service, user_id, job_id)
    rows = [
        ArtifactResource(
            name=row["name"],
            filename=_offered_name(job, row),
            suffix=row["suffix"],
            media_type=row["ref"]["media_type"],
            size_bytes=row["ref"]["size_bytes"],
            sha256=row["ref"]["sha256"],
            url=_url(base_url, job, row["name"]),
        )
        for row in (job.result or {}).get("artifacts", [])
    ]
    return Artifacts(job_id=job.id, artifacts=rows, total_count=len(rows))


@router.get(
    "/jobs/{job_id}/artifacts/{name}", responses=_FILE_ANSWERS, response_class=FileResponse, summary="One artifact"
)
@router.head("/jobs/{job_id}/artifacts/{name}", include_in_schema=False)
async def artifact(
    job_id: JobId,
    name: ArtifactName,
    service: Svc,
    user_id: UserId,
    if_none_match: IfNoneMatch = None,
    range_header: RangeHeader = None,
) -> Response:
    """One file of the result; `first_minute` is there while the job still runs."""
    if name == FIRST_MINUTE:
        job = await service.jobs.get(user_id, job_id)
        row = await _first_minute(service, job)
    else:
        job = await finished(service, user_id, job_id)
        row = _rows(job.result or {}).get(name)
    if row is None:
        raise not_found("artifact", "artifact_not_found")
    return await _send(service, job, row, if_none_match)


async def _first_minute(service: Service, job: Job) -> dict[str, Any] | None:
    """What the running flow left; None before that, and once there is a result."""
    if job.result is not None:
        return None
    record = await asyncio.to_thread(service.store.get_record, first_minute_record(job.id))
    return json.loads(record) if record is not None else None


def _url(base_url: str, job: Job, name: str) -> str:
    return f"{base_url}/api/v1/jobs/{job.id}/artifacts/{name}"


@router.get("/jobs/{job_id}/preview", summary="Thumbnails, a short clip, subtitles")
async def preview(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> Preview:
    """Before the job is done: what is known of the source, and the first minute as soon as it is there."""
    job = await service.jobs.get(user_id, job_id)
    ended = job.result is not None
    names = list(_rows(job.result or {})) if ended else []
    first = {name: _url(base_url, job, name) for name in names}
    report = first.get("report")
    beginning = await _first_minute(service, job)
    note = "Thumbnails and a clip of the result." if ended else "Thumbnails and a clip come with the result."
    if beginning:
        rest = "the rest is being made" if job.ended_s is None else "the rest was not made"
        note = f"The first minute can be watched; {rest}."
    return Preview(
        job_id=job.id,
        status=job.status,
        original_filename=job.filename,
        file_size_mb=round(job.size_bytes / 1024**2, 2),
        source_language=job.source_language,
        target_language=job.target_language,
        created_at=iso(job.created_s),
        metadata={**job.request, "media_duration_seconds": job.media_s, "attempt": job.attempt},
        preview_note=note,
        duration_seconds=job.media_s or None,
        thumbnails=[url for name, url in first.items() if name.startswith("thumbnail")],
        first_minute_url=_url(base_url, job, FIRST_MINUTE) if beginning else None,
        clip_url=first.get("clip"),
        peaks_url=first.get("peaks"),
        subtitles={n.removeprefix("subtitles_"): url for n, url in first.items() if n.startswith("subtitles_")},
        report_url=report,
        verdict=(job.result or {}).get("verdict") if ended else None,
    )
