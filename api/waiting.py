"""Waiting that a stop ends at once. The service's loops are told to stop, not cancelled: a cancelled transaction can
leave its connection behind.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def pause(stop: asyncio.Event, seconds: float, *, wake: asyncio.Event | None = None) -> None:
    """Wait, but no longer than to a stop or, when given, to a wake-up, which is cleared."""
    waiting = [asyncio.ensure_future(e.wait()) for e in (stop, wake) if e is not None]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    if wake is not None:
        wake.clear()
