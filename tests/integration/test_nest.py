"""The process that forks those of flow runs: real forks, of runs whose server is not there."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid

import psutil
import pytest

from deployments.flow_process import process_name
from deployments.nest import Nest, RunProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are used on Linux alone")


def _variables() -> dict[str, str]:
    return {"PREFECT__FLOW_RUN_ID": str(uuid.uuid4()), "PREFECT_API_URL": "http://127.0.0.1:9/api"}


def _is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def _named(run: RunProcess, name: str) -> None:
    async with asyncio.timeout(20):
        while psutil.Process(run.pid).name() != name:
            await asyncio.sleep(0.02)


async def test_each_run_is_a_process_of_its_own_that_is_there_at_once() -> None:
    nest = Nest()
    first = await nest.fork(_variables())
    variables = _variables()
    began_s = time.monotonic()
    second = await nest.fork(variables)
    assert time.monotonic() - began_s < 1.0  # to import takes longer
    await _named(second, process_name(variables["PREFECT__FLOW_RUN_ID"]))
    assert os.getpgid(second.pid) == second.pid
    assert psutil.Process(first.pid).ppid() == psutil.Process(second.pid).ppid()

    os.killpg(first.pid, signal.SIGKILL)
    assert await asyncio.wait_for(first.wait(), 5) == -signal.SIGKILL
    os.kill(second.pid, signal.SIGTERM)
    assert await asyncio.wait_for(second.wait(), 20) not in (None, 0)
    assert _is_gone(first.pid)
    await nest.close()


async def test_with_the_nest_its_runs_are_gone_and_another_takes_its_place() -> None:
    nest = Nest()
    run = await nest.fork(_variables())
    parent = psutil.Process(run.pid).ppid()
    os.kill(parent, signal.SIGKILL)
    assert await asyncio.wait_for(run.wait(), 5) == -signal.SIGKILL
    async with asyncio.timeout(5):
        while not _is_gone(run.pid):
            await asyncio.sleep(0.02)
    another = await nest.fork(_variables())
    assert psutil.Process(another.pid).ppid() != parent
    await nest.close()
    assert await asyncio.wait_for(another.wait(), 5) == -signal.SIGKILL


async def test_what_asked_while_it_died_is_asked_of_the_next() -> None:
    nest = Nest()
    nest.start()
    asked = asyncio.create_task(nest.fork(_variables()))
    await asyncio.sleep(0.5)  # it is still importing
    assert nest.pid is not None
    os.kill(nest.pid, signal.SIGKILL)
    run = await asyncio.wait_for(asked, 60)
    assert run.returncode is None
    await nest.close()


async def test_an_answer_that_nobody_waits_for_is_not_the_next_ones() -> None:
    nest = Nest()
    asked = asyncio.create_task(nest.fork(_variables()))
    await asyncio.sleep(0.5)
    asked.cancel()
    variables = _variables()
    run = await nest.fork(variables)
    await _named(run, process_name(variables["PREFECT__FLOW_RUN_ID"]))
    siblings = psutil.Process(psutil.Process(run.pid).ppid()).children()
    assert [p.pid for p in siblings if not _is_gone(p.pid)] == [run.pid]
    await nest.close()
