"""The supervisor of the stack, with processes that only sleep."""

from __future__ import annotations

import errno
import sys
import threading
import time
from pathlib import Path

from deployments.supervisor import Child, Supervisor


def test_a_full_disk_ends_no_process(tmp_path: Path) -> None:
    said: list[str] = []
    written: list[str] = []
    is_full = True

    def write(what: str) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(what)

    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = Child("one", sleep, {}, tmp_path / "one.log", started=lambda _pid: write("child"))
    supervisor = Supervisor([child], said.append, lambda: write("stack"))
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        deadline_s = time.monotonic() + 20
        while not said and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert said == ["the state of the stack cannot be written: No space left on device"]
        assert child.pid is not None
        is_full = False
        while len(written) < 2 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert written == ["child", "stack"]
    finally:
        supervisor.stop()
        thread.join(20)
