"""What runs say, written into the rows: every change of a job goes through here, is kept as an event and published.

The rules: an ended attempt stays ended, progress never falls, and a message about another run than the row's own
changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.db import Database
from api.live import Hub, Update
from api.runs import RunAlive, RunEvent, RunState
from api.states import ENDED, job_status
from api.tables import Job, JobBlob, JobEvent
from dubline.contract import Progress, failure_record, manifest_record
from dubline.storage.base import ArtifactStore

_WORDS = {
    "uploaded": "Stored.",
    "pending": "Created, waits to be started.",
    "queued": "Waits for a worker.",
    "processing": "A worker has it.",
    "completed": "Done.",
    "failed": "Failed.",
    "cancelled": "Cancelled.",
}
_LOST_RESULT = {
    "code": "result_missing",
    "message": "The run ended well, but its result is not in the store.",
    "hint": "Try again; what is still there is not made anew.",
    "retryable": True,
    "details": {},
}
_UNKNOWN = {
    "code": "internal_error",
    "message": "The job failed for an internal reason.",
    "hint": "Try again; the Prefect run has the details.",
    "retryable": True,
    "details": {},
}


class Tracking:
    """Applies events of runs to jobs."""

    def __init__(self, db: Database, store: ArtifactStore, hub: Hub) -> None:
        self._db, self._store, self._hub = db, store, hub

    async def apply(self, event: RunEvent) -> None:
        """Write what an event says. Unknown runs and jobs are somebody else's and are passed over."""
        if isinstance(event, Progress):
            await self.apply_progress(event)
        elif isinstance(event, RunAlive):
            await self._alive(event)
        else:
            await self.apply_state(event)

    async def apply_state(self, state: RunState) -> None:
        """Bring the job of a run to the run's state, with its result or its error when it ended."""
        async with self._db.read() as session:
            job = (await session.exec(select(Job).where(Job.flow_run_id == state.run_id))).first()
        if job is None or job.status in ENDED:
            return
        status = job_status(state.type, state.name)
        run_state = f"{state.type}/{state.name}"
        if status == job.status and run_state == job.run_state:
            return
        values: dict[str, Any] = {"run_state": run_state, "status": status}
        blobs: list[str] = []
        if status == "processing" and job.started_s is None:
            values["started_s"] = state.at_s
        if status == "processing":
            values["alive_s"] = max(state.at_s, job.alive_s or 0.0)
        if state.type == "CANCELLING":
            values["is_cancelling"] = True
        if status == "queued" and job.status == "processing":
            values["status"] = status = "processing"  # taken up again: it has not gone back to the queue for people
        if status in ENDED:
            values["ended_s"] = state.at_s
            values["is_cancelling"] = False
        if status == "completed":
            result = await self._record(manifest_record(job.id))
            if result is None:
                values |= {"status": "failed", "error": _LOST_RESULT, "is_dead": True}
            else:
                values |= {"result": result, "progress": 100.0}
                blobs = [a["ref"]["sha256"] for a in result["artifacts"]]
        elif status == "failed":
            values["error"] = await self._record(failure_record(job.id)) or _UNKNOWN
            # A refused video is its person's to mend; what failed for another reason is kept to be put back.
            values["is_dead"] = bool(values["error"].get("retryable"))
        is_news = values["status"] != job.status or state.type in ("CRASHED", "CANCELLING")
        if is_news or state.name == "AwaitingRetry":
            await self.change(job, values, kind="state", message=_message(values["status"], state), blobs=blobs)
        else:
            async with self._db.begin() as session:  # Prefect's steps between two of ours are nobody's news
                await session.exec(update(Job).where(col(Job.id) == job.id).values(run_state=run_state))

    async def apply_progress(self, progress: Progress) -> None:
        """Move the bar, never backwards."""
        now_s = time.time()
        async with self._db.begin() as session:
            job = await session.get(Job, progress.job_id)
            if job is None or job.status not in ("queued", "processing") or job.is_cancelling:
                return
            began = job.status == "queued"
            if began:
                job.status, job.started_s = "processing", job.started_s or progress.at_s
                job.run_state = "RUNNING/Running"
            job.progress = max(job.progress, min(99.9, progress.percentage))
            job.stage, job.step = progress.stage, progress.message
            job.alive_s, job.updated_s = progress.at_s, now_s
            session.add(job)
        await self._hub.publish(Update(job=job, kind="state" if began else "progress"))

    async def _alive(self, sign: RunAlive) -> None:
        async with self._db.begin() as session:
            await session.exec(update(Job).where(col(Job.flow_run_id) == sign.run_id).values(alive_s=sign.at_s))

    async def change(
        self, job: Job, values: dict[str, Any], *, kind: str, message: str, blobs: Sequence[str] = ()
    ) -> bool:
        """Change a job, keep the event and publish it. False when its attempt ended or was replaced meanwhile."""
        now_s = max(time.time(), job.updated_s + 1e-3)
        async with self._db.begin() as session:
            done = await session.exec(
                update(Job)
                .where(
                    col(Job.id) == job.id,
                    col(Job.attempt) == job.attempt,
                    col(Job.status).not_in(ENDED),
                )
                .values(**values, updated_s=now_s)
            )
            if done.rowcount == 0:
                return False
            for sha256 in set(blobs):
                await session.merge(JobBlob(job_id=job.id, sha256=sha256))
            fresh = await self._reload(session, job.id)
            event = add_event(session, fresh, kind, message)
            await session.flush()
            number = event.id or 0
        await self._hub.publish(Update(job=fresh, kind="state", event_id=number))
        return True

    @staticmethod
    async def _reload(session: AsyncSession, job_id: str) -> Job:
        return (await session.exec(select(Job).where(Job.id == job_id).execution_options(populate_existing=True))).one()

    async def _record(self, name: str) -> dict[str, Any] | None:
        data = await asyncio.to_thread(self._store.get_record, name)
        return json.loads(data) if data is not None else None


def add_event(session: AsyncSession, job: Job, kind: str, message: str, data: dict[str, Any] | None = None) -> JobEvent:
    """A line in the job's history, in the caller's transaction."""
    event = JobEvent(
        job_id=job.id,
        user_id=job.user_id,
        at_s=time.time(),
        kind=kind,
        status=job.status,
        message=message,
        data={"attempt": job.attempt, **(data or {})},
    )
    session.add(event)
    return event


def _message(status: str, state: RunState) -> str:
    if state.type == "CRASHED":
        return "The worker was lost."
    if state.type == "CANCELLING":
        return "Cancelling."
    if state.name == "AwaitingRetry":
        return "Waits to be taken up again."
    return _WORDS[status]
