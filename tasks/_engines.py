"""Engines for tasks: the engine server's when there is one, else loaded in this process; threads share them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from dubline.engines.base import EngineKind
from dubline.engines.pool import acquire, unload_idle
from dubline.errors import DublineError
from dubline.models import EngineChoice
from dubline.settings import get_settings


@contextmanager
def engine(choice: EngineChoice) -> Iterator[Any]:
    """The engine of a choice, held while the block runs."""
    settings = get_settings()
    if settings.engine_socket is not None:
        from dubline.engines.remote import remote_engine

        yield remote_engine(choice, settings)
        return
    with acquire(choice, settings) as instance:
        yield instance


def load_ahead(choice: EngineChoice) -> None:
    """Have the engine server load an engine beside what comes before its use.

    Without a server nothing happens: what this process needs is loaded while Prefect starts. A failure shows again, in
    words, where the engine is used.
    """
    settings = get_settings()
    if settings.engine_socket is None:
        return
    from dubline.engines.remote import remote_engine

    def load() -> None:
        with suppress(DublineError):
            remote_engine(choice, settings)

    threading.Thread(target=load, name="load-ahead", daemon=True).start()


def release(kind: EngineKind) -> None:
    """Nothing more of this run needs engines of a kind: those of this process give their memory back."""
    if get_settings().engine_socket is None:
        unload_idle(kind)
