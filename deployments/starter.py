"""Starts flow runs in processes that wait, ready, for one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import suppress

import anyio
import anyio.abc
from prefect.client.schemas.objects import FlowRun
from prefect.runner._control_channel import ControlChannel
from prefect.runner._process_manager import ProcessHandle, create_isolated_termination_scope
from prefect.settings import get_current_settings

from deployments.child import bound

_REFILL_S = 4.0
"""A run has begun its work by then; importing beside its start would delay it."""


class Spare:
    """At most one process that waits. It ends with this one, or when its stdin is closed."""

    def __init__(self) -> None:
        self._waiting: anyio.abc.Process | None = None
        self._refilling: asyncio.Task[None] | None = None

    async def take(self) -> anyio.abc.Process:
        """A process that has imported, or is importing; another one is started a little later."""
        process, self._waiting = self._waiting, None
        if process is None or process.returncode is not None:
            process = await _start()
        self.fill(_REFILL_S)
        return process

    def fill(self, after_s: float = 0.0) -> None:
        """Have one started, unless one waits."""
        if self._refilling is None or self._refilling.done():
            self._refilling = asyncio.create_task(self._fill(after_s))

    async def _fill(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if self._waiting is None or self._waiting.returncode is not None:
            self._waiting = await _start()

    async def close(self) -> None:
        """End the one that waits."""
        if self._refilling is not None:
            self._refilling.cancel()
            with suppress(asyncio.CancelledError):
                await self._refilling
        if self._waiting is not None:
            await _end(self._waiting)


class WaitingStarter:
    """A starter of Prefect's flow run executor.

    Args:
        spare: Where the process comes from.
        environment: What the run's deployment adds to this process's variables.
        control: The way Prefect tells a process why it is ended.
    """

    def __init__(self, spare: Spare, environment: dict[str, str | None], control: ControlChannel) -> None:
        self._spare, self._environment, self._control = spare, environment, control

    async def start(
        self, flow_run: FlowRun, task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Hand a process the run; returns when it has ended. Cancelled, the process is killed."""
        process = await self._spare.take()
        try:
            assert process.stdin is not None
            with suppress(anyio.BrokenResourceError):  # it died just now; its exit status says so
                await process.stdin.send(json.dumps(self._variables(flow_run)).encode())
                await process.stdin.aclose()
            task_status.started(
                ProcessHandle(process, termination_scope=create_isolated_termination_scope(process.pid))
            )
            await process.wait()
        finally:
            await _end(process)

    def _variables(self, flow_run: FlowRun) -> dict[str, str]:
        variables: dict[str, str | None] = {
            **get_current_settings().to_environment_variables(exclude_unset=True),
            **self._environment,
            "PREFECT__FLOW_RUN_ID": str(flow_run.id),
            "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false",
        }
        with suppress(RuntimeError):  # without the channel, a cancel is a plain signal
            port, token = self._control.register(flow_run.id)
            variables |= {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}
        return {k: v for k, v in variables.items() if v is not None}


async def _start() -> anyio.abc.Process:
    return await anyio.open_process(
        bound([sys.executable, "-P", "-m", "deployments.flow_process"]),
        stdin=subprocess.PIPE,
        stdout=None,
        stderr=None,
        env=dict(os.environ),
        start_new_session=True,  # so that a signal to the group cannot be faster than the reason for it
    )


async def _end(process: anyio.abc.Process) -> None:
    if process.returncode is None:
        process.kill()
    with anyio.CancelScope(shield=True):
        await process.aclose()
