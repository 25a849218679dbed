"""Finds the service that runs on this machine's state folder, or starts one that ends when nobody needs it."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import httpx

from dubline.errors import DublineError, EngineUnavailable
from dubline.settings import Settings

LINGER_S = 600
"""How long a service that a command started stays after its last job, in seconds."""
_READY_S = 120.0


def require_project() -> None:
    """Raise when only the client library is installed.

    Raises:
        EngineUnavailable: `local_stack_missing`.
    """
    if find_spec("deployments") is None or find_spec("prefect") is None:
        raise EngineUnavailable(
            "Dubbing on this machine needs the whole project, not only the client.",
            code="local_stack_missing",
            hint="Run it from a checkout after `make setup`, or name a running service (DUBLINE_URL).",
        )


def local_service(settings: Settings, told: Callable[[str], None] = lambda _text: None) -> str:
    """The address of the service on the state folder. One is started when there is none.

    Args:
        settings: Names the state folder.
        told: Called with a sentence when there is something to wait for.

    Raises:
        DublineError: `stack_start`, when none comes up.
    """
    require_project()
    run = settings.dubline_home / "run"
    run.mkdir(parents=True, exist_ok=True)
    (run / "used").touch()  # before looking: a service about to end for lack of use stays
    found = running_service(settings)
    if found is not None:
        return found
    told("Starting the service")
    log = settings.dubline_home / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as words:
        began_at = words.tell()
        process = subprocess.Popen(
            # -P: a file of the current folder must not stand in for one of our modules.
            [sys.executable, "-P", "-m", "deployments.up", "--port", "0", "--linger", str(LINGER_S)],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,  # Ctrl-C of one command must not stop what the next one uses
        )
    deadline_s = time.monotonic() + _READY_S
    while time.monotonic() < deadline_s:
        found = running_service(settings)
        if found is not None:
            return found
        if process.poll() not in (None, 0) and not _somebody_starts(settings):
            break
        time.sleep(0.1)
    with log.open("rb") as words:
        words.seek(began_at)
        said = words.read().decode(errors="replace").strip().splitlines()
    raise DublineError(
        "The service did not start.",
        code="stack_start",
        hint=f"It said: {said[-1]}" if said else "Read logs/up.log in the state folder (dubline doctor names it).",
        retryable=True,
    )


def running_service(settings: Settings) -> str | None:
    """The address of the API that runs on the state folder, when one answers."""
    try:
        state = json.loads((settings.dubline_home / "run" / "stack.json").read_text())
        url = state["urls"].get("api")
        if url and httpx.get(f"{url}/health/live", timeout=5, trust_env=False).status_code == 200:
            return str(url)
    except (FileNotFoundError, json.JSONDecodeError, httpx.HTTPError):
        return None
    return None


def _somebody_starts(settings: Settings) -> bool:
    """Whether another process holds the state folder: two commands at once share one service."""
    with (settings.dubline_home / "run" / "stack.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
