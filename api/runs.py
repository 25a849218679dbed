"""What the API knows of runs, whoever carries them out: values, and the protocol the services are written against."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Protocol

from dubline.contract import Progress
from dubline.errors import DublineError
from dubline.models import Frozen

QueueName = Literal["high", "normal", "batch"]


class OrchestratorUnavailable(DublineError):
    """Prefect does not answer now. Jobs are taken all the same and handed over when it is back."""

    code = "orchestrator_unavailable"
    retryable = True


class RunRefused(DublineError):
    """Prefect does not take the parameters of a run, however often it is asked."""

    code = "run_refused"


MOST_OPTION_BYTES, MOST_EDIT_BYTES = 200_000, 300_000
"""Of a job's options, and of a revision's edits: Prefect takes 512 KiB of parameters."""


def parameter_bytes(value: Any) -> int:
    """Size of a JSON value as Prefect counts it, every letter beyond ASCII as six bytes or more."""
    return len(json.dumps(value))


class RunState(Frozen):
    """The state of a run, as it was at `at_s` (seconds since the epoch)."""

    run_id: str
    type: str
    name: str
    at_s: float
    message: str = ""


class RunAlive(Frozen):
    """A sign of life of a run's process."""

    run_id: str
    at_s: float


class WorkerInfo(Frozen):
    """A worker, with when it was last heard of."""

    name: str
    pool: str
    status: str
    heartbeat_s: float | None
    slots: int | None = None
    jobs: tuple[str, ...] = ()


class TaskInfo(Frozen):
    """A task of a run. `state` is Prefect's name, such as `Completed`, `Cached` or `Running`."""

    name: str
    state: str
    started_s: float | None
    seconds: float


class QueueInfo(Frozen):
    """A work queue; the lower its priority, the earlier it is served."""

    name: str
    priority: int
    is_paused: bool
    limit: int | None


RunEvent = RunState | RunAlive | Progress


class Orchestrator(Protocol):
    """Hands jobs over and watches them. Every method may raise `OrchestratorUnavailable`."""

    page_url: str | None
    """Address of its own page, without a slash at the end."""

    async def create_run(
        self, *, flow: str, parameters: dict[str, Any], queue: QueueName, key: str, job_id: str
    ) -> RunState:
        """Create a run, or find the one that this key created before."""
        ...

    async def read_runs(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        """States of those of the runs that exist."""
        ...

    async def tasks(self, run_id: str) -> list[TaskInfo]:
        """The run's tasks in the order of their starting, 1,000 at most."""
        ...

    async def open_runs(self) -> dict[str, str]:
        """Runs of jobs that have not ended: run id -> job id."""
        ...

    async def cancel(self, run_id: str) -> None:
        """Ask a run to stop; one that has not started is cancelled at once. Of an ended or unknown run: nothing."""
        ...

    async def resume(self, run_id: str, reason: str) -> None:
        """Have a crashed or lost run started again; what its tasks finished is cached."""
        ...

    async def end(self, run_id: str, kind: Literal["CANCELLED", "CRASHED"], reason: str) -> None:
        """Force a run to its end."""
        ...

    async def workers(self) -> list[WorkerInfo]: ...

    async def queues(self) -> list[QueueInfo]: ...

    async def check(self) -> None:
        """Raise unless it answers."""
        ...

    def events(self) -> AsyncIterator[RunEvent]:
        """What happens from now on; ends or raises when the connection is lost."""
        ...
