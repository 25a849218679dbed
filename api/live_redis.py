"""The hub of several API processes: changes go through Redis, which keeps the last state of each job a while."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.live import Hub, Update
from api.tables import Job

_LOG = logging.getLogger("dubline.live")
_CHANNEL = "dubline:jobs"
_CACHE_S = 30
_BACK_OFF_S = 1.0


class RedisHub(Hub):
    """Each process sees the changes of all. While Redis is away, each tells its own watchers."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._redis = Redis.from_url(url, socket_timeout=2.0)
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._listener = asyncio.create_task(self._listen())

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        await self._redis.aclose()

    async def publish(self, update: Update) -> None:
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
        try:
            text = await self._redis.get(f"{_CHANNEL}:{job_id}")
        except (RedisError, OSError):
            return None
        return Job.model_validate_json(text) if text else None

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
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
