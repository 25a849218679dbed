"""What every stage task shares: cache key, retries, cost keeping, stores and work folders."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import Task, exponential_backoff

from dubline import ledger
from dubline.cancel import STOP
from dubline.contract import Stage
from dubline.errors import DublineError, disk_full
from dubline.models import ArtifactRef, Frozen, StageStats
from dubline.settings import get_settings
from dubline.storage.base import ArtifactStore
from dubline.storage.open import open_store
from dubline.storage.work import work_folder

R = TypeVar("R", bound="StageResult")
_NO_ROOM_BYTES = 1024 * 1024


class StageRequest(Frozen):
    """Everything a stage's result depends on. The whole of it, canonically, is the cache key."""

    scope: str = "global"

    def identity(self) -> Any:
        """JSON value that the key is made of; override to leave out what does not change the result."""
        return self.model_dump(mode="json")


class StageResult(Frozen):
    """What a task hands on: references and small values, with the cost of its making."""

    stats: StageStats = StageStats(stage="")


@functools.lru_cache(maxsize=1)
def store() -> ArtifactStore:
    """The artifact store of this process."""
    return open_store(get_settings())


@contextmanager
def workspace() -> Iterator[Path]:
    """A private work folder for one task run.

    Raises:
        StorageFull: whatever a library says about it, the work failed on a disk without room.
    """
    root = get_settings().work_dir
    try:
        with work_folder(root) as folder:
            try:
                yield folder
            except DublineError:
                raise
            except Exception as error:  # libraries tell a full disk in ways of their own, or by a failed assertion
                if shutil.disk_usage(folder).free < _NO_ROOM_BYTES:
                    raise disk_full() from error
                raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from error
        raise


def load(ref: ArtifactRef, model: type[Frozen]) -> Any:
    """A JSON model out of the store."""
    return model.model_validate_json(store().read_bytes(ref))


def save(value: Frozen) -> ArtifactRef:
    """A JSON model into the store."""
    return store().put_bytes(value.model_dump_json().encode(), "application/json")


_KEYS: dict[str, Callable[[StageRequest], str]] = {}


def key_of(task: Task[..., Any], request: StageRequest) -> str:
    """The key under which a stage's task keeps the result of a request."""
    return _KEYS[task.name](request)


def stage_key(stage: str, version: int, request: StageRequest) -> str:
    """`stage/v1/<sha256>`: shared by all runs, workers and deployments of one result store."""
    text = json.dumps(request.identity(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{stage}/v{version}/{hashlib.sha256(text.encode()).hexdigest()}"


def is_retryable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry by class: a bad file fails once, at once."""
    error = state.data
    return isinstance(error, DublineError) and error.retryable and not STOP.is_set()


def stage_task(
    stage: Stage, version: int, *, name: str, retries: int = 3
) -> Callable[[Callable[..., R]], Task[..., R]]:
    """Decorator: a stage's Prefect task, `(request, …) -> StageResult`, cached by the request's content."""

    def key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
        return stage_key(stage, version, parameters["request"])

    def wrap(function: Callable[..., R]) -> Task[..., R]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> R:
            STOP.check()
            began_s = time.time()
            result = function(*args, **kwargs)
            rows = ledger.intervals(began_s, thread=threading.get_ident())
            stats = result.stats.model_copy(
                update={
                    "stage": stage,
                    "seconds": round(time.time() - began_s, 3),
                    "busy_s": ledger.total_s(rows),
                }
            )
            return result.model_copy(update={"stats": stats})

        decorate: Any = task(
            name=name,
            cache_policy=CacheKeyFnPolicy(cache_key_fn=key),
            persist_result=True,
            result_serializer="json",
            cache_result_in_memory=False,
            retries=retries,
            retry_delay_seconds=exponential_backoff(1),
            retry_jitter_factor=0.5,
            retry_condition_fn=is_retryable,
        )
        _KEYS[name] = functools.partial(stage_key, stage, version)
        return decorate(run)

    return wrap
