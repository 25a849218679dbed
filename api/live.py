"""The hub: from a change of a job to everybody who watches it.

A slow watcher delays nobody: each has its own small mailbox, in which newer progress takes the place of older and the
end of a job is never dropped. With Redis, several API processes see one another's changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.states import ENDED
from api.tables import Job

_LOG = logging.getLogger("dubline.live")
_MAILBOX = 64
_CHANNEL = "dubline:jobs"
_CACHE_S = 30
_BACK_OFF_S = 1.0

Kind = Literal["state", "progress"]


@dataclass(frozen=True)
class Update:
    """A job as it is after a change. `event_id` numbers the changes of state (0: progress)."""

    job: Job
    kind: Kind
    event_id: int = 0

    @property
    def is_last(self) -> bool:
        return self.kind == "state" and self.job.status in ENDED


class Mailbox:
    """What one watcher has not read yet."""

    def __init__(self, user_id: str | None, job_id: str | None) -> None:
        self.user_id, self.job_id = user_id, job_id
        self._waiting: OrderedDict[tuple[str, str], Update] = OrderedDict()
        self._arrived = asyncio.Event()

    def wants(self, job: Job) -> bool:
        return self.user_id in (None, job.user_id) and self.job_id in (None, job.id)

    def put(self, update: Update) -> None:
        key = (update.job.id, "progress" if update.kind == "progress" else f"state-{update.job.updated_s}")
        self._waiting.pop(key, None)
        self._waiting[key] = update
        if len(self._waiting) > _MAILBOX:
            oldest = next((k for k, u in self._waiting.items() if not u.is_last), None)
            if oldest is not None:
                del self._waiting[oldest]
        self._arrived.set()

    async def get(self, timeout_s: float) -> Update | None:
        """The next update; None when none came in time."""
        if not self._waiting:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
        if not self._waiting:
            return None
        return self._waiting.popitem(last=False)[1]


class Hub:
    """Mailboxes of this process, and Redis when there is one."""

    def __init__(self, redis_url: str | None = None) -> None:
        self._boxes: set[Mailbox] = set()
        self._redis = Redis.from_url(redis_url, socket_timeout=2.0) if redis_url else None
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._redis is not None:
            self._listener = asyncio.create_task(self._listen(self._redis))

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        if self._redis is not None:
            await self._redis.aclose()

    @asynccontextmanager
    async def watch(self, user_id: str | None, job_id: str | None = None) -> AsyncIterator[Mailbox]:
        """A mailbox for a user's jobs, or for one of them, as long as the block runs."""
        box = Mailbox(user_id, job_id)
        self._boxes.add(box)
        try:
            yield box
        finally:
            self._boxes.discard(box)

    async def publish(self, update: Update) -> None:
        """Tell every watcher. Call it after the change is committed."""
        if self._redis is None:
            self._deliver(update)
            return
        text = f"{update.kind} {update.event_id} {update.job.model_dump_json()}"
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(f"{_CHANNEL}:{update.job.id}", update.job.model_dump_json(), ex=_CACHE_S)
                pipe.publish(_CHANNEL, text)
                await pipe.execute()
        except (RedisError, OSError):
            _LOG.warning("redis does not answer; this process's watchers are told directly")
            self._deliver(update)

    async def cached(self, job_id: str) -> Job | None:
        """The job as it was last published, from Redis; None without it. It may be older than the row by a moment."""
        if self._redis is None:
            return None
        try:
            text = await self._redis.get(f"{_CHANNEL}:{job_id}")
        except (RedisError, OSError):
            return None
        return Job.model_validate_json(text) if text else None

    def _deliver(self, update: Update) -> None:
        for box in self._boxes:
            if box.wants(update.job):
                box.put(update)

    async def _listen(self, redis: Redis) -> None:
        while True:
            try:
                async with redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(_CHANNEL)
                    while True:
                        message = await channel.get_message(timeout=1.0)
                        if message is None:
                            continue
                        kind, number, body = message["data"].decode().split(" ", 2)
                        job = Job.model_validate_json(body)
                        self._deliver(Update(job=job, kind=kind, event_id=int(number)))
            except (RedisError, OSError):
                await asyncio.sleep(_BACK_OFF_S)
