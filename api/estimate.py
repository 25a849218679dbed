"""How long a dub will take here, before it is asked for."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import func
from sqlmodel import col, select

from api.db import Database
from api.tables import Job
from dubline.settings import Settings

_SAMPLE = 40
_SHORT_S = 5.0
_TYPICAL_FACTOR = 0.6
"""Seconds of work for a second of media, base Whisper and Kokoro on two cores (`make bench`)."""
_FIXED_S = 5.0


class Estimate(BaseModel):
    """Seconds. Nothing is charged: what a dub costs is the time of the processors."""

    processing_seconds: float = Field(description="From the start of the work to its end.")
    waiting_seconds: float = Field(description="Until the work starts: what others asked for before.")
    processor_seconds: float = Field(description="Processing time times the cores that work on it.")
    basis: Literal["jobs", "typical"] = Field(description="Measured on jobs of this service, or a typical machine's.")
    jobs_measured: int


async def estimate(db: Database, settings: Settings, *, media_s: float, target_language: str | None) -> Estimate:
    """From the median speed of the last dubs here, into the same language when there were any."""
    work = (col(Job.job_type) == "video_translate", col(Job.media_s) >= _SHORT_S)
    done = select(Job.started_s, Job.ended_s, Job.media_s, Job.result).where(*work, Job.status == "completed")
    recent = done.order_by(col(Job.ended_s).desc()).limit(_SAMPLE)
    async with db.read() as session:
        rows = (await session.exec(recent.where(Job.target_language == target_language))).all()
        factors = _factors(rows, settings.cpu_threads)
        if not factors:
            factors = _factors((await session.exec(recent)).all(), settings.cpu_threads)
        left = func.sum(Job.media_s * (100.0 - Job.progress) / 100.0)
        open_s = (
            await session.exec(select(left).where(col(Job.status).in_(("uploaded", "queued", "processing"))))
        ).one()
    factor = statistics.median(factors) if factors else _TYPICAL_FACTOR
    processing_s = media_s * factor + (0.0 if factors else _FIXED_S)
    return Estimate(
        processing_seconds=round(processing_s, 1),
        waiting_seconds=round((open_s or 0.0) * factor / settings.max_concurrent_jobs, 1),
        processor_seconds=round(processing_s * settings.cpu_threads, 1),
        basis="jobs" if factors else "typical",
        jobs_measured=len(factors),
    )


def _factors(rows: Sequence[tuple[Any, ...]], threads: int) -> list[float]:
    """Work over media of the jobs that did their work: one that found it all made before says nothing."""
    out = []
    for started_s, ended_s, media_s, result in rows:
        made_s = sum(s.get("seconds", 0.0) for s in (result or {}).get("stats", []))
        if started_s is not None and ended_s is not None and ended_s - started_s > made_s / threads / 2:
            out.append((ended_s - started_s) / media_s)
    return out
