"""From Prefect's states to the job's: pure, total, by type first and then by name."""

from __future__ import annotations

from typing import Literal

JobStatus = Literal["uploaded", "pending", "queued", "processing", "completed", "failed", "cancelled"]

STATUSES: tuple[JobStatus, ...] = ("uploaded", "pending", "queued", "processing", "completed", "failed", "cancelled")
ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
OPEN: frozenset[str] = frozenset({"uploaded", "queued", "processing"})
"""Statuses of jobs that somebody works on or will; `pending` waits for its person."""

_BY_TYPE: dict[str, JobStatus] = {
    "SCHEDULED": "queued",
    "PENDING": "queued",
    "RUNNING": "processing",
    "PAUSED": "processing",
    "CANCELLING": "processing",
    "CRASHED": "processing",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}
_BY_NAME: dict[tuple[str, str], JobStatus] = {
    ("SCHEDULED", "AwaitingRetry"): "processing",
    ("SCHEDULED", "Retrying"): "processing",
}


def job_status(state_type: str, state_name: str) -> JobStatus:
    """The status of a job whose run is in this state.

    A crashed run is `processing` here: whether another start is due is the reconciler's to say.

    Raises:
        KeyError: a type of state that Prefect did not have when this was written.
    """
    return _BY_NAME.get((state_type, state_name)) or _BY_TYPE[state_type]


PHASES: dict[str, tuple[str, str]] = {
    "ingest": ("PREPARING", "preparation"),
    "extract": ("PREPARING", "preparation"),
    "encode": ("EXTRACTING", "extraction"),
    "transcribe": ("TRANSCRIBING", "transcription"),
    "diarize": ("TRANSCRIBING", "transcription"),
    "segment": ("TRANSCRIBING", "transcription"),
    "separate": ("SEPARATING", "separation"),
    "translate": ("TRANSLATING", "translation"),
    "synthesize": ("SYNTHESIZING", "synthesis"),
    "fit": ("ASSEMBLING", "assembly"),
    "mix": ("ASSEMBLING", "assembly"),
    "subtitle": ("ASSEMBLING", "assembly"),
    "mux": ("ASSEMBLING", "assembly"),
    "preview": ("FINISHING", "finishing"),
    "report": ("FINISHING", "finishing"),
    "publish": ("FINISHING", "finishing"),
}
"""Stage of the pipeline -> `phase` and `progress_stage` of the API."""

_ENDED_PHASES = {
    "completed": ("COMPLETED", "completed"),
    "failed": ("FAILED", "failed"),
    "cancelled": ("CANCELLED", "cancelled"),
}


def phase(status: str, stage: str) -> tuple[str, str]:
    """`phase` in capitals for people and `progress_stage` for programs."""
    if status in _ENDED_PHASES:
        return _ENDED_PHASES[status]
    if status == "processing":
        return PHASES.get(stage, ("STARTING", "starting"))
    return status.upper(), status
