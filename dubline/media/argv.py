"""The one place where ffmpeg's command lines are made.

No text of a user is ever in them: inputs are paths of our own making behind a `file:` prefix, the protocols and
demuxers that may open them are named, and what a hostile file carries along (metadata, chapters, attachments) is
left behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ffmpeg

from dubline.media.ffmpeg import ffmpeg_path

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "avi",
    "mpegts",
    "mpeg",
    "mp3",
    "wav",
    "w64",
    "flac",
    "ogg",
    "aac",
    "flv",
    "asf",
)
"""Demuxers that may open a source. Playlists and scripts (HLS, DASH, concat) are not there: they name other files."""

FORMAT_WHITELIST = ",".join(FORMATS)
_MAX_PIXELS = 40_000_000


def source(path: Path, **options: Any) -> Any:
    """An input that came from a user."""
    return ffmpeg.input(
        f"file:{path}",
        protocol_whitelist="file",
        format_whitelist=FORMAT_WHITELIST,
        max_pixels=_MAX_PIXELS,
        **options,
    )


def made(path: Path, **options: Any) -> Any:
    """An input that an earlier step of ours wrote."""
    return ffmpeg.input(f"file:{path}", protocol_whitelist="file", **options)


def output(streams: Sequence[Any], path: Path | str, **options: Any) -> Any:
    """An output file, or `-` for standard output, without the source's metadata and chapters."""
    target = path if isinstance(path, str) else f"file:{path}"
    return ffmpeg.output(*streams, target, map_metadata=-1, map_chapters=-1, **options)


def command(node: Any, *, progress: bool = True) -> list[str]:
    """The whole command line of one output, or of several that were merged."""
    head = [ffmpeg_path(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
    if progress:
        head += ["-nostats", "-stats_period", "0.25", "-progress", "pipe:1"]
    return [*head, *ffmpeg.get_args(node)]


def merge(outputs: Sequence[Any]) -> Any:
    """Several outputs of one command."""
    return ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
