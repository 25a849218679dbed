"""The one place that spells ffmpeg command lines.

Every input carries the whitelists, every name is one of ours (`in0`, `out1.mp4`), resolved in a private folder:
nothing that a person typed, and nothing that a file says about itself, reaches a command line or a filter graph.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import ffmpeg

PROTOCOLS = "file"
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mp3,wav,flac,ogg,aac,flv,asf,mpeg"  # demuxers and their aliases
)
MAX_PIXELS = 40_000_000

_NAME = re.compile(r"[a-z][a-z_]{0,31}[0-9]{0,5}(\.[a-z0-9]{1,5})?")
_VALUE = re.compile(r"[A-Za-z0-9 _.,:;=+\-*/()'\[\]|<>\\@%?^]*")


def source(name: str, *, formats: str = FORMATS, is_timed: bool = True, **options: Any) -> Any:
    """An input by its name in the work folder.

    Args:
        name: A generated name; anything else is a programming error.
        formats: Demuxers that may open it. Files that we wrote ourselves may name others (`srt`).
        is_timed: Fill missing presentation times from decoding times.
        options: More options of this input, for instance `ss=1.5`.

    Raises:
        ValueError: a name or value that was not made here.
    """
    flags = {"fflags": "+genpts"} if is_timed else {}
    return ffmpeg.input(
        f"file:{_checked(name)}",
        protocol_whitelist=PROTOCOLS,
        format_whitelist=formats,
        **flags,
        **_checked_values(options),
    )


def picture_source(name: str, *, max_pixels: int = MAX_PIXELS, **options: Any) -> Any:
    """An input whose pictures are decoded: no picture larger than `max_pixels` gets memory."""
    return source(name, max_pixels=max_pixels, **options)


def pattern(text: str) -> Any:
    """A picture that ffmpeg makes itself, from a filter description of ours.

    Raises:
        ValueError: a value that was not made here.
    """
    _checked_values({"text": text})
    return ffmpeg.input(text, format="lavfi")


def sink(streams: Sequence[Any], name: str, container: str, **options: Any) -> Any:
    """An output file: no metadata, no chapters, nothing that varies from run to run.

    Raises:
        ValueError: a name or value that was not made here.
    """
    return _output(streams, f"file:{_checked(name)}", container, options)


def nowhere(streams: Sequence[Any], **options: Any) -> Any:
    """An output that is measured and thrown away."""
    return _output(streams, "-", "null", options)


def to_stdout(streams: Sequence[Any], container: str, **options: Any) -> Any:
    """An output on standard output."""
    return _output(streams, "pipe:1", container, options)


def _output(streams: Sequence[Any], where: str, container: str, options: dict[str, Any]) -> Any:
    fixed = {"map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact"}
    return ffmpeg.output(*streams, where, format=container, **{**fixed, **_checked_values(options)})


def arguments(*outputs: Any) -> list[str]:
    """Arguments of one run that makes all outputs, without the program's own name.

    Args:
        outputs: What `sink`, `nowhere` and `to_stdout` gave.
    """
    stream = outputs[0] if len(outputs) == 1 else ffmpeg.merge_outputs(*outputs)
    return [str(a) for a in ffmpeg.get_args(stream)]


def command(program: str, args: Sequence[str], *, progress_fd: int | None = None) -> list[str]:
    """The whole command line: quiet, never asking, overwriting; progress on a pipe of its own."""
    head = [program, "-nostdin", "-hide_banner", "-y", "-nostats", "-loglevel", "info"]
    if progress_fd is not None:
        head += ["-progress", f"pipe:{progress_fd}", "-stats_period", "0.25"]
    return [*head, *args]


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("only generated names may be used in a command line")
    return name


def _checked_values(options: dict[str, Any]) -> dict[str, Any]:
    for value in options.values():
        if value is None:
            continue  # an option without a value
        for text in value if isinstance(value, (list, tuple)) else [value]:
            if _VALUE.fullmatch(str(text)) is None:
                raise ValueError("only generated values may be used in a command line")
    return options
