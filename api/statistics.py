"""Figures over a user's jobs."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy import func
from sqlmodel import col, select

from api.db import Database
from api.states import STATUSES
from api.tables import Job

_SAMPLE = 2000
_ACTIVE = 100


class Figures(BaseModel):
    """Times in seconds; the real-time factor is processing time over media time; shares are 0 … 1."""

    total_jobs: int
    by_status: dict[str, int]
    by_type: dict[str, int]
    by_language: dict[str, int]
    mean_processing_time_seconds: float | None
    p95_processing_time_seconds: float | None
    real_time_factor: float | None
    success_rate: float | None
    cache_hits: int
    lines_made: int


async def count_by_status(db: Database, user_id: str) -> tuple[dict[str, int], list[str]]:
    """How many jobs have each status, and the ids of those at work."""
    async with db.read() as session:
        query = select(Job.status, func.count()).where(col(Job.user_id) == user_id).group_by(col(Job.status))
        found = dict((await session.exec(query)).all())
        at_work = select(Job.id).where(Job.user_id == user_id, Job.status == "processing").limit(_ACTIVE)
        active = list((await session.exec(at_work)).all())
    return {status: found.get(status, 0) for status in STATUSES}, active


async def figures(db: Database, user_id: str) -> Figures:
    """Counts over all jobs; times over the last two thousand that were completed."""
    counts, _ = await count_by_status(db, user_id)
    mine = col(Job.user_id) == user_id
    async with db.read() as session:
        by_type = dict(
            (await session.exec(select(Job.job_type, func.count()).where(mine).group_by(col(Job.job_type)))).all()
        )
        languages = select(Job.target_language, func.count()).where(mine, col(Job.target_language).is_not(None))
        by_language = dict((await session.exec(languages.group_by(col(Job.target_language)))).all())
        done = select(Job.started_s, Job.ended_s, Job.media_s, Job.result).where(mine, Job.status == "completed")
        rows = (await session.exec(done.order_by(col(Job.ended_s).desc()).limit(_SAMPLE))).all()
    times = sorted(end - start for start, end, _, _ in rows if start is not None and end is not None)
    media_s = sum(media for start, end, media, _ in rows if start is not None and end is not None)
    stats = [s for *_, result in rows for s in (result or {}).get("stats", [])]
    ended = counts["completed"] + counts["failed"]
    return Figures(
        total_jobs=sum(counts.values()),
        by_status=counts,
        by_type=by_type,
        by_language={k: v for k, v in by_language.items() if k is not None},
        mean_processing_time_seconds=round(sum(times) / len(times), 3) if times else None,
        p95_processing_time_seconds=round(times[int(0.95 * (len(times) - 1))], 3) if times else None,
        real_time_factor=round(sum(times) / media_s, 4) if times and media_s else None,
        success_rate=round(counts["completed"] / ended, 4) if ended else None,
        cache_hits=sum(s.get("reused", 0) for s in stats),
        lines_made=sum(s.get("made", 0) for s in stats),
    )
