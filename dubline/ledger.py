"""What the engines and ffmpeg cost: intervals of busy time, kept per process.

Stages run in threads, so intervals overlap; `union_s` counts wall seconds in which at least one part was busy,
`total_s` adds up every thread's own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Interval(NamedTuple):
    part: str
    start_s: float
    end_s: float
    thread: int = 0


_lock = threading.Lock()
_intervals: list[Interval] = []
_MOST = 100_000  # a server lives long: the older half goes


@contextmanager
def busy(part: str) -> Iterator[None]:
    """Record the time spent inside, under a name such as `tts:kokoro` or `ffmpeg`."""
    start_s = time.time()
    try:
        yield
    finally:
        with _lock:
            _intervals.append(Interval(part, start_s, time.time(), threading.get_ident()))
            if len(_intervals) > _MOST:
                del _intervals[: _MOST // 2]


def intervals(since_s: float = 0.0, *, thread: int | None = None) -> list[Interval]:
    """Intervals that began at or after `since_s` (epoch seconds), of one thread or of all."""
    with _lock:
        return [i for i in _intervals if i.start_s >= since_s and thread in (None, i.thread)]


def union_s(rows: list[Interval]) -> float:
    """Wall seconds covered by at least one interval."""
    total, edge = 0.0, float("-inf")
    for row in sorted(rows, key=lambda r: r.start_s):
        total += max(0.0, row.end_s - max(row.start_s, edge))
        edge = max(edge, row.end_s)
    return total


def total_s(rows: list[Interval]) -> dict[str, float]:
    """Seconds by part, added over threads."""
    out: dict[str, float] = {}
    for row in rows:
        out[row.part] = out.get(row.part, 0.0) + row.end_s - row.start_s
    return {k: round(v, 3) for k, v in sorted(out.items())}
