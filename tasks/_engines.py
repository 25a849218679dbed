"""Engines for tasks: loaded in this process, shared between its threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dubline.engines.pool import acquire
from dubline.models import EngineChoice
from dubline.settings import get_settings


@contextmanager
def engine(choice: EngineChoice) -> Iterator[Any]:
    """The engine of a choice, held while the block runs."""
    with acquire(choice, get_settings()) as instance:
        yield instance
