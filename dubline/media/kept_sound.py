"""Which parts of a finished sound are those of an earlier file: most of them, after an edit, bit for bit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
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
_PACKET = re.compile(r"^0, *-?\d+, *(-?\d+), *\d+, *\d+, .*$", re.MULTILINE)
_TIME_BASE = re.compile(r"^#tb 0: (\d+)/(\d+)$", re.MULTILINE)


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
        if len(marks) != len(self.marks) or len(marks) != len(self.peaks):
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
        run = argv.arguments(argv.to_stdout([track], "framehash", c="copy", hash="md5"))
        done = run_ffmpeg(run, deadline_s=60 + media_s, cwd=scratch.path, capture_stdout=True)
    text = done.stdout.decode("ascii", "replace")
    base = _TIME_BASE.search(text)
    packets = list(_PACKET.finditer(text))
    if base is None or not packets:
        return ()
    unit_s = int(base[1]) / int(base[2])
    # Codec, rate and channels; the extra data of FLAC is a digest of all of it.
    head = "\n".join(line for line in text[: packets[0].start()].splitlines() if not line.startswith("#extradata"))
    count = int(int(packets[-1][1]) * unit_s // PART_S) + 1
    digests = [hashlib.sha256(head.encode()) for _ in range(count)]
    for packet in packets:
        at_s = int(packet[1]) * unit_s
        reached = range(int((at_s - LEAD_S) // PART_S), int((at_s + LEAD_S) // PART_S) + 1)
        for number in reached:
            if 0 <= number < count:
                digests[number].update(packet[0].encode())
    return tuple(digest.hexdigest() for digest in digests)
