"""What people no longer want kept: ended jobs and uploads past their days. Their content goes with the daily sweep."""

from __future__ import annotations

import asyncio
import time

from sqlmodel import col, delete, select

from api.db import Database
from api.jobs import Jobs
from api.resumable import ResumableUploads
from api.states import ENDED
from api.tables import Job, StoredFile
from api.uploads import upload_record
from api.waiting import pause
from dubline.storage.base import ArtifactStore

_EVERY_S = 3600.0
_AT_ONCE = 200


class Retention:
    """Deletes what is past its time, an hour after another."""

    def __init__(
        self, db: Database, jobs: Jobs, resumable: ResumableUploads, store: ArtifactStore, retention_days: float
    ) -> None:
        self._db, self._jobs, self._resumable, self._store = db, jobs, resumable, store
        self._keep_s = retention_days * 24 * 3600.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            await self.once()
            await pause(stop, _EVERY_S)

    async def once(self, now_s: float | None = None) -> tuple[int, int]:
        """Delete old ended jobs, old uploads that no job names, and pieces of uploads that nobody goes on with.

        Returns:
            How many jobs, and how many uploads that were whole.
        """
        now_s = time.time() if now_s is None else now_s
        await self._resumable.sweep(now_s)
        before_s = now_s - self._keep_s
        async with self._db.read() as session:
            old = select(Job.user_id, Job.id).where(col(Job.status).in_(ENDED), col(Job.ended_s) < before_s)
            jobs = list((await session.exec(old.limit(_AT_ONCE))).all())
        for user_id, job_id in jobs:
            await self._jobs.delete(user_id, job_id)
        async with self._db.begin() as session:
            used = select(Job.file_id).where(col(Job.file_id).is_not(None))
            idle = select(StoredFile.id).where(col(StoredFile.created_s) < before_s, col(StoredFile.id).not_in(used))
            files = list((await session.exec(idle.limit(_AT_ONCE))).all())
            await session.exec(delete(StoredFile).where(col(StoredFile.id).in_(files)))
        for file_id in files:
            await asyncio.to_thread(self._store.delete_record, upload_record(file_id))
        return len(jobs), len(files)
