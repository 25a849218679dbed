"""What every flow that serves a job has in common: its Prefect settings, its start and its bad end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect.context import TagsContext
from prefect.exceptions import CancelledRun
from prefect.task_runners import ThreadPoolTaskRunner

from dubline.cancel import STOP
from dubline.contract import STAGE_WEIGHTS, Artifact, Stage, failure_record, first_minute_record
from dubline.errors import Cancelled, DublineError
from dubline.settings import get_settings
from tasks._policies import store
from tasks._progress import TRACKER
from tasks._run import OUTCOMES
from tasks.result_store import SLUG

_RUNNER: Any = ThreadPoolTaskRunner(max_workers=get_settings().cpu_threads)

JOB_FLOW: dict[str, Any] = {
    "retries": 0,
    "persist_result": True,
    "result_storage": SLUG,
    "result_serializer": "json",
    "task_runner": _RUNNER,
}
"""Arguments of `prefect.flow`, but for the name."""

_INTERNAL = DublineError(
    "The job failed for an internal reason.",
    code="internal_error",
    hint="Try again; the Prefect run has the details.",
    retryable=True,
)


@contextmanager
def job_run(job_id: str, stages: Sequence[Stage] = tuple(STAGE_WEIGHTS)) -> Iterator[None]:
    """One attempt at a job: counters from zero; when it fails, the reason stays in the store for the API to show.

    Raises:
        DublineError: whatever the block raises, as it was.
    """
    STOP.clear()
    OUTCOMES.begin()
    TRACKER.begin(job_id, stages)
    try:
        store().delete_record(failure_record(job_id))
        # The run's tags are not its tasks': for each tag of a task Prefect asks the server whether it may run.
        with TagsContext(current_tags=set()):
            yield
    except BaseException as error:
        is_stopped = STOP.is_set()
        STOP.set()  # mapped tasks poll it; without it the engine waits for them
        # A run that was told to stop has not failed, whatever broke in it on the way out.
        if isinstance(error, Exception) and not is_stopped and not isinstance(error, (Cancelled, CancelledRun)):
            _leave_reason(job_id, error)
        raise


def offer_first_minute(job_id: str, artifact: Artifact) -> None:
    """Let the API show the first minute of a job that still runs."""
    store().put_record(first_minute_record(job_id), artifact.model_dump_json().encode())


def _leave_reason(job_id: str, error: Exception) -> None:
    """Write down why; the error itself is on its way, and a store that cannot be written must not replace it."""
    reason = error if isinstance(error, DublineError) else _INTERNAL
    try:
        store().put_record(failure_record(job_id), json.dumps(reason.to_dict(), default=str).encode())
    except (DublineError, OSError) as second:
        error.add_note(f"The reason could not be stored: {second}")
