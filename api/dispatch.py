"""The outbox: jobs leave the database for Prefect a few at a time, fair between users, by priority.

A job is claimed with a lease, its run is created under a key made of the job and its attempt, and only then the row
learns the run. A dispatcher killed in between leaves a claim. Whoever takes its place frees it, asks with the same key
and gets the same run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select, update

from api.db import Database, DatabaseUnavailable
from api.jobs import Jobs
from api.leases import LEASE_S, release_dead, take_lease, this_process
from api.runs import Orchestrator, OrchestratorUnavailable, QueueName, RunRefused
from api.tables import Job
from api.tracking import Tracking
from api.waiting import pause
from dubline.settings import Settings
from dubline.waking import wake

_LOG = logging.getLogger("dubline.dispatch")
_AHEAD = 2  # runs handed over for each place at the workers: one at work, one ready
_BACK_OFF_S = (1.0, 15.0)


async def claim(db: Database, job_id: str, *, for_s: float = LEASE_S, now_s: float | None = None) -> int | None:
    """Claim a waiting job for its handing over. Returns the fence, or None when somebody else was faster."""
    now_s = time.time() if now_s is None else now_s
    async with db.begin() as session:
        done = await session.exec(
            update(Job)
            .where(
                col(Job.id) == job_id,
                col(Job.flow_run_id).is_(None),
                col(Job.status).in_(("uploaded", "queued")),
                col(Job.lease_s) < now_s,
            )
            .values(lease_s=now_s + for_s, fence=col(Job.fence) + 1)
        )
        if done.rowcount == 0:
            return None
        return (await session.exec(select(Job.fence).where(Job.id == job_id))).one()


def queue_of(priority: int) -> QueueName:
    """The work queue of a job's priority (0 … 10)."""
    return "high" if priority >= 8 else "normal" if priority >= 3 else "batch"


def fair_order(waiting: list[Job], outstanding: Counter[str], room: int) -> list[Job]:
    """Which jobs go next: of the user with the fewest jobs under way the most urgent one, then again.

    Args:
        waiting: Jobs in the order of priority and age.
        outstanding: Jobs under way by user.
        room: How many may go.
    """
    lanes: dict[str, list[Job]] = {}
    for job in waiting:
        lanes.setdefault(job.user_id, []).append(job)
    held = Counter(outstanding)
    chosen: list[Job] = []
    while len(chosen) < room and lanes:
        user = min(lanes, key=lambda u: (held[u], -lanes[u][0].priority, lanes[u][0].created_s))
        chosen.append(lanes[user].pop(0))
        held[user] += 1
        if not lanes[user]:
            del lanes[user]
    return chosen


class Dispatcher:
    """One loop in every API process; the holder of the lease works, the others wait for it to run out."""

    def __init__(
        self, db: Database, jobs: Jobs, orchestrator: Orchestrator, tracking: Tracking, settings: Settings
    ) -> None:
        self._db, self._jobs, self._orchestrator, self._tracking = db, jobs, orchestrator, tracking
        self._settings = settings
        self.holder = this_process()

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        wait_s = self._settings.queue_poll_interval
        held = False
        with suppress(DatabaseUnavailable):
            await release_dead(self._db)
        while not stop.is_set():
            try:
                holds = await take_lease(self._db, "dispatch", self.holder, for_s=LEASE_S) is not None
                if holds and not held:
                    await self._free_claims()
                held = holds
                if held:
                    while not stop.is_set() and await self.once():
                        pass
                wait_s = self._settings.queue_poll_interval
            except (OrchestratorUnavailable, DatabaseUnavailable) as error:
                _LOG.info("jobs wait: %s", error.message)
                wait_s = min(_BACK_OFF_S[1], max(_BACK_OFF_S[0], wait_s * 2))
            await pause(stop, wait_s, wake=self._jobs.wake)

    async def _free_claims(self) -> None:
        """What the holder before had claimed is ours at once: should it still be at it, both get the same run."""
        async with self._db.begin() as session:
            claimed = update(Job).where(col(Job.flow_run_id).is_(None), col(Job.lease_s) > time.time())
            await session.exec(claimed.values(lease_s=0.0))

    async def once(self) -> int:
        """Hand over as many as there is room for. Returns how many."""
        limit = min(self._settings.max_outstanding_runs, _AHEAD * self._settings.max_concurrent_jobs)
        now_s = time.time()
        async with self._db.read() as session:
            under_way = select(Job.user_id, func.count()).where(
                col(Job.flow_run_id).is_not(None), col(Job.status).in_(("queued", "processing"))
            )
            outstanding = Counter(dict((await session.exec(under_way.group_by(col(Job.user_id)))).all()))
            room = limit - outstanding.total()
            if room <= 0:
                return 0
            waits: list[Any] = [
                col(Job.flow_run_id).is_(None),
                col(Job.status).in_(("uploaded", "queued")),
                col(Job.lease_s) < now_s,
            ]
            users = (await session.exec(select(Job.user_id).where(*waits).distinct())).all()
            waiting: list[Job] = []
            for user in users:
                lane = select(Job).where(*waits, Job.user_id == user)
                lane = lane.order_by(col(Job.priority).desc(), col(Job.created_s)).limit(room)
                waiting += (await session.exec(lane)).all()
        chosen = fair_order(waiting, outstanding, room)
        for job in chosen:
            await self._hand_over(job)
        return len(chosen)

    async def _hand_over(self, job: Job) -> None:
        fence = await claim(self._db, job.id)
        if fence is None:
            return
        try:
            run = await self._orchestrator.create_run(
                flow="translate_video" if job.job_type == "video_translate" else "process_media",
                parameters=flow_parameters(job),
                queue=queue_of(job.priority),
                key=f"{job.id}:{job.attempt}",
                job_id=job.id,
            )
        except RunRefused as error:
            # Tried again, it would stand before all others for ever.
            values = {"status": "failed", "error": error.to_dict(), "ended_s": time.time(), "lease_s": 0.0}
            await self._tracking.change(job, values, kind="state", message=error.message)
            return
        except OrchestratorUnavailable:
            # Ours again at once when it is back: the key makes a second asking harmless.
            async with self._db.begin() as session:
                await session.exec(
                    update(Job).where(col(Job.id) == job.id, col(Job.fence) == fence).values(lease_s=0.0)
                )
            raise
        wake(self._settings)
        taken = await self._tracking.change(
            job,
            {"flow_run_id": run.run_id, "status": "queued", "run_state": f"{run.type}/{run.name}", "lease_s": 0.0},
            kind="queued",
            message="Handed over; waits for a worker.",
        )
        if not taken:  # it was cancelled while its run was made
            await self._orchestrator.cancel(run.run_id)


def flow_parameters(job: Job) -> dict[str, Any]:
    """The one parameter of the job's flow."""
    common = {
        "job_id": job.id,
        "source_uri": job.source_uri,
        "options": job.options,
        "attempt": job.attempt,
    }
    if job.job_type == "video_translate":
        return {**common, "revision": job.revision}
    return {**common, "job_type": job.job_type}
