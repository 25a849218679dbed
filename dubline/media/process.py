"""Runs one child under a deadline, polling for cancellation, with bounded memory for what it says."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dubline.cancel import StopToken
from dubline.errors import MediaError

_POLL_S = 0.1
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Finished:
    """How a child ended: `returncode` as `subprocess` gives it, negative for a signal."""

    returncode: int
    stdout: bytes
    stderr_tail: str


def run_child(
    argv: Sequence[str],
    *,
    deadline_s: float,
    cwd: Path,
    stop: StopToken,
    env: dict[str, str],
    stdin: IO[bytes] | bytes | None = None,
    max_stdout_bytes: int = 0,
    tail_bytes: int = 16_384,
    side_pipe: tuple[int, int] | None = None,
    on_side_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run to the end, or kill.

    Args:
        argv: Program and arguments; nothing goes through a shell.
        deadline_s: Wall seconds it may take.
        cwd: Its working folder.
        stop: Polled at least every tenth of a second.
        env: Its whole environment.
        stdin: An open file, or bytes that are fed to it.
        max_stdout_bytes: How much of its output is kept; 0 sends the output nowhere.
        tail_bytes: How much of the end of its log is kept.
        side_pipe: Read and write ends of a pipe the child inherits the second of; both are closed here.
        on_side_line: Gets every line that the child writes there.

    Raises:
        MediaError: `media_timeout` after the deadline, `media_output_limit` when it says too much.
        Cancelled: somebody asked to stop; the child is dead by then.
    """
    feed: bytes | None = None
    source: IO[bytes] | int = subprocess.DEVNULL
    if isinstance(stdin, bytes):
        feed, source = stdin, subprocess.PIPE
    elif stdin is not None:
        source = stdin
    with ExitStack() as stack:
        read_end = -1
        if side_pipe is not None:
            read_end = side_pipe[0]
            stack.callback(os.close, read_end)
        try:
            child = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=env,
                stdin=source,
                stdout=subprocess.PIPE if max_stdout_bytes else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(side_pipe[1],) if side_pipe else (),
            )
        finally:
            if side_pipe is not None:
                os.close(side_pipe[1])
        stack.callback(_bury, child)
        pump = _Pump(child, feed, max_stdout_bytes, tail_bytes, read_end, on_side_line)
        stack.callback(pump.close)
        end_s = time.monotonic() + deadline_s
        while pump.is_open:
            pump.turn(_POLL_S)
            _check(stop, end_s, deadline_s)
        while child.poll() is None:
            _check(stop, end_s, deadline_s)
            time.sleep(0.005)
        return Finished(child.returncode, bytes(pump.stdout), pump.tail.decode("utf-8", "replace"))


def _check(stop: StopToken, end_s: float, deadline_s: float) -> None:
    stop.check()
    if time.monotonic() > end_s:
        raise MediaError(
            "Reading or writing this media took longer than it may.",
            code="media_timeout",
            hint="Convert the file to a plain MP4 first, or give a shorter one.",
            details={"deadline_s": round(deadline_s, 1)},
        )


def _bury(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None and not pipe.closed:
            os.set_blocking(pipe.fileno(), True)
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was still to be fed has no reader any more


class _Pump:
    """Moves bytes between us and the child's pipes without blocking on any of them."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        feed: bytes | None,
        max_stdout_bytes: int,
        tail_bytes: int,
        side: int,
        on_side_line: Callable[[str], None] | None,
    ) -> None:
        self.stdout = bytearray()
        self.tail = bytearray()
        self._side_text = bytearray()
        self._feed = memoryview(feed or b"")
        self._max_stdout, self._max_tail = max_stdout_bytes, tail_bytes
        self._on_side_line = on_side_line
        self._selector = selectors.DefaultSelector()
        for file, kind in ((child.stdout, "out"), (child.stderr, "err"), (side if side >= 0 else None, "side")):
            if file is not None:
                self._register(file, selectors.EVENT_READ, kind)
        if feed is not None and child.stdin is not None:
            self._register(child.stdin, selectors.EVENT_WRITE, "in")

    def _register(self, file: IO[bytes] | int, event: int, kind: str) -> None:
        os.set_blocking(file if isinstance(file, int) else file.fileno(), False)
        self._selector.register(file, event, kind)

    @property
    def is_open(self) -> bool:
        """Whether the child still holds an end of a pipe that we read or feed."""
        return bool(self._selector.get_map())

    def turn(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if key.data == "in":
                self._write(key)
            else:
                self._read(key)

    def _write(self, key: selectors.SelectorKey) -> None:
        try:
            self._feed = self._feed[os.write(key.fd, self._feed[:_CHUNK]) :]
        except BrokenPipeError:
            self._feed = self._feed[:0]  # it wants no more; its exit status says whether that is right
        if not self._feed:
            self._selector.unregister(key.fileobj)
            if not isinstance(key.fileobj, int):
                key.fileobj.close()  # type: ignore[union-attr]  # typed by what select needs, a fileno

    def _read(self, key: selectors.SelectorKey) -> None:
        data = os.read(key.fd, _CHUNK)
        if not data:
            self._selector.unregister(key.fileobj)
        elif key.data == "out":
            self.stdout += data
            if len(self.stdout) > self._max_stdout:
                raise MediaError("The media tool said more than it may.", code="media_output_limit")
        elif key.data == "err":
            self.tail = (self.tail + data)[-self._max_tail :]
        else:
            *lines, rest = (self._side_text + data).split(b"\n")
            self._side_text = rest[-_CHUNK:]
            if self._on_side_line is not None:
                for line in lines:
                    self._on_side_line(line.decode("utf-8", "replace"))

    def close(self) -> None:
        self._selector.close()
