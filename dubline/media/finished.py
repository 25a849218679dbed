"""The sound of a finished file, decoded for everything that is measured on it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubline.media import argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch

RATE_HZ = 16_000
_FULL_SCALE_DB = -0.01
_CLIPPING_POSSIBLE_DBTP = -0.1
_VALUE = re.compile(r"=(-?[\d.]+(?:e[+-]?\d+)?|-?inf|-?nan)$")


@dataclass(frozen=True)
class FinishedSound:
    """First audio track of a finished file.

    Attributes:
        pcm: 16 kHz mono, raw little-endian 16 bit, on the file's own timeline.
        stereo: The same with two channels.
    """

    pcm: Path
    stereo: Path
    samples: int

    @property
    def duration_s(self) -> float:
        return self.samples / RATE_HZ


@dataclass(frozen=True)
class Loudness:
    """How loud the first audio track of a finished file is.

    Attributes:
        momentary_lufs: 400 ms windows, one every 100 ms; value `i` looks back from 0.1 * (i + 1) s.
        true_peak_dbtp: None for digital silence.
        clipped_share: Share of sample values at full scale, at the file's own rate.
    """

    momentary_lufs: NDArray[np.float64]
    true_peak_dbtp: float | None
    clipped_share: float


def decode_finished(video: Path, *, work_dir: Path, media_s: float) -> FinishedSound:
    """Decode the sound into `work_dir`. Memory does not grow with the length.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    with Scratch(work_dir) as scratch:
        forks = _track(scratch.link(video)).filter_multi_output("asplit", 2)
        heard = forks[0].filter("aresample", RATE_HZ).filter("aformat", sample_fmts="s16", channel_layouts="mono")
        sounds = argv.arguments(
            argv.sink([heard], "finished.raw", "s16le"), argv.sink([_stereo(forks[1])], "stereo.raw", "s16le")
        )
        run_ffmpeg(sounds, deadline_s=_deadline_s(media_s), cwd=scratch.path)
        pcm = scratch.move("finished.raw", work_dir / "finished.s16")
        both = scratch.move("stereo.raw", work_dir / "finished.stereo.s16")
    return FinishedSound(pcm=pcm, stereo=both, samples=pcm.stat().st_size // 2)


def measure_loudness(video: Path, *, work_dir: Path, media_s: float) -> Loudness:
    """Decode the sound once more, for its level: the true peak takes longer than all else, which need not wait for it.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    with Scratch(work_dir) as scratch:
        name = scratch.link(video)
        measured = _track(name).filter("ebur128", peak="true", metadata=1, framelog="quiet")
        for key, file in (("M", "momentary.txt"), ("true_peak", "peak.txt")):
            measured = measured.filter("ametadata", mode="print", key=f"lavfi.r128.{key}", file=file)
        run_ffmpeg(argv.arguments(argv.nowhere([measured])), deadline_s=_deadline_s(media_s), cwd=scratch.path)
        momentary = np.nan_to_num(_values(scratch.path / "momentary.txt"), nan=-120.0, neginf=-120.0, posinf=0.0)
        peaks = _values(scratch.path / "peak.txt")
        peak = float(np.nanmax(peaks)) if len(peaks) else 0.0
        true_peak_dbtp = round(20 * math.log10(peak), 2) if peak > 0 else None
        clipped = 0.0
        if true_peak_dbtp is not None and true_peak_dbtp > _CLIPPING_POSSIBLE_DBTP:
            clipped = _clipped_share(name, scratch.path, media_s)
    return Loudness(momentary, true_peak_dbtp, clipped)


def _track(name: str) -> Any:
    # Sound that starts after the picture is led by silence, so that sample 0 is the file's time zero.
    return argv.source(name)["a:0"].filter("aresample", **{"async": 1, "first_pts": 0})


def decode_stereo(path: Path, output: Path, *, work_dir: Path, media_s: float) -> Path:
    """Decode a sound file to raw 16 kHz stereo, as `FinishedSound.stereo` is.

    Raises:
        MediaError: the file cannot be decoded.
    """
    with Scratch(work_dir) as scratch:
        sound = argv.sink([_stereo(argv.source(scratch.link(path))["a:0"])], "stereo.raw", "s16le")
        run_ffmpeg(argv.arguments(sound), deadline_s=_deadline_s(media_s), cwd=scratch.path)
        return scratch.move("stereo.raw", output)


def _stereo(sound: Any) -> Any:
    return sound.filter("aresample", RATE_HZ).filter("aformat", sample_fmts="s16", channel_layouts="stereo")


def _deadline_s(media_s: float) -> float:
    return 60.0 + 2.0 * media_s


def _clipped_share(name: str, folder: Path, media_s: float) -> float:
    """A second pass, for files whose peak makes clipping possible: values at full scale in blocks of 100 ms."""
    track = argv.source(name)["a:0"].filter("aformat", sample_fmts="s16p").filter("asetnsamples", 4800, p=0)
    track = track.filter(
        "astats",
        metadata=1,
        reset=1,
        measure_perchannel="none",
        measure_overall="Peak_level+Peak_count+Number_of_samples",
    )
    files = {"Peak_level": "level.txt", "Peak_count": "count.txt", "Number_of_samples": "samples.txt"}
    for key, file in files.items():
        track = track.filter("ametadata", mode="print", key=f"lavfi.astats.Overall.{key}", file=file)
    run_ffmpeg(argv.arguments(argv.nowhere([track])), deadline_s=_deadline_s(media_s), cwd=folder)
    level, count, samples = (_values(folder / file) for file in files.values())
    return float(count[level >= _FULL_SCALE_DB].sum() / max(1.0, samples.sum()))


def _values(path: Path) -> NDArray[np.float64]:
    """The numbers that `ametadata` printed, one a frame."""
    if not path.exists():
        return np.zeros(0)
    with path.open() as file:
        return np.array([float(m[1]) for line in file if (m := _VALUE.search(line.rstrip()))], dtype=np.float64)
