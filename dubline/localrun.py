"""Starts the local stack as a child process and shows what it says. Knows its messages, not its code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from dubline.errors import EngineUnavailable
from dubline.models import DubOptions

_RUNNER = "deployments.local"
_LEAVE_S = 20.0


def _require_stack() -> None:
    if find_spec("deployments") is None or find_spec("prefect") is None:
        raise EngineUnavailable(
            "Dubbing on this machine needs the whole project, not only the client.",
            code="local_stack_missing",
            hint="Run it from a checkout after `make setup`.",
        )


def run_local(
    video: Path, folder: Path, options: DubOptions, *, refresh: bool, console: Console | None
) -> tuple[int, dict[str, Any]]:
    """Run one dub. Returns the exit status and the last message (`files`, `verdict`, `run` …, or `error`)."""
    _require_stack()
    request = {
        # Percent-encoded bytes: a file name need not be valid text.
        "source": quote(os.fsencode(video.absolute())),
        "out": quote(os.fsencode(folder.absolute())),
        "options": options.model_dump(mode="json"),
        "refresh": refresh,
    }
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", _RUNNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        child.stdin.write(json.dumps(request).encode())
        child.stdin.close()
        child.stdin = None
        try:
            last = _follow(child, console, said)
            code = child.wait()
        except KeyboardInterrupt:
            code, last = _leave(child)
    if last is None:
        last = {
            "error": {
                "code": "runner_died",
                "message": "The dub ended without a word.",
                "hint": f"Last words: {said[-1]}" if said else "",
            }
        }
        code = code or 1
    return code, last


def _follow(child: subprocess.Popen[bytes], console: Console | None, said: list[str]) -> dict[str, Any] | None:
    """Show progress until the child's last message; keep the end of what else it says in `said`."""
    assert child.stdout is not None
    assert child.stderr is not None
    stderr = child.stderr

    def drain() -> None:
        for line in stderr:
            said.append(line.decode(errors="replace").rstrip())
            del said[:-20]

    threading.Thread(target=drain, daemon=True).start()
    last: dict[str, Any] | None = None
    bar = _Bar(console)
    with bar:
        for line in child.stdout:
            message = json.loads(line)
            event = message.pop("event")
            if event == "progress":
                bar.show(message["percentage"], message["message"])
            elif event == "stage":
                bar.show(None, message["message"])
            else:
                last = message
    return last


def _leave(child: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
    """Ctrl-C: the child got the signal too if it came from the terminal; a second one does no harm."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_LEAVE_S)
    except subprocess.TimeoutExpired:
        child.kill()
    error = {
        "code": "cancelled",
        "message": "The dub was cancelled.",
        "hint": "Run it again to take up where it stopped.",
    }
    return 130, {"error": error}


class _Bar:
    """Live progress with stage, speed and the time left; plain silence without a console."""

    def __init__(self, console: Console | None) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[eta]}"),
            console=console,
            disable=console is None,
            transient=True,
        )
        self._task = self._progress.add_task("Checking the video", total=100.0, eta="")
        self._began_s: float | None = None
        self._from = 0.0

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, percentage: float | None, message: str) -> None:
        if percentage is None:
            self._progress.update(self._task, description=message)
            return
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s, self._from = now_s, percentage
        done, spent_s = percentage - self._from, now_s - self._began_s
        eta = ""
        if done > 3 and spent_s > 2:
            left_s = (100.0 - percentage) * spent_s / done
            eta = f"{int(left_s // 60)}:{int(left_s % 60):02d} left, {60 * done / spent_s:.0f} %/min"
        self._progress.update(self._task, completed=percentage, description=message, eta=eta)


def run_ui(console: Console) -> int:
    """Keep the Prefect server up for its page until Ctrl-C."""
    _require_stack()
    try:
        return subprocess.call([sys.executable, "-m", "deployments.ui"])
    except KeyboardInterrupt:
        console.print("stopped")
        return 0


def run_up(*, host: str | None, port: int | None) -> NoReturn:
    """Become the service's supervisor: it runs until Ctrl-C."""
    _require_stack()
    options = [*(("--host", host) if host else ()), *(("--port", str(port)) if port is not None else ())]
    # -P: a file of the current folder must not stand in for one of our modules.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "deployments.up", *options])
