"""The upload: stores a file, and starts a translation when a target language comes with it."""

from __future__ import annotations

import logging
from typing import Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from api.deps import BaseUrl, IdempotencyKey, Svc, UserId
from api.problems import RESPONSES, Problem
from api.requests import JobParameters, Work
from api.resources import iso, job_resource
from api.tables import StoredFile
from api.uploads import Received, storage_path

router = APIRouter(prefix="/api/v1", tags=["uploads"], responses=RESPONSES)
_LOG = logging.getLogger("dubline.api")


class UploadedFile(BaseModel):
    """A stored file."""

    file_id: str
    storage_path: str = Field(examples=["uploads/local/video/550e8400-e29b-41d4-a716-446655440000.mp4"])
    filename: str
    size_bytes: int
    sha256: str
    duration_seconds: float
    file_type: str
    media: dict[str, Any]
    created_at: str | None


class UploadedJob(BaseModel):
    """A stored file whose translation was started."""

    job_id: str
    status: str
    original_filename: str
    file_size: int
    file_id: str
    status_url: str
    websocket_url: str
    processing_config: dict[str, Any]
    created_at: str | None


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "target_language": {"type": "string", "example": "spa"},
                        "source_language": {"type": "string", "example": "eng"},
                        "stt_engine": {"type": "string", "example": "auto"},
                        "stt_model": {"type": "string", "example": "base"},
                        "translation_engine": {"type": "string", "example": "auto"},
                        "translation_model": {"type": "string"},
                        "tts_engine": {"type": "string", "example": "auto"},
                        "tts_voice": {"type": "string"},
                        "speakers": {"type": "string", "example": "auto"},
                    },
                }
            }
        },
    }
}


@router.post(
    "/upload",
    status_code=201,
    response_model=UploadedJob | UploadedFile,
    openapi_extra=_FORM,
    summary="Store a file; with a target language, start its translation",
)
@router.post("/upload/", include_in_schema=False, response_model=None)
async def upload(
    request: Request,
    service: Svc,
    user_id: UserId,
    base_url: BaseUrl,
    key: IdempotencyKey = None,
    file_type: Literal["video", "audio"] | None = Query(default=None, description="Said by some clients; measured."),
) -> Response:
    """The form is read as a stream: fields may come before or after the file, which may be as large as the limit."""
    async with service.uploads.receive(request) as received:
        parameters = _parameters(received)
        # Refused before the file is stored: nothing is kept of a request that cannot be done.
        checked = await service.check(parameters) if parameters is not None else None

        async def work(ids):
            file = await service.uploads.keep(user_id, received, file_id=ids.new())
            if checked is None:
                return 201, file_resource(file).model_dump(mode="json")
            job = await service.jobs.create(user_id, checked, file, status="uploaded", job_id=ids.new())
            resource = job_resource(job, base_url)
            body = UploadedJob(
                job_id=job.id,
                status=job.status,
                original_filename=job.filename,
                file_size=job.size_bytes,
                file_id=file.id,
                status_url=resource.status_url,
                websocket_url=resource.websocket_url,
                processing_config=_config(checked),
                created_at=resource.created_at,
            )
            return 201, body.model_dump(mode="json")

        said = {"path": "upload", "fields": received.fields, "sha256": received.sha256, "name": received.filename}
        status, body = await service.idempotency.once(user_id, key, said, work)
    return JSONResponse(body, status)


def _parameters(received: Received) -> JobParameters | None:
    """The parameters of the translation that came with the file; None when no target language did."""
    fields = {k: v for k, v in received.fields.items() if v != "" and k != "file_type"}
    if "target_language" not in fields:
        return None
    try:
        return JobParameters.model_validate(fields)
    except ValidationError as error:
        rows = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
        raise Problem(422, f"{rows[0][0]}: {rows[0][1]}", code="request_invalid", errors=rows) from error


def _config(work: Work) -> dict[str, Any]:
    names = ("target_language", "source_language", "stt_engine", "stt_model", "translation_engine")
    names += ("translation_model", "tts_engine")
    return {**{name: work.request.get(name) for name in names}, **work.request}


def file_resource(file: StoredFile) -> UploadedFile:
    """A stored file as clients see it."""
    return UploadedFile(
        file_id=file.id,
        storage_path=storage_path(file),
        filename=file.filename,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        duration_seconds=file.duration_s,
        file_type=file.media_type,
        media=file.media,
        created_at=iso(file.created_s),
    )
