"""The hub: from a change of a job to everybody who watches it.

A slow watcher delays nobody: each has its own small mailbox, in which newer progress takes the place of older and the
end of a job is never dropped. `api.live_redis` has the hub of several API processes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from api.states import ENDED
from api.tables import Job

_MAILBOX = 64

Kind = Literal["state", "progress"]


@dataclass(frozen=True)
class Update:
    """A job as it is after a change. `event_id` numbers the changes of state (0: progress)."""

    job: Job
    kind: Kind
    event_id: int = 0
    _texts: dict[Hashable, str] = field(default_factory=dict, repr=False, compare=False)

    def text(self, shape: Hashable, make: Callable[[], str]) -> str:
        """The message in one shape, made once for all who read that shape."""
        if shape not in self._texts:
            self._texts[shape] = make()
        return self._texts[shape]

    @property
    def is_last(self) -> bool:
        return self.kind == "state" and self.job.status in ENDED


class Mailbox:
    """What one watcher has not read yet."""

    def __init__(self, user_id: str | None, job_id: str | None) -> None:
        self.user_id, self.job_id = user_id, job_id
        self._waiting: OrderedDict[tuple[str, str], Update] = OrderedDict()
        self._arrived = asyncio.Event()
        self.has_ended = False

    def end(self) -> None:
        """Nobody reads any more: who waits in `get` is let go."""
        self.has_ended = True
        self._arrived.set()

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
        """The next update; None when none came in time, or the reader has gone."""
        if not self._waiting and not self.has_ended:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
        if not self._waiting:
            return None
        return self._waiting.popitem(last=False)[1]


class Hub:
    """The mailboxes of this process."""

    def __init__(self) -> None:
        self._boxes: set[Mailbox] = set()

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

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
        self._deliver(update)

    async def cached(self, job_id: str) -> Job | None:
        """The job as it was last published, where that is kept. It may be older than the row by a moment."""
        return None

    def _deliver(self, update: Update) -> None:
        for box in self._boxes:
            if box.wants(update.job):
                box.put(update)


def open_hub(redis_url: str | None) -> Hub:
    """The hub that the settings ask for."""
    if redis_url is None:
        return Hub()
    from api.live_redis import RedisHub  # costs memory that a single process need not spend

    return RedisHub(redis_url)
