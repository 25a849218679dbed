"""The lines of a job: read, edit, undo, render again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import BaseUrl, JobId, Svc, UserId
from api.problems import RESPONSES
from api.resources import JobResource, iso, job_resource
from api.revisions import Reading
from api.transcripts import Plan, Segment
from dubline.models import LineEdit

router = APIRouter(prefix="/api/v1/jobs", tags=["transcript"], responses=RESPONSES)

Revision = Annotated[int, Field(ge=0, le=2**31 - 1)]


class RevisionResource(BaseModel):
    """A state of the lines; 0 is how they were made."""

    revision: int
    created_at: str | None
    note: str


class Transcript(BaseModel):
    """The lines of a job at its newest revision."""

    job_id: str
    source_language: str | None
    target_language: str | None
    revision: int
    rendered_revision: int = Field(description="The revision that the downloads show.")
    revisions: list[RevisionResource]
    segments: list[Segment]


class PlannedTranscript(Transcript):
    """The lines after an edit, and what rendering them would do."""

    plan: Plan


class Planned(BaseModel):
    plan: Plan


class TranscriptEdit(BaseModel):
    """Edits of the newest revision, applied one after another."""

    model_config = ConfigDict(extra="forbid")

    revision: Revision = Field(description="The revision that the edits are based on.")
    note: str = Field(default="", max_length=200)
    edits: list[LineEdit] = Field(min_length=1, max_length=1000)


class UndoRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    revision: Revision = Field(description="The newest revision.")


class RenderRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    revision: Revision | None = Field(default=None, description="Default: the newest.")
    dry_run: bool = Field(default=False, description="Only say what would be done.")


def _fields(reading: Reading) -> dict[str, Any]:
    return {
        "job_id": reading.job.id,
        "source_language": reading.source_language or reading.job.source_language,
        "target_language": reading.job.target_language,
        "revision": reading.revision,
        "rendered_revision": reading.rendered_revision,
        "revisions": [
            RevisionResource(revision=r.revision, created_at=iso(r.created_s), note=r.note) for r in reading.revisions
        ],
        "segments": reading.segments,
    }


def _planned(reading: Reading) -> PlannedTranscript:
    assert reading.plan is not None
    return PlannedTranscript(**_fields(reading), plan=reading.plan)


@router.get("/{job_id}/transcript", summary="The lines with their times")
async def read(job_id: JobId, service: Svc, user_id: UserId) -> Transcript:
    """Source text, translation, speaker and voice of every line; the recognised segments of a transcription."""
    return Transcript(**_fields(await service.revisions.read(user_id, job_id)))


@router.put("/{job_id}/transcript", summary="Edit lines: change, split, merge, delete")
async def edit(job_id: JobId, request: TranscriptEdit, service: Svc, user_id: UserId) -> PlannedTranscript:
    """Keeps a new revision and says what rendering it would do. Nothing is made yet."""
    return _planned(await service.revisions.edit(user_id, job_id, request.revision, request.edits, request.note))


@router.post("/{job_id}/transcript/undo", summary="Go back to the revision before")
async def undo(job_id: JobId, request: UndoRequest, service: Svc, user_id: UserId) -> PlannedTranscript:
    """The history is kept: the answer is a new revision that equals the one before."""
    return _planned(await service.revisions.undo(user_id, job_id, request.revision))


@router.post(
    "/{job_id}/render",
    status_code=202,
    summary="Render the edited lines",
    responses={200: {"model": Planned, "description": "What would be done (`dry_run`)."}},
)
async def render(
    job_id: JobId,
    service: Svc,
    user_id: UserId,
    base_url: BaseUrl,
    response: Response,
    request: RenderRequest | None = None,
) -> JobResource | Planned:
    """Begins a new attempt of the job. The result of the revision before stays until the new one is complete."""
    request = request or RenderRequest()
    if request.dry_run:
        response.status_code = 200
        return Planned(plan=await service.revisions.plan(user_id, job_id, request.revision))
    return job_resource(await service.revisions.render(user_id, job_id, request.revision), base_url)
