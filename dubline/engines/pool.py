"""Engines of this process: one instance each, shared, counted, unloaded when memory is wanted."""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dubline.engines.base import EngineKind
from dubline.engines.registry import get
from dubline.models import EngineChoice
from dubline.settings import Settings

_Key = tuple[str, str, str, str]
_DEFAULT_BYTES = {
    "stt": 350_000_000,
    "mt": 120_000_000,
    "tts": 550_000_000,
    "separate": 150_000_000,
    "diarize": 100_000_000,
}
"""What a loaded engine holds with its working memory, for plug-ins that do not say (`memory_bytes`)."""


@dataclass
class _Seat:
    kind: EngineKind
    size_bytes: int
    engine: Any = None
    users: int = 0
    used_s: float = 0.0
    hits: int = 0
    misses: int = 0
    loads: int = 0
    unloads: int = 0
    loading: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Loaded:
    """A loaded engine: what it holds, who uses it now, and what happened to it since the process began."""

    kind: EngineKind
    engine: str
    model: str
    size_bytes: int
    users: int
    idle_s: float
    hits: int
    misses: int
    loads: int
    unloads: int


_lock = threading.Lock()
_seats: dict[_Key, _Seat] = {}


def _key(choice: EngineChoice) -> _Key:
    return choice.kind, choice.engine, choice.model, choice.fingerprint


def _size(choice: EngineChoice, settings: Settings) -> int:
    said = getattr(get(choice.kind, choice.engine), "memory_bytes", None)
    return int(said(settings, choice.model or None)) if said is not None else _DEFAULT_BYTES[choice.kind]


@contextmanager
def acquire(choice: EngineChoice, settings: Settings) -> Iterator[Any]:
    """The engine of a choice, loaded once however many threads ask, and kept while the block runs.

    Raises:
        EngineUnavailable: it cannot be loaded; the next call tries again.
    """
    size_bytes = _size(choice, settings)
    with _lock:
        seat = _seats.setdefault(_key(choice), _Seat(choice.kind, size_bytes))
        seat.users += 1
    try:
        with seat.loading:
            if seat.engine is None:
                seat.misses += 1
                _make_room(seat, settings)
                seat.engine = get(choice.kind, choice.engine).load(settings, choice.model or None)
                seat.loads += 1
            else:
                seat.hits += 1
        yield seat.engine
    finally:
        with _lock:
            seat.users -= 1
            seat.used_s = time.monotonic()
            if not settings.model_cache_enabled and not seat.users and seat.engine is not None:
                _drop(seat)


def preload(choice: EngineChoice, settings: Settings) -> None:
    """Load an engine ahead of its first use."""
    with acquire(choice, settings):
        pass


def peek(choice: EngineChoice) -> Any:
    """The engine of a choice when it is loaded, else None. It is not held: ask it only what cannot fail."""
    with _lock:
        seat = _seats.get(_key(choice))
        return seat.engine if seat is not None else None


def unload_idle(kind: EngineKind | None = None, *, idle_s: float = 0.0) -> int:
    """Drop engines that nobody uses and nobody used for `idle_s` seconds. Returns how many."""
    with _lock:
        until_s = time.monotonic() - idle_s
        idle = [s for s in _seats.values() if s.engine is not None and not s.users and s.used_s <= until_s]
        return sum(_drop(seat) for seat in idle if kind in (None, seat.kind))


def loaded() -> list[Loaded]:
    """The engines that are loaded now."""
    with _lock:
        now_s = time.monotonic()
        return [
            Loaded(
                kind=seat.kind,
                engine=key[1],
                model=key[2],
                size_bytes=seat.size_bytes,
                users=seat.users,
                idle_s=0.0 if seat.users else round(now_s - seat.used_s, 3),
                hits=seat.hits,
                misses=seat.misses,
                loads=seat.loads,
                unloads=seat.unloads,
            )
            for key, seat in _seats.items()
            if seat.engine is not None
        ]


def _make_room(wanted: _Seat, settings: Settings) -> None:
    """Unload the idle, least recently used first, until the wanted engine fits the bound.

    What is in use stays: the bound gives way to work that is under way.
    """
    with _lock:
        others = [s for s in _seats.values() if s.engine is not None or (s.users and s is not wanted)]
        held = sum(s.size_bytes for s in others)
        for seat in sorted(others, key=lambda s: s.used_s):
            if held + wanted.size_bytes <= settings.engine_memory_bytes:
                return
            if not seat.users:
                held -= seat.size_bytes
                _drop(seat)


def _drop(seat: _Seat) -> int:
    engine, seat.engine = seat.engine, None
    seat.unloads += 1
    engine.close()
    del engine
    gc.collect()
    _give_back()
    return 1


def _give_back() -> None:
    """Hand freed memory to the system: glibc keeps it otherwise. Other C libraries have no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
