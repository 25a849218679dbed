"""What events missed: every few seconds the open jobs are compared with their runs, and what was lost is taken up.

Crashed runs are started again (the same run: what its tasks finished is cached) until the job has used its retries;
then it is a dead letter. A run that Prefect no longer knows is made anew. A run that shows no sign of life, one that
does not die when cancelled, and one past its deadline are ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from sqlmodel import col, delete, select

from api.db import Database, DatabaseUnavailable
from api.jobs import Jobs
from api.leases import LEASE_S, take_lease
from api.runs import Orchestrator, OrchestratorUnavailable, RunEvent, RunState
from api.states import ENDED
from api.tables import IdempotentAnswer, Job
from api.tracking import Tracking
from api.waiting import pause
from dubline.errors import StorageError
from dubline.settings import Settings

_LOG = logging.getLogger("dubline.reconcile")
_EVERY_S = 5.0
_RECONNECT_S = 1.0
_CRASH_AGE_S = 10.0
_SILENCE_S = 120.0  # Prefect's heartbeat comes every 30 s
_CANCEL_S = 60.0
_GAP_S = 3 * _EVERY_S
_STRAY_AGE_S = 30.0
_ANSWERS_S = 24 * 3600.0
_LENGTHS = 20.0

_DEAD = {
    "code": "worker_lost",
    "message": "The job's worker was lost too often.",
    "hint": "Look at the dead letters; put the job back when the cause is mended.",
    "retryable": True,
    "details": {},
}
_TIMEOUT = {
    "code": "job_timeout",
    "message": "The job took longer than it may.",
    "hint": "Raise JOB_TIMEOUT, or give a shorter video.",
    "retryable": False,
    "details": {},
}


def deadline_s(job: Job, settings: Settings) -> float:
    """Seconds that a job may run: the setting, or twenty times its media when that is more."""
    return max(settings.job_timeout, _LENGTHS * job.media_s)


class Reconciler:
    """Watches events while they come, and looks for itself every few seconds."""

    def __init__(
        self,
        db: Database,
        jobs: Jobs,
        orchestrator: Orchestrator,
        tracking: Tracking,
        settings: Settings,
        holder: str,
    ) -> None:
        self._db, self._jobs, self._orchestrator, self._tracking = db, jobs, orchestrator, tracking
        self._settings, self._holder = settings, holder
        self._strays: dict[str, float] = {}
        self._since_s = time.time()  # that signs of life have been listened for without a gap

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. A fault in one of the two loops ends the other before it is raised."""
        over = asyncio.Event()

        async def until_over(loop: Callable[[asyncio.Event], Awaitable[None]]) -> None:
            try:
                await loop(over)
            finally:
                over.set()

        async def end() -> None:
            await stop.wait()
            over.set()

        ending = asyncio.create_task(end())
        try:
            ends = await asyncio.gather(until_over(self._look), until_over(self._watch), return_exceptions=True)
        finally:
            ending.cancel()
        for fault in ends:
            if fault is not None:
                raise fault

    async def _holds_lease(self) -> bool:
        return await take_lease(self._db, "reconcile", self._holder, for_s=LEASE_S) is not None

    async def _look(self, stop: asyncio.Event) -> None:
        looked_s = time.time()
        while not stop.is_set():
            now_s = time.time()
            if now_s - looked_s > _GAP_S:
                self._since_s = now_s  # a machine that slept, or a database that was away
            looked_s = now_s
            with suppress(OrchestratorUnavailable, DatabaseUnavailable):
                if await self._holds_lease():
                    await self.once()
            await pause(stop, _EVERY_S)

    async def _watch(self, stop: asyncio.Event) -> None:
        """Events from Prefect, applied one by one, with a new connection whenever one is lost."""
        while not stop.is_set():
            with suppress(DatabaseUnavailable):
                if await self._holds_lease():
                    await self._follow(stop)
            await pause(stop, _RECONNECT_S)

    async def _follow(self, stop: asyncio.Event) -> None:
        """One connection, until it is lost or the service stops."""
        self._since_s = time.time()
        arrived: asyncio.Queue[RunEvent | None] = asyncio.Queue()

        async def read() -> None:
            try:
                async for event in self._orchestrator.events():
                    arrived.put_nowait(event)
            except OrchestratorUnavailable as error:
                _LOG.info("events are looked for again: %s", error.message)
            finally:
                arrived.put_nowait(None)

        async def end() -> None:
            await stop.wait()
            arrived.put_nowait(None)

        # Only these two are ever cancelled, and neither touches the database.
        helpers = [asyncio.create_task(read()), asyncio.create_task(end())]
        try:
            while (event := await arrived.get()) is not None:
                with suppress(DatabaseUnavailable, StorageError):  # the next comparison will find it
                    await self._tracking.apply(event)
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def once(self, now_s: float | None = None) -> None:
        """Compare every open job with its run."""
        now_s = time.time() if now_s is None else now_s
        async with self._db.read() as session:
            query = select(Job).where(col(Job.status).in_(("queued", "processing")), col(Job.flow_run_id).is_not(None))
            jobs = list((await session.exec(query)).all())
        states = await self._orchestrator.read_runs([j.flow_run_id for j in jobs if j.flow_run_id])
        for job in jobs:
            state = states.get(job.flow_run_id or "")
            if state is None:
                await self._tracking.change(
                    job,
                    {
                        "flow_run_id": None,
                        "status": "queued",
                        "run_state": "",
                        "lease_s": 0.0,
                        "attempt": job.attempt + 1,
                    },
                    kind="requeued",
                    message="The run is gone; a new one is made.",
                )
                self._jobs.wake.set()
                continue
            try:
                await self._tracking.apply_state(state)
                await self._mend(job, state, now_s)
            except StorageError as error:  # this job's result cannot be read now; the others have theirs
                _LOG.warning("job %s is looked at again: %s", job.id, error.message)
        await self._end_strays(now_s)
        await self._forget(now_s)

    async def _mend(self, job: Job, state: RunState, now_s: float) -> None:
        run_id = state.run_id
        age_s = now_s - state.at_s
        if state.type == "CRASHED":
            if job.is_cancelling:
                await self._orchestrator.end(run_id, "CANCELLED", "Cancelled by the user.")
            elif age_s >= _CRASH_AGE_S:
                await self._after_crash(job, run_id)
        elif state.type == "CANCELLING" and age_s >= _CANCEL_S:
            await self._orchestrator.end(run_id, "CANCELLED", "It did not end by itself.")
        elif job.is_cancelling and state.type in ("SCHEDULED", "PENDING", "RUNNING"):
            await self._orchestrator.cancel(run_id)
        elif state.type == "PENDING" and age_s >= _SILENCE_S:
            await self._orchestrator.end(run_id, "CRASHED", "It did not begin.")
        elif state.type == "RUNNING":
            started_s = job.started_s or state.at_s
            alive_s = max(job.alive_s or 0.0, state.at_s, self._since_s)
            if now_s - started_s > deadline_s(job, self._settings):
                await self._fail(job, _TIMEOUT, is_dead=False)
                await self._orchestrator.end(run_id, "CANCELLED", "The job took longer than it may.")
            elif now_s - alive_s > _SILENCE_S:
                await self._orchestrator.end(run_id, "CRASHED", "No sign of life.")

    async def _after_crash(self, job: Job, run_id: str) -> None:
        if job.crashes >= self._settings.crash_retries:
            await self._fail(job, _DEAD, is_dead=True)
            return
        number = job.crashes + 1
        taken = await self._tracking.change(
            job, {"crashes": number}, kind="crash", message=f"The worker was lost; start {number + 1}."
        )
        if taken:
            await self._orchestrator.resume(run_id, f"The worker was lost ({number}).")

    async def _fail(self, job: Job, error: dict[str, Any], *, is_dead: bool) -> None:
        values = {"status": "failed", "error": error, "ended_s": time.time(), "is_dead": is_dead}
        await self._tracking.change(job, values, kind="state", message=error["message"])

    async def _end_strays(self, now_s: float) -> None:
        """Runs that no open job points to: made by a dispatcher that died, or of a job that was cancelled meanwhile."""
        runs = await self._orchestrator.open_runs()
        async with self._db.read() as session:
            rows = await session.exec(
                select(Job.id, Job.flow_run_id, Job.status, Job.lease_s).where(col(Job.id).in_(set(runs.values())))
            )
            known = {job_id: (run_id, status, lease_s) for job_id, run_id, status, lease_s in rows}
        seen: dict[str, float] = {}
        for run_id, job_id in runs.items():
            row = known.get(job_id)
            mine = row is not None and (row[0] == run_id or (row[0] is None and row[1] not in ENDED))
            if mine:
                continue
            seen[run_id] = self._strays.get(run_id, now_s)
            if now_s - seen[run_id] >= _STRAY_AGE_S:
                _LOG.warning("ending a run that belongs to no open job")
                await self._orchestrator.cancel(run_id)
        self._strays = seen

    async def _forget(self, now_s: float) -> None:
        async with self._db.begin() as session:
            await session.exec(delete(IdempotentAnswer).where(col(IdempotentAnswer.created_s) < now_s - _ANSWERS_S))
