"""One running service for all tests of this folder: to start one takes longer than most of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack import Stack


@pytest.fixture(scope="package")
def stack(new_home: Callable[[], Path]) -> Iterator[Stack]:
    """With simulated engines, which take a moment for each call."""
    started = Stack(new_home(), SIMULATED_DELAY_S="0.2")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def clip(stack: Stack) -> Path:
    """With words that no other clip has."""
    return stack.new_clip()
