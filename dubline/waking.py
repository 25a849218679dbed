"""Wakes the worker of the same state folder when there is a run for it, through a named pipe.

A worker looks into Prefect's queues about once a second, and every look costs the server a twentieth of a second; so
it had better be told than look more often. A worker elsewhere, or one that is not told, finds the run when it looks.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dubline.settings import Settings


def _pipe(settings: Settings) -> Path:
    return settings.dubline_home / "run" / "wake"


def wake(settings: Settings) -> None:
    """Tell one of the workers that listen, if any does. Never waits."""
    # No pipe, nobody who reads it, or more wakings in it than anybody needs: all the same.
    with suppress(OSError):
        pipe = os.open(_pipe(settings), os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, b"\n")
        finally:
            os.close(pipe)


class Waking:
    """The worker's end of the pipe; `fileno` can be waited for, `clear` takes what came.

    Raises:
        OSError: this system or its disk has no named pipes.
    """

    def __init__(self, settings: Settings) -> None:
        path = _pipe(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # Open for writing, too: without any writer it would be at its end, and always ready to be read.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def fileno(self) -> int:
        return self._pipe

    def clear(self) -> None:
        """Take all that came; several wakings are one."""
        with suppress(BlockingIOError):
            while os.read(self._pipe, 4096):
                pass

    def close(self) -> None:
        os.close(self._pipe)
