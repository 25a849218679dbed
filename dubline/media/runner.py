"""Runs ffmpeg as a confined child: limits, deadline, progress, cancellation, typed errors."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubline import ledger
from dubline.cancel import STOP, StopToken
from dubline.errors import EngineUnavailable, MediaError, StorageFull
from dubline.media import argv as command_lines
from dubline.media import launcher, sandbox
from dubline.media.ffmpeg import ffmpeg_path
from dubline.media.process import Finished, run_child

_MEMORY_BYTES = 8 * 1024**3
_FILE_BYTES = 64 * 1024**3
_STDOUT_BYTES = 256 * 1024**2
_DETAIL_CHARS = 2000


@dataclass(frozen=True)
class FfmpegResult:
    """What a run said: captured output, and the end of its log."""

    stdout: bytes
    stderr_tail: str


def run_ffmpeg(
    what: Sequence[str] | Any,
    *,
    deadline_s: float,
    cwd: Path,
    stop: StopToken = STOP,
    on_progress: Callable[[float], None] | None = None,
    capture_stdout: bool = False,
    stdin_bytes: bytes | None = None,
    max_file_bytes: int = _FILE_BYTES,
) -> FfmpegResult:
    """Run ffmpeg to its end in `cwd`.

    Args:
        what: Outputs of `dubline.media.argv`, or arguments without the program's name.
        deadline_s: Wall seconds it may take.
        cwd: Folder in which all of its file names lie.
        stop: Polled at least every tenth of a second.
        on_progress: Gets the time written so far, in media seconds, about four times a second.
        capture_stdout: Keep standard output (at most 256 MiB).
        stdin_bytes: Fed to an input `pipe:0`.
        max_file_bytes: Largest file that it may write.

    Raises:
        MediaError: `media_timeout` or `media_failed`; `details["tail"]` holds the end of the log.
        StorageFull: the disk is full.
        Cancelled: somebody asked to stop.
        EngineUnavailable: there is no ffmpeg.
    """
    args = [str(a) for a in what] if isinstance(what, (list, tuple)) else command_lines.arguments(what)
    program = ffmpeg_path()
    stop.check()
    side = os.pipe() if on_progress is not None else None
    line = command_lines.command(program, args, progress_fd=side[1] if side else None)
    limits = (_MEMORY_BYTES, int(deadline_s * (os.cpu_count() or 1)) + 10, max_file_bytes, os.getpid())
    words = [
        *(sys.executable, "-I", "-S", launcher.__file__),
        *map(str, limits),
        *_absolute([*sandbox.prefix(program, cwd), *line]),
    ]
    with ledger.busy("ffmpeg"):
        try:
            done = run_child(
                words,
                deadline_s=deadline_s,
                cwd=cwd,
                stop=stop,
                env=_environment(cwd),
                stdin=stdin_bytes,
                max_stdout_bytes=_STDOUT_BYTES if capture_stdout else 0,
                side_pipe=side,
                on_side_line=_progress_reader(on_progress) if on_progress else None,
            )
        except OSError as error:
            raise EngineUnavailable(
                "ffmpeg could not be started.", code="ffmpeg_missing", hint="Install ffmpeg, or imageio-ffmpeg."
            ) from error
    _raise_for(done)
    return FfmpegResult(done.stdout, done.stderr_tail)


def _absolute(words: list[str]) -> list[str]:
    """The program by its full path: exec searches no PATH."""
    return [os.path.abspath(words[0]), *words[1:]]


def _environment(cwd: Path) -> dict[str, str]:
    """Nothing of ours: no secret can leak, no variable can change what ffmpeg does."""
    return {"LC_ALL": "C.UTF-8", "HOME": str(cwd), "XDG_CACHE_HOME": str(cwd), "PATH": os.defpath}


def _progress_reader(on_progress: Callable[[float], None]) -> Callable[[str], None]:
    def read(line: str) -> None:
        key, _, value = line.partition("=")
        if key == "out_time_us" and value.strip().lstrip("-").isdigit():
            on_progress(max(0.0, int(value) / 1e6))

    return read


def _raise_for(done: Finished) -> None:
    if done.returncode == 0:
        return
    details = {"tail": done.stderr_tail[-_DETAIL_CHARS:], "exit": done.returncode}
    if "No space left on device" in done.stderr_tail:
        raise StorageFull("The disk is full.", hint="Free some space and run the job again.", details=details)
    if done.returncode == -signal.SIGXFSZ:
        raise MediaError("A media file grew beyond its limit.", code="media_output_limit", details=details)
    if done.returncode == -signal.SIGXCPU:
        raise MediaError("This media took more computing than it may.", code="media_timeout", details=details)
    raise MediaError(
        "ffmpeg could not read or write this media.",
        code="media_failed",
        hint="The file may be damaged; try to convert it to a plain MP4 first.",
        # A kill that nobody here ordered is the kernel short of memory: worth another try.
        retryable=done.returncode == -signal.SIGKILL,
        details=details,
    )
