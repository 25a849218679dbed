"""What the service answers, as far as its clients read it. Fields that are not named here are left alone."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dubline.errors import JobFailed

Status = Literal["uploaded", "pending", "queued", "processing", "completed", "failed", "cancelled"]
ENDED = ("completed", "failed", "cancelled")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Job(_Answer):
    """A job. `progress` is 0 … 100; times are ISO 8601 in UTC."""

    id: str
    status: Status
    job_type: str = "video_translate"
    progress: float = 0.0
    progress_stage: str = ""
    current_step: str = ""
    filename: str = ""
    source_language: str | None = None
    detected_language: str | None = None
    target_language: str | None = None
    media_duration_seconds: float | None = None
    processing_time_seconds: float | None = None
    estimated_completion: str | None = None
    attempt: int = 1
    verdict: str | None = None
    message: str | None = None
    error: dict[str, Any] | None = None
    flow_run_id: str | None = None
    created_at: str | None = None
    completed_at: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def check(self) -> Job:
        """The job itself.

        Raises:
            JobFailed: it failed or was cancelled.
        """
        if self.status == "cancelled":
            raise JobFailed("The job was cancelled.", code="job_cancelled", hint=f"Again: dubline retry {self.id}")
        if self.status == "failed":
            error = self.error or {}
            raise JobFailed(
                str(error.get("message") or "The job failed."),
                code=str(error.get("code") or "job_failed"),
                hint=str(error.get("hint") or ""),
                retryable=bool(error.get("retryable")),
                details={"job_id": self.id},
            )
        return self


class JobPage(_Answer):
    jobs: tuple[Job, ...]
    total_count: int


class StoredFile(_Answer):
    file_id: str
    filename: str
    size_bytes: int
    sha256: str
    duration_seconds: float


class Artifact(_Answer):
    name: str
    filename: str
    suffix: str = ""
    media_type: str
    size_bytes: int
    sha256: str


class Event(_Answer):
    """One line of a job's history."""

    id: int
    at: str | None
    type: str
    status: str
    message: str
    data: dict[str, Any] = Field(default_factory=dict)


class Transcript(BaseModel):
    """The lines of a finished job; each is a mapping with at least `id`, times, `source_text` and `text`.

    `revision` is what edits of these lines are made on.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    job_id: str
    source_language: str | None = None
    target_language: str | None = None
    revision: int = 0
    segments: tuple[dict[str, Any], ...] = ()
