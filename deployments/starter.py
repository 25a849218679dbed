"""Starts flow runs in processes that have imported everything already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any

import anyio
import anyio.abc
from prefect.client.schemas.objects import FlowRun
from prefect.runner._control_channel import ControlChannel
from prefect.runner._process_manager import ProcessHandle, create_isolated_termination_scope
from prefect.settings import get_current_settings

from deployments.nest import Nest


class NestStarter:
    """A starter of Prefect's flow run executor.

    Args:
        nest: Where the process comes from; None to start one that imports for itself.
        environment: What the run's deployment adds to this process's variables.
        control: The way Prefect tells a process why it is ended.
    """

    def __init__(self, nest: Nest | None, environment: dict[str, str | None], control: ControlChannel) -> None:
        self._nest, self._environment, self._control = nest, environment, control

    async def start(
        self, flow_run: FlowRun, task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Hand a process the run; returns when it has ended. Cancelled, the process is killed."""
        variables = self._variables(flow_run)
        # Only its pid and its exit status are ever looked at.
        process: Any = await (_alone(variables) if self._nest is None else self._nest.fork(variables))
        try:
            task_status.started(
                ProcessHandle(process, termination_scope=create_isolated_termination_scope(process.pid))
            )
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                with anyio.CancelScope(shield=True):
                    await process.wait()

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


async def _alone(variables: dict[str, str]) -> anyio.abc.Process:
    process = await anyio.open_process(
        [sys.executable, "-P", "-m", "deployments.flow_process", "--one"],
        stdin=subprocess.PIPE,
        stdout=None,
        stderr=None,
        env=dict(os.environ),
        start_new_session=True,
    )
    assert process.stdin is not None
    with suppress(anyio.BrokenResourceError):  # it died just now; its exit status says so
        await process.stdin.send(json.dumps(variables).encode())
        await process.stdin.aclose()
    return process
