"""Whose turn it is in the engine server: one queue a kind, first come, first served, bounded in all."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import get_args

from dubline.engines.base import EngineKind
from dubline.engines.wire import BUSY
from dubline.errors import EngineError
from dubline.models import EngineChoice


@dataclass(eq=False)
class Ticket:
    """A call's place. `ready` is done when its turn has come; `given_up` is set when nobody waits for it any more."""

    choice: EngineChoice
    ready: asyncio.Future[None]
    given_up: threading.Event = field(default_factory=threading.Event)


class Turns:
    """Used from the event loop only. `limit` says how many calls of a choice's kind may run at once."""

    def __init__(self, places: int, limit: Callable[[EngineChoice], int]) -> None:
        self._places, self._limit = places, limit
        self._waiting: dict[EngineKind, deque[Ticket]] = {kind: deque() for kind in get_args(EngineKind)}
        self._running: Counter[EngineKind] = Counter()
        self._is_closed = False

    def join(self, choice: EngineChoice) -> Ticket:
        """Take a place.

        Raises:
            EngineError: `engine_busy`, when every place is taken or the server is stopping.
        """
        if self._is_closed:
            raise busy()
        ticket = Ticket(choice, asyncio.get_running_loop().create_future())
        queue = self._waiting[choice.kind]
        queue.append(ticket)
        self._advance(choice.kind)
        if not ticket.ready.done() and sum(map(len, self._waiting.values())) > self._places:
            queue.remove(ticket)
            raise busy()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give a place back: before its turn, or when its work has ended."""
        kind = ticket.choice.kind
        if not ticket.ready.done():
            self._waiting[kind].remove(ticket)
        elif ticket.ready.exception() is None:
            self._running[kind] -= 1
        self._advance(kind)

    def close(self) -> None:
        """Send everyone away who still waits; what runs may end."""
        self._is_closed = True
        for queue in self._waiting.values():
            while queue:
                queue.popleft().ready.set_exception(busy())

    def counts(self) -> dict[str, dict[str, int]]:
        """Calls waiting and running, by kind."""
        return {k: {"waiting": len(q), "running": self._running[k]} for k, q in self._waiting.items()}

    def _advance(self, kind: EngineKind) -> None:
        queue = self._waiting[kind]
        while queue and self._running[kind] < self._limit(queue[0].choice):
            self._running[kind] += 1
            queue.popleft().ready.set_result(None)


def busy() -> EngineError:
    """The server has no room for a call now."""
    return EngineError("The engines have too much to do.", code=BUSY, hint="Try again in a moment.", retryable=True)
