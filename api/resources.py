"""What answers hold: one `Job` resource with the fields that every client reads, made from a row."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.states import JobStatus, phase
from api.tables import Job, JobEvent


def iso(at_s: float | None) -> str | None:
    """ISO 8601 in UTC with a `Z` and milliseconds."""
    if at_s is None:
        return None
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JobResource(BaseModel):
    """A job. The same value may stand under several names, one for each family of clients."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(examples=["550e8400-e29b-41d4-a716-446655440000"])
    job_id: str
    job_type: str
    status: JobStatus
    progress: float = Field(description="0 … 100; never falls within one attempt.")
    progress_percentage: float
    percentage: float
    phase: str = Field(examples=["TRANSLATING"])
    progress_stage: str = Field(examples=["translation"])
    current_step: str
    original_filename: str
    filename: str
    file_id: str | None
    file_size: int
    input_file_size: int
    output_file_size: int | None
    input_file: str | None
    output_file: str | None
    video_title: str
    source_language: str | None
    detected_language: str | None
    target_language: str | None
    priority: int
    options: dict[str, Any]
    processing_config: dict[str, Any]
    job_metadata: dict[str, Any]
    media_duration_seconds: float | None
    processing_time_seconds: float | None
    estimated_completion: str | None
    attempt: int
    crashes: int
    is_cancelling: bool
    error_message: str | None
    error: dict[str, Any] | None
    verdict: str | None
    message: str | None
    flow_run_id: str | None
    created_at: str | None
    updated_at: str | None
    started_at: str | None
    completed_at: str | None
    status_url: str
    websocket_url: str
    stream_url: str
    preview_url: str
    transcript_url: str | None
    artifacts_url: str | None
    download_url: str | None
    youtube_url: str | None = None
    transcript: str | None = None
    analysis_results: dict[str, Any] | None = None
    generated_clips: list[dict[str, Any]] | None = None


class JobList(BaseModel):
    jobs: list[JobResource]
    total_count: int
    page: int
    page_size: int
    limit: int
    offset: int


class EventResource(BaseModel):
    """One line of a job's history."""

    id: int
    job_id: str
    at: str | None
    type: str
    status: str
    message: str
    data: dict[str, Any]


def event_resource(row: JobEvent) -> EventResource:
    return EventResource(
        id=row.id or 0,
        job_id=row.job_id,
        at=iso(row.at_s),
        type=row.kind,
        status=row.status,
        message=row.message,
        data=row.data,
    )


def eta_s(job: Job, now_s: float) -> float | None:
    """When the job will be done at the speed so far, in seconds since the epoch; None while that is a guess."""
    if job.status != "processing" or job.started_s is None or job.progress < 3.0:
        return None
    spent_s = now_s - job.started_s
    return now_s + spent_s * (100.0 - job.progress) / job.progress


def output_artifact(job: Job) -> dict[str, Any] | None:
    """The artifact that a download of the job means: the dubbed video, the audio, or the transcript."""
    rows = (job.result or {}).get("artifacts", [])
    for name in ("video", "audio", "transcript_json"):
        for row in rows:
            if row["name"] == name:
                return row
    return None


def job_resource(job: Job, base_url: str) -> JobResource:
    """The resource of a row. `base_url` is the service's address as the client sees it, without a slash at its end."""
    ended = job.status == "completed"
    capitals, stage = phase(job.status, job.stage)
    socket_url = "ws" + base_url.removeprefix("http")
    at = f"{base_url}/api/v1/jobs/{job.id}"
    output = output_artifact(job)
    progress = 100.0 if ended else min(99.9, round(job.progress, 2))
    result = job.result or {}
    error = job.error if job.status == "failed" else None
    return JobResource(
        id=job.id,
        job_id=job.id,
        job_type=job.job_type,
        status=job.status,  # pyright: ignore[reportArgumentType]  # checked here: a table's row is plain text
        progress=progress,
        progress_percentage=progress,
        percentage=progress,
        phase=capitals,
        progress_stage=stage,
        current_step=current_step(job),
        original_filename=job.filename,
        filename=job.filename,
        file_id=job.file_id,
        file_size=job.size_bytes,
        input_file_size=job.size_bytes,
        output_file_size=output["ref"]["size_bytes"] if output else None,
        input_file=job.filename,
        output_file=f"{at}/download" if output else None,
        video_title=job.filename.rsplit(".", 1)[0],
        source_language=job.source_language,
        detected_language=result.get("source_language") or None,
        target_language=job.target_language,
        priority=job.priority,
        options=job.request.get("options", {}),
        processing_config=job.request,
        job_metadata={**job.request, "media_duration_seconds": job.media_s or None},
        media_duration_seconds=job.media_s or None,
        processing_time_seconds=_spent_s(job),
        estimated_completion=iso(eta_s(job, time.time())),
        attempt=job.attempt,
        crashes=job.crashes,
        is_cancelling=job.is_cancelling,
        error_message=(error or {}).get("message"),
        error=error,
        verdict=result.get("verdict") if ended else None,
        message=result.get("message") if ended else None,
        flow_run_id=job.flow_run_id,
        created_at=iso(job.created_s),
        updated_at=iso(job.updated_s),
        started_at=iso(job.started_s),
        completed_at=iso(job.ended_s),
        status_url=f"{at}/status",
        websocket_url=f"{socket_url}/api/v1/jobs/{job.id}/progress",
        stream_url=f"{at}/stream",
        preview_url=f"{at}/preview",
        transcript_url=f"{at}/transcript" if job.result else None,
        artifacts_url=f"{at}/artifacts" if job.result else None,
        download_url=f"{at}/download" if output else None,
    )


def current_step(job: Job) -> str:
    """What happens now, as a sentence."""
    if job.is_cancelling and job.status in ("queued", "processing"):
        return "Cancelling"
    fixed = {
        "uploaded": "Stored, waits for its turn",
        "pending": "Waits to be started",
        "queued": "Waits for a worker",
        "completed": "Done",
        "failed": "Failed",
        "cancelled": "Cancelled",
    }
    return fixed.get(job.status) or job.step or "Starting"


def _spent_s(job: Job) -> float | None:
    if job.started_s is None or job.ended_s is None:
        return None
    return round(max(0.0, job.ended_s - job.started_s), 3)


def status_resource(job: JobResource) -> dict[str, Any]:
    """The short status shape, with the fields that its pollers may want besides."""
    names = (
        "job_id",
        "status",
        "original_filename",
        "source_language",
        "target_language",
        "progress_stage",
        "progress_percentage",
        "progress",
        "phase",
        "current_step",
        "input_file_size",
        "output_file_size",
        "processing_time_seconds",
        "error_message",
        "error",
        "created_at",
        "updated_at",
        "started_at",
        "completed_at",
        "estimated_completion",
        "download_url",
        "preview_url",
    )
    return {name: getattr(job, name) for name in names}
