"""The short forms: `POST /translate` and `GET /job/{id}`, and the way on from the synchronous translation of old."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.deps import BaseUrl, IdempotencyKey, JobId, Svc, UserId
from api.problems import RESPONSES, Problem, problem_answer
from api.requests import JobRequest
from api.resources import iso
from api.routes.jobs import source_file
from api.service import Service
from api.simulation import built_in_file
from api.tables import StoredFile

router = APIRouter(tags=["short forms"])


class TranslateRequest(BaseModel):
    """A translation in few words."""

    model_config = ConfigDict(extra="forbid")

    source_language: str | None = Field(default=None, max_length=64, examples=["en"])
    target_language: str = Field(max_length=64, examples=["es"])
    job_id: str | None = Field(default=None, max_length=36, description="A UUID to give the job.")
    file_id: str | None = Field(default=None, max_length=200)
    metadata: dict[str, Any] = Field(
        default_factory=dict, max_length=20, description="`file_id`, `video_url` or `storage_path` of the video."
    )


class Accepted(BaseModel):
    job_id: str
    status: str
    message: str


class ShortJob(BaseModel):
    job_id: str
    status: str
    source_language: str | None
    target_language: str | None
    created_at: str | None
    completed_at: str | None
    progress: float
    error_message: str | None
    download_url: str | None


@router.post("/translate", status_code=202, summary="Start a translation", responses=RESPONSES)
async def translate(request: TranslateRequest, service: Svc, user_id: UserId, key: IdempotencyKey = None) -> Accepted:
    """With the simulated engines a built-in clip is taken when no video is named."""

    async def work(ids):
        source = {k: request.metadata[k] for k in ("file_id", "storage_path", "video_url") if k in request.metadata}
        if not all(isinstance(v, str) for v in source.values()):
            raise Problem(422, "metadata names a video by text.", code="request_invalid", errors=[("metadata", "text")])
        if request.file_id is not None:
            source["file_id"] = request.file_id
        full = JobRequest.model_validate(
            {"source_language": request.source_language, "target_language": request.target_language, **source}
        )
        checked = await service.check(full)
        file = await _file(service, user_id, full)
        job = await service.jobs.create(
            user_id, checked, file, status="queued", job_id=_job_id(request.job_id) or ids.new()
        )
        return 202, {"job_id": job.id, "status": "pending", "message": "Translation job started"}

    said = {"path": "translate", **request.model_dump(mode="json")}
    _, body = await service.idempotency.once(user_id, key, said, work)
    return Accepted.model_validate(body)


async def _file(service: Service, user_id: str, request: JobRequest) -> StoredFile:
    named = (request.file_id, request.storage_path, request.video_url)
    if service.settings.simulated_engines and all(n is None for n in named):
        return await built_in_file(service, user_id)
    return await source_file(service, user_id, request)


def _job_id(given: str | None) -> str | None:
    if given is None:
        return None
    try:
        return str(uuid.UUID(given))
    except ValueError as error:
        raise Problem(422, "A job id is a UUID.", code="job_id", errors=[("job_id", "is no UUID")]) from error


@router.get("/job/{job_id}", summary="A job in few words", responses=RESPONSES)
async def read(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> ShortJob:
    job = await service.job_status(user_id, job_id)
    done = job.status == "completed"
    return ShortJob(
        job_id=job.id,
        status=job.status,
        source_language=job.source_language,
        target_language=job.target_language,
        created_at=iso(job.created_s),
        completed_at=iso(job.ended_s),
        progress=100.0 if done else min(99.9, job.progress),
        error_message=(job.error or {}).get("message") if job.status == "failed" else None,
        download_url=f"{base_url}/api/v1/jobs/{job.id}/download" if done else None,
    )


@router.post(
    "/api/v1/translate",
    status_code=410,
    response_model=None,
    summary="Gone: use the job API",
    responses={410: problem_answer(410)},
)
async def gone() -> None:
    raise Problem(
        410,
        "The synchronous translation is gone; translations are jobs now.",
        code="gone",
        hint="POST /api/v1/upload with the file and a target_language, then follow the job.",
        details={
            "upload": "/api/v1/upload",
            "status": "/api/v1/jobs/{job_id}/status",
            "download": "/api/v1/jobs/{job_id}/download",
        },
    )
