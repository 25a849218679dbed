"""Runs one dub in a process of its own, without the service, and shows what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from rich.console import Console

from dubline.bar import Bar
from dubline.heap import ONE_HEAP
from dubline.models import DubOptions
from dubline.stack import require_project

_RUNNER = "deployments.local"
_LEAVE_S = 20.0


def run_local(
    video: Path, folder: Path, options: DubOptions, *, refresh: bool, console: Console | None
) -> tuple[int, dict[str, Any]]:
    """Run one dub. Returns the exit status and the last message (`files`, `verdict`, `run` …, or `error`)."""
    require_project()
    request = {
        # Percent-encoded bytes: a file name need not be valid text.
        "source": quote(os.fsencode(video.absolute())),
        "out": quote(os.fsencode(folder.absolute())),
        "options": options.model_dump(mode="json"),
        "refresh": refresh,
    }
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", _RUNNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**ONE_HEAP, **os.environ},
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
    bar = Bar(console)
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


def run_ui(console: Console) -> int:
    """Keep the Prefect server up for its page until Ctrl-C."""
    require_project()
    try:
        return subprocess.call([sys.executable, "-m", "deployments.ui"])
    except KeyboardInterrupt:
        console.print("stopped")
        return 0


def run_up(*, host: str | None, port: int | None) -> NoReturn:
    """Become the service's supervisor: it runs until Ctrl-C."""
    require_project()
    options = [*(("--host", host) if host else ()), *(("--port", str(port)) if port is not None else ())]
    # -P: a file of the current folder must not stand in for one of our modules.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "deployments.up", *options])
