"""What becomes of a run when its process, its worker or both are ended: real server, real processes."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deployments.prefect_env import prefect_environment
from dubline.settings import Settings

_OPTIONS = {
    "target_language": "es",
    "source_language": "en",
    "stt_engine": "simulated",
    "translation_engine": "simulated",
    "tts_engine": "simulated",
    "listen": "off",
}


class Stack:
    """A Prefect server with our deployments, and workers that the tests start and end."""

    def __init__(self, home: Path, source: Path) -> None:
        self._source = source
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
            "DUBLINE_HOME": str(home),
            "SIMULATED_DELAY_S": "1",
            "MAX_CONCURRENT_JOBS": "1",
        }
        self._home = home
        self.workers: list[subprocess.Popen[bytes]] = []
        self._log = (home / "test.log").open("ab")
        self._up = self._start("deployments.up", "--without", "api,engines,worker")
        state = wait_for(lambda: _json(home / "run" / "stack.json"), 90)
        self.url = f"{state['urls']['prefect']}/api"
        settings = Settings(dubline_home=home)
        self.environment |= prefect_environment(settings, self.url)
        self._token = base64.b64encode(self.environment["PREFECT_API_AUTH_STRING"].encode()).decode()

    def _start(self, *module: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", *module], env=self.environment, stdout=self._log, stderr=self._log
        )

    def worker(self) -> subprocess.Popen[bytes]:
        self.workers.append(self._start("deployments.worker"))
        return self.workers[-1]

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {self._token}", "Content-Type": "application/json"},
        )
        for attempt in range(10):
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:  # SQLite was locked; Prefect's own client asks again, too
                if error.code != 503 or attempt == 9:
                    raise
                time.sleep(0.5)
        raise AssertionError

    def create(self) -> str:
        deployment = self.call("/deployments/name/translate_video/service")["id"]
        # A scope of its own: nothing is in the cache, and what was done before a kill need not be done again.
        params = {
            "job_id": uuid4().hex,
            "scope": uuid4().hex,
            "source_uri": f"file://{self._source}",
            "options": _OPTIONS,
        }
        return self.call(f"/deployments/{deployment}/create_flow_run", {"parameters": {"params": params}})["id"]

    def set_state(self, run: str, kind: str, name: str) -> None:
        self.call(f"/flow_runs/{run}/set_state", {"state": {"type": kind, "name": name}, "force": True})

    def wait_state(self, run: str, name: str, seconds: float = 45) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            found = self.call(f"/flow_runs/{run}")
            if found["state"]["name"] in {"Failed", "Crashed"} - {name}:
                raise AssertionError(found["state"])
            return found if found["state"]["name"] == name else None

        return wait_for(reached, seconds)

    def wait_at_work(self, run: str, not_pid: int | None = None) -> int:
        """The pid of the run's process, once it runs the flow; another one than `not_pid`."""

        def pid() -> int | None:
            found = self.wait_state(run, "Running")["infrastructure_pid"]
            return int(found) if found is not None and int(found) != not_pid else None

        return wait_for(pid, 20)

    def close(self) -> None:
        for process in [*self.workers, self._up]:
            process.terminate()
        for process in [*self.workers, self._up]:
            process.wait(15)
        self._log.close()


def wait_for(look: Any, seconds: float) -> Any:
    deadline_s = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.1)
    return found


def _json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.exists() else None


def _group_is_gone(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(scope="module")
def stack(new_home: Callable[[], Path], media_dir: Path) -> Iterator[Stack]:
    stack = Stack(new_home(), media_dir / "video/real_friday_6s.mp4")
    yield stack
    stack.close()


@pytest.fixture
def worker(stack: Stack) -> Iterator[subprocess.Popen[bytes]]:
    yield stack.worker()
    for process in stack.workers:
        process.terminate()
        process.wait(15)
    stack.workers.clear()


def test_a_killed_flow_process_is_a_crash_the_run_can_go_on_and_a_cancel_ends_it_fast(
    stack: Stack, worker: subprocess.Popen[bytes]
) -> None:
    run = stack.create()
    first = stack.wait_at_work(run)
    os.kill(first, signal.SIGKILL)
    stack.wait_state(run, "Crashed", 10)
    time.sleep(3)  # the crash may be reported twice; the reconciler waits ten seconds for the second word
    stack.set_state(run, "SCHEDULED", "AwaitingRetry")
    second = stack.wait_at_work(run, not_pid=first)
    found = stack.call(f"/flow_runs/{run}")
    assert found["run_count"] == 2
    assert found["labels"]["prefect.worker.name"].startswith("dubline-")
    stack.set_state(run, "CANCELLING", "Cancelling")
    wait_for(lambda: _group_is_gone(second), 10)
    stack.wait_state(run, "Cancelled", 10)


@pytest.mark.slow
def test_a_run_outlives_a_worker_that_is_stopped_and_one_that_is_killed(
    stack: Stack, worker: subprocess.Popen[bytes]
) -> None:
    run = stack.create()
    first = stack.wait_at_work(run)
    worker.terminate()
    assert worker.wait(8) == 0
    assert _group_is_gone(first)
    assert stack.call(f"/flow_runs/{run}")["state"]["name"] == "AwaitingRetry"

    next_worker = stack.worker()
    second = stack.wait_at_work(run, not_pid=first)
    next_worker.kill()
    next_worker.wait()
    wait_for(lambda: _group_is_gone(second), 2)
    assert stack.call(f"/flow_runs/{run}")["state"]["name"] == "Running"  # nobody was left to say otherwise

    stack.worker()
    assert stack.wait_state(run, "Completed")["run_count"] == 3


def test_a_run_that_was_being_cancelled_when_its_worker_was_killed_is_cancelled(
    stack: Stack, worker: subprocess.Popen[bytes]
) -> None:
    run = stack.create()
    stack.wait_at_work(run)
    worker.kill()
    worker.wait()
    stack.set_state(run, "CANCELLING", "Cancelling")
    stack.worker()
    stack.wait_state(run, "Cancelled", 15)


def test_a_run_that_is_to_go_on_while_its_process_hangs_is_ended_and_the_worker_stays(
    stack: Stack, worker: subprocess.Popen[bytes]
) -> None:
    run = stack.create()
    first = stack.wait_at_work(run)
    os.kill(first, signal.SIGSTOP)
    stack.set_state(run, "CRASHED", "Crashed")  # as the API does after two minutes of silence
    stack.set_state(run, "SCHEDULED", "AwaitingRetry")
    wait_for(lambda: _group_is_gone(first), 20)
    wait_for(lambda: stack.call(f"/flow_runs/{run}")["state"]["name"] == "Crashed", 15)
    time.sleep(3)
    stack.set_state(run, "SCHEDULED", "AwaitingRetry")
    stack.wait_at_work(run, not_pid=first)
    assert worker.poll() is None
    stack.wait_state(run, "Completed")
