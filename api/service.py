"""Everything behind the routes, made once and started and stopped with the application."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter
from typing import Protocol

from api.db import Database, database_url
from api.dispatch import Dispatcher
from api.idempotency import Idempotency
from api.jobs import Jobs
from api.live import open_hub
from api.metrics import Metrics
from api.reconcile import Reconciler
from api.requests import JobParameters, Work, check_request
from api.resumable import ResumableUploads
from api.retention import Retention
from api.revisions import Revisions
from api.runs import Orchestrator
from api.tables import Job
from api.tracking import Tracking
from api.uploads import Uploads
from api.voice_samples import VoiceSamples
from api.waiting import pause
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore

_LOG = logging.getLogger("dubline.api")
_KNOWN_WORKS = 256
_RESTART_S = 1.0


class Service:
    """The parts, wired. `orchestrator` and `store` are given, so that tests can give others."""

    def __init__(self, settings: Settings, store: ArtifactStore, orchestrator: Orchestrator) -> None:
        self.settings, self.store, self.orchestrator = settings, store, orchestrator
        self.db = Database(database_url(settings))
        self.hub = open_hub(settings.redis_url)
        self.tracking = Tracking(self.db, store, self.hub)
        self.jobs = Jobs(self.db, store, orchestrator, self.hub, self.tracking)
        self.revisions = Revisions(self.db, store, self.jobs, settings)
        self.uploads = Uploads(self.db, store, settings)
        self.resumable = ResumableUploads(self.db, self.uploads, settings)
        self.idempotency = Idempotency(self.db)
        self.dispatcher = Dispatcher(self.db, self.jobs, orchestrator, self.tracking, settings)
        self.reconciler = Reconciler(
            self.db, self.jobs, orchestrator, self.tracking, settings, holder=self.dispatcher.holder
        )
        self.retention = Retention(self.db, self.jobs, self.resumable, store, settings.retention_days)
        self.sockets: Counter[str] = Counter()
        """Open WebSocket connections by job id; `*` watches all jobs, `health` none."""
        self.voice_samples = VoiceSamples(settings)
        self.metrics = Metrics()
        self.started_s = time.time()
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._works: dict[str, Work] = {}

    async def start(self) -> None:
        """Bring the schema up to date, then begin to hand over and to watch."""
        await self.db.migrate()
        await self.hub.start()
        loops = (self.dispatcher, self.reconciler, self.retention)
        self._tasks = [asyncio.create_task(_keep(loop, self._stop)) for loop in loops]

    async def stop(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)
        await self.hub.close()
        await self.db.close()
        close = getattr(self.orchestrator, "close", None)
        if close is not None:
            await close()

    async def check(self, request: JobParameters) -> Work:
        """`check_request`, off the event loop, remembered: a thousand equal requests are checked once.

        Raises:
            Problem: 422.
        """
        text = f"{type(request).__name__}{request.model_dump_json()}"
        key = hashlib.sha256(text.encode()).hexdigest()
        if key not in self._works:
            work = await asyncio.to_thread(check_request, request, self.settings)
            if len(self._works) >= _KNOWN_WORKS:
                self._works.clear()
            self._works[key] = work
        return self._works[key]

    async def job_status(self, user_id: str, job_id: str) -> Job:
        """A job for a status poll: from Redis when it was published there a moment ago, otherwise from its row."""
        cached = await self.hub.cached(job_id)
        if cached is not None and cached.user_id == user_id:
            return cached
        return await self.jobs.get(user_id, job_id)


class _Loop(Protocol):
    async def run(self, stop: asyncio.Event) -> None: ...


async def _keep(loop: _Loop, stop: asyncio.Event) -> None:
    """Run a loop until the stop; a fault in it is logged and it begins again."""
    while not stop.is_set():
        try:
            await loop.run(stop)
        except Exception:  # the loops are the service's heart: whatever stops one must not end it
            _LOG.exception("the %s failed and begins again", type(loop).__name__.lower())
            await pause(stop, _RESTART_S)
