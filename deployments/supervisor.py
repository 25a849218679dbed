"""Keeps a few child processes running: starts them in order, restarts what dies, stops them in reverse.

Light on purpose (no Prefect): it stays in memory for as long as the service runs.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deployments.child import bound
from dubline.errors import DublineError

_TICK_S = 0.1
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 15.0
_HEALTHY_S = 60.0
_START_DEATHS = 4
_LOG_BYTES = 10_000_000


@dataclass
class Child:
    """One process, as it is wanted and as it is.

    Attributes:
        check: Whether the process with this pid is ready; asked often, so it must answer within a second or two.
        once: It does its work and ends; an exit status of 0 is its readiness.
        stop_s: Seconds it gets to end by itself.
        started: Called with the pid of each new process.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    check: Callable[[int], bool] = lambda _pid: True
    once: bool = False
    stop_s: float = 3.0
    started: Callable[[int], None] = lambda _pid: None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    ready: bool = field(default=False, init=False)
    deaths: int = field(default=0, init=False)
    is_told: bool = field(default=True, init=False)
    since_s: float = field(default=0.0, init=False)
    not_before_s: float = field(default=0.0, init=False)

    @property
    def pid(self) -> int | None:
        """The pid while it runs."""
        return self.process.pid if self.process is not None else None


class Supervisor:
    """Runs the children until `stop` is called.

    Args:
        children: In the order of starting.
        say: Gets one line for every event.
        changed: Called when all are ready, and again whenever a process was replaced.
        ready_s: Seconds until all must be ready the first time.
    """

    def __init__(
        self, children: Sequence[Child], say: Callable[[str], None], changed: Callable[[], None], ready_s: float = 120.0
    ) -> None:
        self.children = list(children)
        self._say = say
        self._changed = changed
        self._ready_s = ready_s
        self._stops = 0
        self._was_ready = False
        self._is_told = True
        self._complains_s = 0.0

    def stop(self) -> None:
        """Ask for the end; asked twice, the children are killed at once. Safe in a signal handler."""
        self._stops += 1

    def run(self) -> None:
        """Block until stopped. No child is left, whatever happens.

        Raises:
            DublineError: `stack_start`, when a child does not become ready at the start.
        """
        deadline_s = time.monotonic() + self._ready_s
        try:
            while not self._stops:
                ready_before = self._all_ready()
                for child in self.children:
                    self._tend(child)
                if self._all_ready() and not ready_before:
                    self._was_ready = True
                    self._is_told = False
                self._tell()
                if not self._was_ready and time.monotonic() > deadline_s:
                    raise _not_started(next(c for c in self.children if not c.ready))
                time.sleep(_TICK_S)
        finally:
            self._end()

    def _tell(self) -> None:
        """Have written down what changed. A full disk stops no process: it is tried again."""
        try:
            for child in self.children:
                if not child.is_told and child.process is not None:
                    child.started(child.process.pid)
                    child.is_told = True
            if not self._is_told and self._all_ready():
                self._changed()
                self._is_told = True
        except OSError as error:
            if time.monotonic() >= self._complains_s:
                self._complains_s = time.monotonic() + _HEALTHY_S
                self._say(f"the state of the stack cannot be written: {error.strerror}")

    def _all_ready(self) -> bool:
        return all(c.ready for c in self.children)

    def _tend(self, child: Child) -> None:
        now_s = time.monotonic()
        if child.process is None:
            if child.once and child.ready:
                return
            if now_s >= child.not_before_s:
                self._start(child)
            return
        status = child.process.poll()
        if status is not None:
            child.process = None
            if child.once and status == 0:
                child.ready = True
            else:
                self._died(child, status, now_s)
        elif not child.ready and not child.once and child.check(child.process.pid):
            child.ready = True

    def _start(self, child: Child) -> None:
        _rotate(child.log)
        with child.log.open("ab") as log:
            child.process = subprocess.Popen(
                bound(list(child.command)),
                env=child.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C goes to the supervisor alone, which ends the others in order.
                process_group=0,
            )
        child.since_s = time.monotonic()
        child.is_told = False
        self._tell()

    def _died(self, child: Child, status: int, now_s: float) -> None:
        child.ready = False
        child.deaths = 1 if now_s - child.since_s > _HEALTHY_S else child.deaths + 1
        if not self._was_ready and child.deaths >= _START_DEATHS:
            raise _not_started(child)
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (child.deaths - 1))
        child.not_before_s = now_s + wait_s
        how = f"signal {-status}" if status < 0 else f"status {status}"
        self._say(f"{child.name} ended ({how}); it is started again in {wait_s:g} s")

    def _end(self) -> None:
        for child in reversed(self.children):
            process = child.process
            if process is None:
                continue
            if process.poll() is None:
                process.terminate()
            deadline_s = time.monotonic() + child.stop_s
            while process.poll() is None and time.monotonic() < deadline_s and self._stops < 2:
                time.sleep(0.02)
            if process.poll() is None:
                process.kill()
                process.wait()
            child.process, child.ready = None, False


def _not_started(child: Child) -> DublineError:
    return DublineError(
        f"The stack did not start: {child.name} does not come up.",
        code="stack_start",
        hint=f"Read logs/{child.log.name} in the state folder (dubline doctor names it).",
        retryable=True,
    )


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        os.replace(log, log.with_suffix(".log.1"))
