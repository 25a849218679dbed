"""Runs a command and watches its whole process tree: wall seconds and the peak of the summed memory."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

_EVERY_S = 0.4
_NEW_PEAK = 1.005


@dataclass(frozen=True)
class Measured:
    """One run. `peak_bytes` is the highest sum of proportional set sizes (shared pages counted once)."""

    wall_s: float
    peak_bytes: int
    stdout: str
    returncode: int

    def json(self) -> dict:
        """The last JSON object the command printed."""
        return json.loads(self.stdout.strip().splitlines()[-1])


def _pss_bytes(process: psutil.Process) -> int:
    try:
        with open(f"/proc/{process.pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return 0


def measure(
    command: Sequence[str], *, env: dict[str, str] | None = None, also: Callable[[], list[int]] = list
) -> Measured:
    """Run a command to its end. `also` names further process ids to count (a server in its own session)."""
    began_s = time.monotonic()
    peak = 0
    ended = threading.Event()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}) as child:

        def watch() -> None:
            nonlocal peak
            most = 0.0
            while not ended.wait(_EVERY_S):
                try:
                    root = psutil.Process(child.pid)
                    tree = [root, *root.children(recursive=True)]
                    tree += [psutil.Process(p) for p in also() if psutil.pid_exists(p)]
                    resident = sum(p.memory_info().rss for p in tree)
                except psutil.NoSuchProcess:
                    continue
                # Proportional sizes are read by walking every page: only where there may be a new peak.
                if resident > most * _NEW_PEAK:
                    most = resident
                    peak = max(peak, sum(_pss_bytes(p) for p in {p.pid: p for p in tree}.values()))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        stdout, _ = child.communicate()
        ended.set()
        watcher.join()
    return Measured(wall_s=time.monotonic() - began_s, peak_bytes=peak, stdout=stdout, returncode=child.returncode or 0)
