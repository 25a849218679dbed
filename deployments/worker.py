"""The worker of the local stack: a process worker whose runs survive it.

A flow process dies with its worker. What the worker held is put back in the queue: by the worker itself when it is
asked to stop, by the next one that starts when it was killed. A finished task is not done again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

import anyio
import anyio.abc
import httpx

from deployments.bootstrap import is_registered
from deployments.prefect_env import enter
from deployments.queues import POOL, QUEUES
from deployments.worker_name import WorkerName
from dubline.errors import DublineError
from dubline.settings import Settings, get_settings
from dubline.waking import Waking

if __name__ == "__main__":  # before Prefect reads its environment
    enter(get_settings(), os.environ.get("PREFECT_API_URL"))

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.runner._flow_run_executor import FlowRunExecutionResult, FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle
from prefect.states import AwaitingRetry, Cancelled
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from deployments.nest import Nest
from deployments.starter import NestStarter

_LABEL = "prefect.worker.name"  # the process worker puts it on every run that it takes
_PAGE = 200
_HAND_BACK_S = 5.0


async def put_back(client: PrefectClient, names: WorkerName) -> list[FlowRun]:
    """Put back what dead workers of this machine (or this one, before it runs anything) held; gives those runs.

    A run that was being cancelled is cancelled; every other one waits in its queue again, under the same id.
    """
    kinds = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    held: list[FlowRun] = []
    while page := await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds))),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])),
        limit=_PAGE,
        offset=len(held),
    ):
        held += page
        if len(page) < _PAGE:
            break
    ours = [r for r in held if names.take(str(r.labels.get(_LABEL, "")))]
    for run in ours:
        cancelling = run.state is not None and run.state.is_cancelling()
        state: State[None] = (
            Cancelled(message="Cancelled; its worker had gone.")
            if cancelling
            else AwaitingRetry(message="Its worker went away; it goes on with the next one.")
        )
        await client.set_flow_run_state(run.id, state, force=True)
    names.give_up_others()
    return ours


async def _end_cancelled(flow_run: FlowRun) -> None:
    """A run that was cancelled while its process was starting refuses to begin and stays `Cancelling`: nothing runs."""
    async with get_client() as client:
        state = (await client.read_flow_run(flow_run.id)).state
        if state is not None and state.is_cancelling():
            await client.set_flow_run_state(flow_run.id, Cancelled(message="Cancelled before it began."), force=True)


class _NoHooks:
    """The flows have no hooks; the default would import a flow into the worker to look for them."""

    async def run_cancellation_hooks(self, flow_run: FlowRun, state: State[object]) -> None:
        return

    async def run_crashed_hooks(self, flow_run: FlowRun, state: State[object]) -> None:
        return


class DublineWorker(ProcessWorker):
    """Runs each flow run as one process of its own group, bound to this worker's life."""

    nest: Nest | None

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._looking = asyncio.Lock()
        self._processes: dict[UUID, int] = {}

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """One look into the queues. One at a time: it is asked for by Prefect's loop, and when somebody wakes it."""
        async with self._looking:
            return await super().get_and_submit_flow_runs()

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        """Take new runs. One that is to go on while its process is here gave no sign of life: that is ended first.

        Taken while it is held, it would end the worker, and all other runs with it (the limiter raises).
        """
        fresh: list[WorkerFlowRunResponse] = []
        for entry in flow_run_response:
            pid = self._processes.get(entry.flow_run.id)
            if pid is None:
                fresh.append(entry)
                continue
            print(f"{entry.flow_run.id} is to go on: its process is ended", flush=True)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return await super()._submit_scheduled_flow_runs(fresh)

    async def look_when_woken(self, settings: Settings) -> None:
        """Look at once whenever the dispatcher of this machine has a new run, beside the regular looks."""
        try:
            waking = Waking(settings)
        except OSError:
            return
        try:
            while True:
                await anyio.wait_readable(waking)
                waking.clear()
                with suppress(httpx.HTTPError):  # the next regular look meets it, and tells of it
                    await self.get_and_submit_flow_runs()
        finally:
            waking.close()

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Listed beside the class that it stands in for, not over it; both serve a `process` pool."""
        return "dubline-process"

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Run one flow run to its end. Cancelled, the process is killed; `put_back` then sees to the run."""
        status = anyio.TASK_STATUS_IGNORED if task_status is None else task_status
        done: FlowRunExecutionResult | None = None
        try:
            async with FlowRunExecutorContext() as context:
                starter = NestStarter(self.nest, configuration.env, context.control_channel)
                executor = context.create_executor(flow_run, starter, hook_runner=_NoHooks(), propose_submitting=False)

                async def execute(*, task_status: anyio.abc.TaskStatus[ProcessHandle]) -> None:
                    nonlocal done
                    done = await executor.submit(task_status=task_status)

                async with anyio.create_task_group() as group:
                    handle: ProcessHandle = await group.start(execute)
                    status.started(handle.pid or 0)
                    if handle.pid:
                        self._processes[flow_run.id] = handle.pid
        finally:
            self._processes.pop(flow_run.id, None)
        if done is None or done.status_code is None:
            raise RuntimeError("the flow process did not start")
        with suppress(httpx.HTTPError):  # without the server nothing can be ended; the API looks at the run again
            await _end_cancelled(flow_run)
        return ProcessWorkerResult(status_code=done.status_code, identifier=str(done.handle.pid))


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then hand back what was not finished."""
    names = WorkerName(settings)
    async with get_client() as client:
        for run in await put_back(client, names):
            print(f"{run.id} goes on: its worker had gone", flush=True)
    worker = DublineWorker(
        work_pool_name=POOL,
        work_queues=list(QUEUES),
        name=names.name,
        limit=settings.max_concurrent_jobs,
        create_pool_if_not_found=False,
    )
    worker.nest = Nest() if sys.platform.startswith("linux") else None

    def started(text: str) -> None:
        print(text, flush=True)
        if text.endswith("started!"):
            names.announce()
            if worker.nest is not None:
                worker.nest.start()
            beside.append(asyncio.create_task(worker.look_when_woken(settings)))

    beside: list[asyncio.Task[None]] = []
    work = asyncio.ensure_future(worker.start(printer=started))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # One request is enough: another one in the middle of the leaving would leave it half done.
        loop.add_signal_handler(number, lambda: None if work.cancelling() else work.cancel())
    try:
        await asyncio.wait({work})
    finally:
        for task in beside:
            task.cancel()
        with anyio.move_on_after(_HAND_BACK_S):
            if worker.nest is not None:
                await worker.nest.close()
            async with get_client() as client:
                for run in await put_back(client, names):
                    print(f"{run.id} handed back", flush=True)
    if not work.cancelled():
        work.result()


def main() -> int:
    """Run the worker; 1 when it could not. With `--after-bootstrap` it begins when the server has been told all."""
    os.umask(0o077)
    settings = get_settings()
    while "--after-bootstrap" in sys.argv and not is_registered(settings, os.environ["PREFECT_API_URL"]):
        time.sleep(0.05)
    try:
        asyncio.run(serve(settings))
    except DublineError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
