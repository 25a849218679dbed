"""The supervisor with real children: ready, answering, mended, gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest


def _up(home: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "deployments.up", *options],
        env={**os.environ, "DUBLINE_HOME": str(home), "AUTH": "off", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait_for(look: Callable[[], Any], seconds: float) -> Any:
    deadline_s = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.1)
    return found


def _state(home: Path) -> dict[str, Any] | None:
    path = home / "run" / "stack.json"
    return json.loads(path.read_text()) if path.exists() else None


def _is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = _up(tmp_path, "--without", "api,engines")
    yield process
    process.kill()
    process.communicate()


def test_ready_mended_alone_and_gone(started: subprocess.Popen[str], tmp_path: Path) -> None:
    first = _wait_for(lambda: _state(tmp_path), 90)
    pids = first["pids"]
    assert _is_up(first["urls"]["prefect"])
    assert set(pids) == {"supervisor", "prefect", "worker"}
    assert psutil.Process(pids["supervisor"]).memory_info().rss < 60e6

    second = _up(tmp_path)
    said, _ = second.communicate(timeout=20)
    assert second.returncode == 1
    assert first["urls"]["prefect"] in said
    assert len(said.splitlines()) == 1

    os.kill(pids["worker"], signal.SIGKILL)
    changed = _wait_for(lambda: (now := _state(tmp_path)) and now["pids"]["worker"] != pids["worker"] and now, 30)
    children = psutil.Process(started.pid).children(recursive=True)
    assert changed["pids"]["worker"] in {c.pid for c in children}

    began_s = time.monotonic()
    started.send_signal(signal.SIGINT)
    said, _ = started.communicate(timeout=20)
    assert time.monotonic() - began_s < 10
    assert started.returncode == 0
    assert "worker ended (signal 9); it is started again in 0.5 s" in said
    assert "Traceback" not in said
    assert not any(c.is_running() for c in children)
    assert _state(tmp_path) is None


def test_a_killed_supervisor_leaves_nothing_behind(started: subprocess.Popen[str], tmp_path: Path) -> None:
    _wait_for(lambda: (tmp_path / "prefect" / "server.json").exists(), 20)
    children = psutil.Process(started.pid).children(recursive=True)
    assert children
    started.kill()
    started.wait()
    _wait_for(lambda: not any(c.is_running() and c.status() != psutil.STATUS_ZOMBIE for c in children), 5)


@pytest.mark.parametrize(
    ("environment", "word", "status"),
    [
        ({"HOST": "0.0.0.0"}, "HOST", 78),
        ({"PORT": "http"}, "PORT", 78),
        ({"MAX_CONCURRENT_JOBS": "0"}, "MAX_CONCURRENT_JOBS", 78),
    ],
)
def test_a_bad_setting_is_one_sentence(environment: dict[str, str], word: str, status: int, tmp_path: Path) -> None:
    process = _up(tmp_path, **environment)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == status
    assert word in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "run" / "stack.json").exists()


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = _up(tmp_path, "--port", str(port))
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said.startswith(f"Port {port} on 127.0.0.1 is taken.")
    assert len(said.splitlines()) == 1
