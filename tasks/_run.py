"""Calling tasks from a flow, in place or beside what follows, with their outcomes counted."""

from __future__ import annotations

from typing import Any, TypeVar

from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.tasks import Task

from dubline.cancel import STOP
from tasks._policies import StageRequest, StageResult

R = TypeVar("R", bound=StageResult)


class Outcomes:
    """How many task runs this process's flow run had, and how many were taken from the cache."""

    def __init__(self) -> None:
        self.total = 0
        self.cached = 0

    def begin(self) -> None:
        self.total = self.cached = 0

    def count(self, state: State[Any]) -> None:
        self.total += 1
        self.cached += state.name == "Cached"


OUTCOMES = Outcomes()


async def run(task: Task[..., R], request: StageRequest, *, refresh: bool = False) -> R:
    """Run one task in place and give its result; its error when it failed."""
    STOP.check()
    state: State[Any] = task.with_options(refresh_cache=refresh)(request, return_state=True)  # pyright: ignore[reportAssignmentType]
    OUTCOMES.count(state)
    return await state.aresult()


def start(task: Task[..., R], request: StageRequest, *, refresh: bool = False) -> PrefectFuture[R]:
    """Run one task beside what follows; `finish` gives its result."""
    STOP.check()
    return task.with_options(refresh_cache=refresh).submit(request)


async def finish(future: PrefectFuture[R]) -> R:
    """The result of a task that was started, or its error."""
    future.wait()
    OUTCOMES.count(future.state)
    return await future.state.aresult()
