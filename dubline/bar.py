"""The progress bar of a dub."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn


class Bar:
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

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

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
