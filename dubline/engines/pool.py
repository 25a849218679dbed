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
_DEFAULT_BYTES = {"stt": 350_000_000, "mt": 120_000_000, "tts": 550_000_000}
"""What a loaded engine holds with its working memory, for plug-ins that do not say (`memory_bytes`)."""


@dataclass
class _Seat:
    kind: EngineKind
    size_bytes: int
    engine: Any = None
    users: int = 0
    used_s: float = 0.0
    loading: threading.Lock = field(default_factory=threading.Lock)


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
                _make_room(seat, settings)
                seat.engine = get(choice.kind, choice.engine).load(settings, choice.model or None)
        yield seat.engine
    finally:
        with _lock:
            seat.users -= 1
            seat.used_s = time.monotonic()


def preload(choice: EngineChoice, settings: Settings) -> None:
    """Load an engine ahead of its first use."""
    with acquire(choice, settings):
        pass


def unload_idle(kind: EngineKind | None = None) -> int:
    """Drop engines nobody uses. Returns how many."""
    with _lock:
        idle = [s for s in _seats.values() if s.engine is not None and not s.users and kind in (None, s.kind)]
        return sum(_drop(seat) for seat in idle)


def loaded() -> dict[tuple[str, str], int]:
    """Loaded engines by (kind, engine), with the number of their users now."""
    with _lock:
        return {(key[0], key[1]): seat.users for key, seat in _seats.items() if seat.engine is not None}


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
