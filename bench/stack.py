"""The running service, for benchmarks that measure it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil


class Stack:
    """`dubline up` over a state folder, until the block ends."""

    def __init__(self, home: Path, *, is_simulated: bool) -> None:
        self.home, self._is_simulated = home, is_simulated

    def __enter__(self) -> Stack:
        environment = {
            **os.environ,
            "DUBLINE_HOME": str(self.home),
            "PORT": "0",
            "SIMULATED_ENGINES": str(self._is_simulated),
        }
        began_s = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deployments.up"], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "ready in" in line:
                break
        self.ready_s = time.monotonic() - began_s
        state = json.loads((self.home / "run" / "stack.json").read_text())
        self.url, self.prefect, self.pids = state["urls"]["api"], state["urls"]["prefect"], state["pids"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    def pss_bytes(self) -> int:
        """Proportional set size of the supervisor and everything under it."""
        root = psutil.Process(self._process.pid)
        return sum(p.memory_full_info().pss for p in (root, *root.children(recursive=True)))
