"""Calling tasks from a flow, in place or beside what follows, with their outcomes counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture, PrefectWrappedFuture
from prefect.results import ResultRecord  # pyright: ignore[reportPrivateImportUsage]  # re-exported, documented there
from prefect.tasks import Task

from dubline.cancel import STOP
from dubline.errors import StorageError
from tasks._policies import StageRequest, StageResult, key_of
from tasks.result_store import VerifyingResultStore

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


@dataclass(frozen=True)
class Known(Generic[R]):
    """What stands for a task that need not run."""

    result: R


Started = PrefectFuture[R] | Known[R]


def recall(task: Task[..., R], request: StageRequest) -> Known[R] | None:
    """The result of an earlier run, without a task run, which takes a tenth of a second even if it finds a result.

    None where there is none, or not all is there that it names, or the store does not answer: the task sees to that.
    """
    context = FlowRunContext.get()
    records = context.result_store.result_storage if context is not None else None
    if not isinstance(records, VerifyingResultStore):
        return None
    try:
        record: ResultRecord[R] = ResultRecord.deserialize(records.read_path(key_of(task, request)))
    except (OSError, ValueError, KeyError, StorageError):
        return None
    return Known(record.result)


async def run(task: Task[..., R], request: StageRequest, *, refresh: bool = False, edited: bool = False) -> R:
    """Run one task in place and give its result; its error when it failed.

    Where `edited`, most is known from the render before: a result that is there spends no task run.
    """
    STOP.check()
    if edited and not refresh and (known := recall(task, request)) is not None:
        return known.result
    # Typed by the task's own result, not by what `return_state` makes of it.
    state: State[Any] = task.with_options(refresh_cache=refresh)(request, return_state=True)  # pyright: ignore[reportAssignmentType]
    OUTCOMES.count(state)
    return await state.aresult()


def start(task: Task[..., R], request: StageRequest, *, refresh: bool = False, edited: bool = False) -> Started[R]:
    """Run one task beside what follows; `finish` gives its result. `edited` as in `run`."""
    STOP.check()
    if edited and not refresh and (known := recall(task, request)) is not None:
        return known
    return task.with_options(refresh_cache=refresh).submit(request)


def is_done(future: Started[Any]) -> bool:
    """Whether `finish` would not wait. A future's `state` would ask the server, which may be away."""
    return isinstance(future, Known) or (isinstance(future, PrefectWrappedFuture) and future.wrapped_future.done())


async def finish(future: Started[R]) -> R:
    """The result of a task that was started, or its error."""
    if isinstance(future, Known):
        return future.result
    future.wait()
    OUTCOMES.count(future.state)
    return await future.state.aresult()
