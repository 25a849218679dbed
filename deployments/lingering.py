"""A stack that a command started for itself: it ends when nothing was done for a while, or when a lasting one comes."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

_LOOK_S = 5.0
_END_S = 40.0


def stop_when_unused(state: Path, linger_s: float, stop: Callable[[], None]) -> None:
    """Call `stop` once no job was under way, and no command came, for `linger_s`. Looks from a thread of its own."""

    def look() -> None:
        used_s = time.time()
        while time.time() - used_s < linger_s:
            time.sleep(min(_LOOK_S, linger_s))
            used_s = max(used_s, _touched_s(state))
            if _jobs(state) != 0:
                used_s = time.time()
        stop()

    threading.Thread(target=look, name="linger", daemon=True).start()


def end_unused(state: Path) -> bool:
    """End the stack that holds the folder, when it only lingers and has no job. Whether it has ended."""
    told = _read(state)
    if not told.get("lingers") or _jobs(state) != 0:
        return False
    pid = told["pids"]["supervisor"]
    os.kill(pid, signal.SIGTERM)
    deadline_s = time.monotonic() + _END_S
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True


def _jobs(state: Path) -> int | None:
    """Jobs that have not ended; None when nobody can say, which is no proof of none."""
    url = _read(state).get("urls", {}).get("api")
    if url is None:
        return None
    try:
        with urllib.request.urlopen(f"{url}/api/v1/queue/status", timeout=10) as answer:
            counts = json.load(answer)["database"]
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError):
        return None
    return sum(counts[f"{status}_jobs"] for status in ("uploaded", "queued", "processing"))


def _read(state: Path) -> dict:
    try:
        return json.loads(state.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _touched_s(state: Path) -> float:
    try:
        return state.with_name("used").stat().st_mtime
    except FileNotFoundError:
        return 0.0
