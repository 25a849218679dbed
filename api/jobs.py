"""Jobs as their user sees them: create, read, list, cancel, retry, delete. Every query takes the user."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import col, delete, select

from api.db import Database
from api.live import Hub, Update
from api.problems import Problem, not_found
from api.requests import JobParameters, Work
from api.runs import Orchestrator, OrchestratorUnavailable
from api.states import ENDED
from api.tables import Job, JobBlob, JobEvent, JobRevision, StoredFile
from api.tracking import Tracking, add_event
from dubline.contract import failure_record, first_minute_record, manifest_record, revision_record
from dubline.storage.base import ArtifactStore
from dubline.storage.local import blob_uri

_MOST_DELETES = 500


@dataclass(frozen=True)
class Filters:
    """Which of a user's jobs, in which order. Times are seconds since the epoch."""

    status: str | None = None
    job_type: str | None = None
    target_language: str | None = None
    created_after_s: float | None = None
    created_before_s: float | None = None
    q: str | None = None
    order: str = "newest"
    limit: int = 20
    offset: int = 0


class Jobs:
    """The service behind the routes."""

    def __init__(
        self, db: Database, store: ArtifactStore, orchestrator: Orchestrator, hub: Hub, tracking: Tracking
    ) -> None:
        self._db, self._store, self._orchestrator = db, store, orchestrator
        self._hub, self._tracking = hub, tracking
        self.wake = asyncio.Event()
        """Set when something waits for the dispatcher."""

    async def create(
        self,
        user_id: str,
        work: Work,
        file: StoredFile,
        *,
        status: str,
        job_id: str,
        filename: str | None = None,
    ) -> Job:
        """Record a job: `uploaded` and `queued` ones go to the dispatcher, a `pending` one waits for `start`."""
        return (await self.create_many(user_id, [(job_id, work, file)], status=status, filename=filename))[0]

    async def create_many(
        self,
        user_id: str,
        rows: Sequence[tuple[str, Work, StoredFile]],
        *,
        status: str,
        filename: str | None = None,
    ) -> list[Job]:
        """Record jobs under the given ids in one transaction: all or none. Those there already are given as they are.

        Raises:
            Problem: 409, when an id is another user's.
        """
        now_s = time.time()
        jobs = [
            Job(
                id=job_id,
                user_id=user_id,
                job_type=work.job_type,
                status=status,
                file_id=file.id,
                source_uri=f"{blob_uri(file.sha256)}?size={file.size_bytes}",
                filename=filename or file.filename,
                size_bytes=file.size_bytes,
                media_s=file.duration_s,
                source_language=work.source_language,
                target_language=work.target_language,
                priority=work.priority,
                options=work.options,
                request=work.request,
                # Rows of one call keep their order in the queue.
                created_s=now_s + number * 1e-6,
                updated_s=now_s + number * 1e-6,
            )
            for number, (job_id, work, file) in enumerate(rows)
        ]
        async with self._db.begin() as session:
            query = select(Job).where(col(Job.id).in_([j.id for j in jobs]))
            known = {j.id: j for j in (await session.exec(query)).all()}
            if any(j.user_id != user_id for j in known.values()):
                raise Problem(409, "There is a job with this id already.", code="job_exists")
            for job in jobs:
                if job.id not in known:
                    session.add(job)
                    add_event(session, job, "created", "The job was created.")
        jobs = [known.get(j.id, j) for j in jobs]
        for job in jobs:
            await self._hub.publish(Update(job=job, kind="state"))
        if status != "pending":
            self.wake.set()
        return jobs

    async def get(self, user_id: str, job_id: str) -> Job:
        """One of the user's jobs.

        Raises:
            Problem: 404.
        """
        async with self._db.read() as session:
            job = await session.get(Job, job_id)
        if job is None or job.user_id != user_id:
            raise not_found("job", "job_not_found")
        return job

    async def find(self, user_id: str, filters: Filters) -> tuple[list[Job], int]:
        """A page of the user's jobs, and how many there are in all."""
        where: list[Any] = [col(Job.user_id) == user_id]
        if filters.status:
            where.append(col(Job.status) == filters.status)
        if filters.job_type:
            where.append(col(Job.job_type) == filters.job_type)
        if filters.target_language:
            where.append(func.lower(col(Job.target_language)) == filters.target_language.lower())
        if filters.created_after_s is not None:
            where.append(col(Job.created_s) >= filters.created_after_s)
        if filters.created_before_s is not None:
            where.append(col(Job.created_s) <= filters.created_before_s)
        if filters.q:
            escaped = filters.q.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            where.append(func.lower(col(Job.filename)).like(f"%{escaped}%", escape="\\"))
        order = col(Job.created_s).asc() if filters.order == "oldest" else col(Job.created_s).desc()
        async with self._db.read() as session:
            total = (await session.exec(select(func.count()).select_from(Job).where(*where))).one()
            page = select(Job).where(*where).order_by(order, col(Job.id)).limit(filters.limit).offset(filters.offset)
            rows = (await session.exec(page)).all()
        return list(rows), total

    async def history(self, user_id: str, job_id: str, after: int = 0) -> list[JobEvent]:
        """The job's events with an id above `after`, oldest first."""
        await self.get(user_id, job_id)
        async with self._db.read() as session:
            query = select(JobEvent).where(JobEvent.job_id == job_id, col(JobEvent.id) > after)
            return list((await session.exec(query.order_by(col(JobEvent.id)))).all())

    async def cancel(self, user_id: str, job_id: str) -> Job:
        """Cancel a job that has not ended; one that Prefect holds is ended by its worker a moment later.

        Raises:
            Problem: 404, or 409 when it has ended.
        """
        job = await self.get(user_id, job_id)
        if job.status in ENDED:
            raise Problem(409, f"The job is {job.status} already.", code="job_ended")
        if job.flow_run_id is None:
            # A dispatcher may be handing it over this very moment: it looks again after it did.
            values = {"status": "cancelled", "ended_s": time.time()}
            await self._tracking.change(job, values, kind="cancelled", message="Cancelled before it started.")
        else:
            await self._tracking.change(job, {"is_cancelling": True}, kind="cancelling", message="Cancelling.")
            with suppress(OrchestratorUnavailable):  # the wish is in the row: the reconciler asks again
                await self._orchestrator.cancel(job.flow_run_id)
        return await self.get(user_id, job_id)

    async def start(self, user_id: str, job_id: str) -> Job:
        """Hand over a `pending` or `failed` job.

        Raises:
            Problem: 404, or 409 for any other status.
        """
        job = await self.get(user_id, job_id)
        if job.status not in ("pending", "failed"):
            raise Problem(
                409,
                f"The job is {job.status}; only pending and failed jobs can be started.",
                code="job_status",
                details={"status": job.status},
            )
        return await self._begin_again(job, "started" if job.status == "pending" else "retried")

    async def retry(self, user_id: str, job_id: str) -> Job:
        """Start a failed or cancelled job again; what its stages finished is taken from the cache.

        Raises:
            Problem: 404, or 409 for any other status.
        """
        job = await self.get(user_id, job_id)
        if job.status not in ("failed", "cancelled"):
            raise Problem(
                409,
                f"The job is {job.status}; only failed and cancelled jobs can be retried.",
                code="job_status",
                details={"status": job.status},
            )
        return await self._begin_again(job, "retried")

    async def render(self, job: Job, revision: int, edits: Sequence[dict[str, Any]]) -> Job:
        """Make an ended job's result anew with a person's edits; the result there is stays until then.

        Raises:
            Problem: 409, when the job was changed meanwhile.
        """
        values = {"revision": revision, "options": {**job.options, "edits": list(edits)}}
        return await self._begin_again(job, "rendered", values)

    async def _begin_again(self, job: Job, kind: str, values: Mapping[str, Any] | None = None) -> Job:
        async with self._db.begin() as session:
            fresh = await session.get(Job, job.id, with_for_update=True)
            if fresh is None or (fresh.attempt, fresh.status) != (job.attempt, job.status):
                raise Problem(409, "The job was changed meanwhile.", code="job_status")
            fresh.status, fresh.updated_s = "queued", max(time.time(), job.updated_s + 1e-3)
            for name, value in (values or {}).items():
                setattr(fresh, name, value)
            if kind != "started":
                fresh.attempt += 1
                fresh.crashes, fresh.progress, fresh.stage, fresh.step = 0, 0.0, "", ""
                fresh.error, fresh.is_dead, fresh.is_cancelling = None, False, False
                fresh.flow_run_id, fresh.run_state, fresh.lease_s = None, "", 0.0
                fresh.started_s = fresh.ended_s = fresh.alive_s = None
            session.add(fresh)
            event = add_event(session, fresh, kind, "Waits for a worker.")
            await session.flush()
            number = event.id or 0
        await self._hub.publish(Update(job=fresh, kind="state", event_id=number))
        self.wake.set()
        return fresh

    async def delete(self, user_id: str, job_id: str) -> None:
        """Delete an ended or pending job, its records, and what of its result no other job names.

        While others are at work, the content is left to the daily sweep.

        Raises:
            Problem: 404, or 409 while it is queued or at work.
        """
        job = await self.get(user_id, job_id)
        if job.status not in ENDED and job.status != "pending":
            raise Problem(409, f"The job is {job.status}; cancel it first.", code="job_status")
        async with self._db.begin() as session:
            mine = set((await session.exec(select(JobBlob.sha256).where(JobBlob.job_id == job_id))).all())
            others = select(JobBlob.sha256).where(col(JobBlob.sha256).in_(mine), JobBlob.job_id != job_id)
            shared = set((await session.exec(others)).all())
            # What is at work may have taken from the cache what this one made, and says so only at its end.
            open_ones = select(Job.id).where(col(Job.status).in_(("uploaded", "queued", "processing"))).limit(1)
            if (await session.exec(open_ones)).first() is not None:
                shared |= mine
            uploads = select(StoredFile.sha256).where(col(StoredFile.sha256).in_(mine))
            shared |= set((await session.exec(uploads)).all())
            revisions = (await session.exec(select(JobRevision.revision).where(JobRevision.job_id == job_id))).all()
            await session.exec(delete(JobBlob).where(col(JobBlob.job_id) == job_id))
            await session.exec(delete(JobRevision).where(col(JobRevision.job_id) == job_id))
            await session.exec(delete(JobEvent).where(col(JobEvent.job_id) == job_id))
            await session.exec(delete(Job).where(col(Job.id) == job_id))

        def remove() -> None:
            kept = (revision_record(job_id, n) for n in (0, *revisions))
            for record in (manifest_record(job_id), failure_record(job_id), first_minute_record(job_id), *kept):
                self._store.delete_record(record)
            for sha256 in mine - shared:
                self._store.delete(sha256)

        await asyncio.to_thread(remove)

    async def each(
        self, user_id: str, ids: Sequence[str], act: Callable[[str, str], Awaitable[object]]
    ) -> list[tuple[str, Problem | None]]:
        """Do one thing to many jobs; what cannot be done to one does not stop the others."""
        rows: list[tuple[str, Problem | None]] = []
        for job_id in ids:
            try:
                await act(user_id, job_id)
                rows.append((job_id, None))
            except Problem as problem:
                rows.append((job_id, problem))
        return rows

    async def waiting(self, user_id: str) -> list[str]:
        """Ids of the user's jobs that no worker has yet."""
        async with self._db.read() as session:
            query = select(Job.id).where(col(Job.user_id) == user_id, col(Job.status).in_(("uploaded", "queued")))
            return list((await session.exec(query)).all())

    async def dead(self, user_id: str) -> list[Job]:
        """Jobs that failed for good because their workers were lost, or whose failure would only repeat itself."""
        async with self._db.read() as session:
            query = select(Job).where(Job.user_id == user_id, col(Job.is_dead).is_(True))
            return list((await session.exec(query.order_by(col(Job.ended_s).desc()).limit(_MOST_DELETES))).all())


def as_parameters(job: Job) -> JobParameters:
    """The parameters of a job, to ask for it again."""
    return JobParameters.model_validate({**job.request, "job_type": job.job_type, "priority": job.priority})
