"""The queue, the workers, the figures, the dead letters."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.deps import BaseUrl, JobId, Svc, UserId
from api.estimate import Estimate, estimate
from api.problems import RESPONSES, not_found
from api.resources import JobResource, iso, job_resource
from api.runs import OrchestratorUnavailable
from api.statistics import Figures, count_by_status, figures
from dubline.languages import canonical

router = APIRouter(prefix="/api/v1", tags=["queue"], responses=RESPONSES)
_ALIVE_S = 90.0


class QueueNow(BaseModel):
    queue_size: int
    active_jobs: int
    max_concurrent_jobs: int
    active_job_ids: list[str]
    queued_jobs: int
    pending_jobs: int


class QueueStatus(BaseModel):
    """How many wait, how many are at work, who works."""

    queue: QueueNow
    database: dict[str, int]
    queued_jobs: int
    pending_jobs: int
    workers: list[dict[str, Any]]
    timestamp: str | None


class Workers(BaseModel):
    workers: list[dict[str, Any]]
    queues: list[dict[str, Any]]
    total_count: int


class Cleared(BaseModel):
    message: str
    cancelled: int


class DeadLetters(BaseModel):
    dead_letters: list[JobResource]
    total_count: int


@router.get("/jobs/queue/status", summary="The queue")
@router.get("/queue/status", summary="The queue")
async def queue_status(service: Svc, user_id: UserId) -> QueueStatus:
    counts, active = await count_by_status(service.db, user_id)
    waiting = counts["uploaded"] + counts["queued"]
    return QueueStatus(
        queue=QueueNow(
            queue_size=waiting,
            active_jobs=counts["processing"],
            max_concurrent_jobs=service.settings.max_concurrent_jobs,
            active_job_ids=active,
            queued_jobs=counts["queued"],
            pending_jobs=counts["pending"],
        ),
        database={"total_jobs": sum(counts.values()), **{f"{name}_jobs": n for name, n in counts.items()}},
        queued_jobs=counts["queued"],
        pending_jobs=counts["pending"],
        workers=await _workers(service, active),
        timestamp=iso(time.time()),
    )


async def _workers(service, active: list[str]) -> list[dict[str, Any]]:
    try:
        rows = await service.orchestrator.workers()
    except OrchestratorUnavailable:
        return []
    now_s = time.time()
    return [
        {
            "name": w.name,
            "pool": w.pool,
            "status": "online" if w.heartbeat_s and now_s - w.heartbeat_s < _ALIVE_S else "offline",
            "last_heartbeat": iso(w.heartbeat_s),
            "slots": service.settings.max_concurrent_jobs,
            "jobs": active,
        }
        for w in rows
    ]


@router.delete("/jobs/queue/clear", summary="Cancel all that waits")
async def clear(service: Svc, user_id: UserId) -> Cleared:
    done = await service.jobs.each(user_id, await service.jobs.waiting(user_id), service.jobs.cancel)
    count = sum(problem is None for _, problem in done)
    return Cleared(message=f"{count} waiting jobs cancelled", cancelled=count)


@router.get("/workers", summary="Workers and work queues")
async def workers(service: Svc, user_id: UserId) -> Workers:
    """Last heartbeat, places, and what is at work. 503 while Prefect is away."""
    _, active = await count_by_status(service.db, user_id)
    await service.orchestrator.check()
    rows = await _workers(service, active)
    queues = [q.model_dump(mode="json") for q in await service.orchestrator.queues()]
    return Workers(workers=rows, queues=queues, total_count=len(rows))


@router.get("/jobs/statistics", summary="Figures of the jobs so far")
@router.get("/statistics", summary="Figures of the jobs so far")
async def statistics(service: Svc, user_id: UserId) -> Figures:
    """Counts by status, type and language; times of processing; real-time factor; success rate; cache hits."""
    return await figures(service.db, user_id)


@router.get("/estimate", summary="How long a dub will take")
async def estimated(
    service: Svc,
    user_id: UserId,
    media_seconds: Annotated[float, Query(gt=0, le=360_000)],
    target_language: Annotated[str | None, Query(max_length=64)] = None,
) -> Estimate:
    """Before it is asked for: from the speed of the last dubs here, and from what waits already."""
    target = canonical(target_language) if target_language else None
    return await estimate(service.db, service.settings, media_s=media_seconds, target_language=target)


@router.get("/dead-letters", summary="Jobs that failed for good")
async def dead_letters(service: Svc, user_id: UserId, base_url: BaseUrl) -> DeadLetters:
    """With their cause and attempts; their input is kept."""
    rows = [job_resource(job, base_url) for job in await service.jobs.dead(user_id)]
    return DeadLetters(dead_letters=rows, total_count=len(rows))


async def _dead(service, user_id: str, job_id: str) -> None:
    job = await service.jobs.get(user_id, job_id)
    if not job.is_dead:
        raise not_found("dead letter", "dead_letter_not_found")


@router.get("/dead-letters/{job_id}", summary="One dead letter")
async def dead_letter(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> JobResource:
    await _dead(service, user_id, job_id)
    return job_resource(await service.jobs.get(user_id, job_id), base_url)


@router.post("/dead-letters/{job_id}/requeue", status_code=202, summary="Put a dead letter back")
async def requeue(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> JobResource:
    await _dead(service, user_id, job_id)
    return job_resource(await service.jobs.retry(user_id, job_id), base_url)


@router.delete("/dead-letters/{job_id}", summary="Drop a dead letter")
async def drop(job_id: JobId, service: Svc, user_id: UserId) -> Cleared:
    """The job is deleted."""
    await _dead(service, user_id, job_id)
    await service.jobs.delete(user_id, job_id)
    return Cleared(message=f"Dead letter {job_id} dropped", cancelled=0)
