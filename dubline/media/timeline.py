"""Holds ffmpeg to the media's own time zero."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dubline.media import argv
from dubline.models import MediaInfo

# Formats whose clocks may jump: there ffmpeg counts from the earliest stream that is *used*, not the earliest.
_OWN_ZERO = frozenset({"mpegts", "mpeg", "ogg", "flv", "asf"})


def anchors(info: MediaInfo, source: Any, used: Collection[int]) -> list[Any]:
    """Outputs to add to a run so that the source's time zero is the media's, whichever streams are taken from it.

    The earliest stream, when it is not among the used ones, is read along and thrown away.
    """
    if _OWN_ZERO.isdisjoint(info.container.split(",")):
        return []
    timed = [s for s in info.streams if s.kind in ("video", "audio") and s.packets and s.has_timestamps]
    if not timed:
        return []
    first = min(timed, key=lambda s: s.start_s)
    if first.index in used or first.is_attached_picture:
        return []
    return [argv.nowhere([source[str(first.index)]], c="copy")]
