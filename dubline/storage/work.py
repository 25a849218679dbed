"""Private work folders: made for one task run, removed after it, swept when their process died."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def work_folder(root: Path) -> Iterator[Path]:
    """A folder only this user can enter, gone when the block ends, whatever happens in it."""
    root.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep_work(root: Path, older_than_s: float = 0.0) -> int:
    """Remove folders whose process is gone (a killed run). Returns how many.

    Where several hosts share the folder a process may only seem dead: give an age that no run reaches.
    """
    removed = 0
    for path in root.glob("*-*"):
        pid = path.name.split("-", 1)[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= older_than_s:
                    shutil.rmtree(path, ignore_errors=True)
                    removed += 1
    return removed
