"""Which parts of a finished sound are those of an earlier file: most of them, after an edit, bit for bit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dubline.media import argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.media.true_peak import Peaks

PART_S = 10.0
LEAD_S = 1.0
"""Decoded before a part and dropped, and after it: by then decoder, resampler and meter no longer know where they
began. As whole a number of the meter's steps as a part is."""

# A line of ffmpeg's `framehash`: stream, decoding and presentation time, duration, size, digest of the packet, more.
_PACKET = re.compile(r"0, *-?\d+, *(-?\d+),")
_TIME_BASE = re.compile(r"#tb 0: (\d+)/(\d+)")
_OF_ALL = "#extradata"  # of FLAC, a digest of the whole sound


@dataclass(frozen=True)
class KeptSound:
    """What was measured of an earlier file, part by part.

    Attributes:
        stereo: Its sound as `FinishedSound.stereo` is.
        channels: How many its track has.
        marks: What its parts are made of, as `part_marks` gives them.
        momentary_lufs: Of all of it, every 100 ms.
        peaks: Of each part.
    """

    stereo: Path
    channels: int
    marks: tuple[str, ...]
    momentary_lufs: tuple[float, ...]
    peaks: tuple[Peaks, ...]

    def changed(self, marks: Sequence[str]) -> range | None:
        """The parts from the first to the last that another file has otherwise; None: it is cut in other ways."""
        if not marks or len(marks) != len(self.marks) or len(marks) != len(self.peaks):
            return None
        others = [number for number, (own, mark) in enumerate(zip(self.marks, marks, strict=True)) if own != mark]
        return range(others[0], others[-1] + 1) if others else range(0)


def part_marks(video: Path, *, work_dir: Path, media_s: float) -> tuple[str, ...]:
    """A mark for every 10 s of the first audio track: the same only where its packets and those beside it are.

    Raises:
        MediaError: the file cannot be read, or holds no sound.
    """
    with Scratch(work_dir) as scratch:
        track = argv.source(scratch.link(video))["a:0"]
        run = argv.arguments(argv.sink([track], "packets.txt", "framehash", c="copy", hash="md5"))
        run_ffmpeg(run, deadline_s=60 + media_s, cwd=scratch.path)
        with (scratch.path / "packets.txt").open(encoding="ascii", errors="replace") as lines:
            return tuple(digest.hexdigest() for digest in _digests(lines))


def _digests(lines: Iterable[str]) -> list[hashlib._Hash]:
    head, unit_s = hashlib.sha256(), 0.0  # of codec, rate and channels
    parts: list[hashlib._Hash] = []
    last = 0
    for line in lines:
        packet = _PACKET.match(line)
        if packet is None:
            base = _TIME_BASE.match(line)
            unit_s = int(base[1]) / int(base[2]) if base else unit_s
            if not line.startswith(_OF_ALL):
                head.update(line.encode())
            continue
        at_s = int(packet[1]) * unit_s
        last = max(last, int(at_s // PART_S))
        reached = int((at_s + LEAD_S) // PART_S)
        parts += [head.copy() for _ in range(reached + 1 - len(parts))]
        for number in range(max(0, int((at_s - LEAD_S) // PART_S)), reached + 1):
            parts[number].update(line.encode())
    return parts[: last + 1]  # what is within a second of its end reaches into no part that is there
