"""The name of a worker: unique on the machine, locked while the worker lives. No Prefect here."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import TextIO

from dubline.settings import Settings


def _folder(settings: Settings) -> Path:
    return settings.dubline_home / "run" / "workers"


class WorkerName:
    """A name that no other living worker of this state folder has, held by a lock on a file."""

    def __init__(self, settings: Settings) -> None:
        self._folder = _folder(settings)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._prefix = f"dubline-{socket.gethostname().split('.')[0]}-"
        self._held: dict[str, TextIO] = {}
        self.name = next(n for n in (f"{self._prefix}{i}" for i in range(1, 1000)) if self.take(n))

    def take(self, name: str) -> bool:
        """Whether the name is ours: already, or now because its holder is dead. False for foreign names."""
        if name in self._held:
            return True
        if not name.startswith(self._prefix) or not name.removeprefix(self._prefix).isdigit():
            return False
        file = (self._folder / name).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        file.truncate(0)
        self._held[name] = file
        return True

    def give_up_others(self) -> None:
        """Keep only the own name."""
        for name in [n for n in self._held if n != self.name]:
            self._held.pop(name).close()

    def announce(self) -> None:
        """Leave the pid in the file: this worker is ready."""
        self._held[self.name].write(f"{os.getpid()}\n")
        self._held[self.name].flush()


def is_ready(settings: Settings, pid: int) -> bool:
    """Whether the worker with this pid has begun to look for work."""
    return any(p.read_text().strip() == str(pid) for p in _folder(settings).glob("dubline-*"))
