"""Stacks for a module's tests, stopped at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.stack import Stack


@pytest.fixture(scope="module")
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    started: list[Stack] = []

    def start(**variables: str) -> Stack:
        stack = Stack(tmp_path_factory.mktemp("home"), **variables)
        started.append(stack)
        return stack

    yield start
    for stack in started:
        stack.stop()
