"""Runs ffmpeg: with a deadline, limits, progress and cancellation."""

from __future__ import annotations

import functools
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dubline import ledger
from dubline.cancel import STOP, StopToken
from dubline.errors import MediaError, StorageFull

_TAIL_BYTES = 2048
_POLL_S = 0.1


@dataclass(frozen=True)
class Limits:
    """What one child may use. Memory is address space, which a threaded ffmpeg reserves more of than it touches."""

    memory_bytes: int = 6 * 1024**3
    cpu_s: int = 6 * 3600
    file_bytes: int = 64 * 1024**3


@dataclass(frozen=True)
class Finished:
    """Standard output (empty where it carried the progress) and the end of what was said."""

    stdout: bytes
    tail: str


def deadline_s(media_s: float) -> float:
    """A generous deadline that grows with the media: a fixed one kills long videos."""
    return 60.0 + 20.0 * media_s


def limited(command: Sequence[str], limits: Limits) -> list[str]:
    """The command behind a shell that sets its limits and becomes it: safe to start from a process with threads."""
    script = (
        f"ulimit -c 0; ulimit -v {limits.memory_bytes // 1024}; ulimit -t {limits.cpu_s}; "
        f'ulimit -f {limits.file_bytes // 512}; exec "$@"'
    )
    return ["/bin/sh", "-c", script, "sh", *command]


@functools.lru_cache(maxsize=1)
def _bwrap() -> str | None:
    """Path of bubblewrap, when it is here and works (it needs user namespaces, which containers often lack)."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    trial = [path, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-net", "/bin/true"]
    try:
        works = subprocess.run(trial, capture_output=True, timeout=5, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if works else None


def sandboxed(command: Sequence[str], folder: Path) -> list[str]:
    """Without network and with one writable folder, where bubblewrap works; the command itself elsewhere."""
    path = _bwrap()
    if path is None:
        return list(command)
    inside = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind", str(folder), str(folder)]
    return [path, *inside, "--unshare-net", "--die-with-parent", "--chdir", str(folder), *command]


def run(
    command: Sequence[str],
    *,
    folder: Path,
    deadline: float,
    on_progress: Callable[[float], None] | None = None,
    limits: Limits | None = None,
    stop: StopToken = STOP,
) -> Finished:
    """Run one command of `argv.command` to its end.

    Args:
        folder: Working folder, the only one it may write to.
        deadline: Seconds of wall clock.
        on_progress: Told the position in the output, in seconds; the command was made with `progress=True`.

    Raises:
        MediaError: `media_timeout` or `media_failed`; the end of ffmpeg's words is in `details`.
        StorageFull: the disk is full.
        Cancelled: `stop` was set.
    """
    with ledger.busy("ffmpeg"):
        status, stdout, tail = _run(command, folder, deadline, on_progress, limits or Limits(), stop)
    if status == 0:
        return Finished(stdout=stdout, tail=tail)
    if "No space left on device" in tail:
        raise StorageFull("The disk is full.", hint="Free some space and run it again.")
    raise MediaError(
        "ffmpeg could not process the media.",
        code="media_failed",
        hint="The file may be damaged or of a kind that cannot be decoded.",
        details={"tail": tail[-_TAIL_BYTES:], "status": status},
    )


def _run(
    command: Sequence[str],
    folder: Path,
    deadline: float,
    on_progress: Callable[[float], None] | None,
    limits: Limits,
    stop: StopToken,
) -> tuple[int, bytes, str]:
    ends_s = time.monotonic() + deadline
    stdout, stderr = bytearray(), bytearray()
    with subprocess.Popen(
        limited(sandboxed(command, folder), limits),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        threads = [
            threading.Thread(target=_read_stdout, args=(child.stdout, stdout, on_progress), daemon=True),
            threading.Thread(target=_read_tail, args=(child.stderr, stderr), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            _wait(child, ends_s, deadline, stop)
        finally:
            if child.poll() is None:
                child.kill()
            for thread in threads:
                thread.join(5.0)
    return child.returncode, bytes(stdout), stderr.decode(errors="replace")


def _wait(child: subprocess.Popen[bytes], ends_s: float, deadline: float, stop: StopToken) -> None:
    while True:
        try:
            child.wait(_POLL_S)
            return
        except subprocess.TimeoutExpired:
            stop.check()
        if time.monotonic() > ends_s:
            raise MediaError(
                f"Processing the media took longer than {deadline:.0f} s.",
                code="media_timeout",
                hint="The file may be damaged; convert it first, or try a shorter part.",
            )


def _read_stdout(pipe: IO[bytes], into: bytearray, on_progress: Callable[[float], None] | None) -> None:
    for line in pipe:
        key, sign, value = line.partition(b"=")
        if on_progress is None:
            into += line
        elif sign and key == b"out_time_us" and value.strip().isdigit():
            on_progress(int(value) / 1e6)


def _read_tail(pipe: IO[bytes], into: bytearray) -> None:
    while block := pipe.read(4096):
        into += block
        del into[: -2 * _TAIL_BYTES]
