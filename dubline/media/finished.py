"""The sound of a finished file, decoded for everything that is measured on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubline.media import argv
from dubline.media.extract import measurable
from dubline.media.loudness import metered, read_momentary
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.media.true_peak import Peaks, measure_peaks
from dubline.models import Span

RATE_HZ = 16_000

_FEW_AT_ONCE = 32_768  # samples handed from filter to filter: a codec's 1024 cost twice the time
_MOST_AT_ONCE = 8  # excerpts of one run: each has threads of its own, and each thread its share of address space
_LEAD_S = 0.2  # decoded before an excerpt and dropped: a codec's first frame after a jump is not whole


@dataclass(frozen=True)
class FinishedSound:
    """First audio track of a finished file, on the file's own timeline.

    Attributes:
        mono: 16 kHz, raw little-endian 16 bit: what a recogniser hears.
        stereo: The same with two channels.
        halved: All its channels at its own rate, at half their level: what is above full scale is still there.
        momentary_lufs: 400 ms windows, one every 100 ms; value `i` looks back from 0.1 * (i + 1) s.
    """

    mono: Path
    stereo: Path
    halved: Path
    momentary_lufs: NDArray[np.float64]

    def peaks(self) -> Peaks:
        """Its true peak, and how much of it is at full scale."""
        return measure_peaks(self.halved, 2.0)

    def close(self) -> None:
        """Remove what was decoded."""
        self.mono.unlink(missing_ok=True)
        self.stereo.unlink(missing_ok=True)
        self.halved.unlink(missing_ok=True)


def decode_mono(video: Path, *, work_dir: Path, media_s: float) -> Path:
    """Decode the first audio track to raw 16 kHz mono, little-endian 16 bit.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    with Scratch(work_dir) as scratch:
        sound = argv.arguments(argv.sink([_mono(_track(scratch.link(video)))], "finished.raw", "s16le"))
        run_ffmpeg(sound, deadline_s=_deadline_s(media_s), cwd=scratch.path)
        return scratch.move("finished.raw", work_dir / "finished.s16")


def decode_excerpts(video: Path, spans: Sequence[Span], *, work_dir: Path, media_s: float) -> list[NDArray[np.float32]]:
    """Decode parts of the first audio track to 16 kHz mono in -1 … 1, without decoding what lies before them.

    Each is as long as its span; behind the end of the sound there is silence.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    found: list[NDArray[np.float32]] = []
    with Scratch(work_dir) as scratch:
        name = scratch.link(video)
        for first in range(0, len(spans), _MOST_AT_ONCE):
            found += _excerpts(scratch, name, spans[first : first + _MOST_AT_ONCE], _deadline_s(media_s))
    return found


def _excerpts(scratch: Scratch, name: str, spans: Sequence[Span], deadline_s: float) -> list[NDArray[np.float32]]:
    starts_s = [max(0.0, math.floor((s.start_s - _LEAD_S) * 10) / 10) for s in spans]  # whole samples at usual rates
    outputs: list[Any] = []
    for number, (at_s, span) in enumerate(zip(starts_s, spans, strict=True)):
        length_s = f"{span.end_s - at_s + _LEAD_S:.3f}"
        sound = _mono(_track(name, **_from(at_s), t=length_s)).filter("apad", whole_dur=length_s)
        outputs.append(argv.sink([sound], f"excerpt{number}.raw", "s16le"))
    run_ffmpeg(argv.arguments(*outputs), deadline_s=deadline_s, cwd=scratch.path)
    found: list[NDArray[np.float32]] = []
    for number, (at_s, span) in enumerate(zip(starts_s, spans, strict=True)):
        samples = np.fromfile(scratch.path / f"excerpt{number}.raw", "<i2")[round((span.start_s - at_s) * RATE_HZ) :]
        found.append(samples[: round(span.duration_s * RATE_HZ)].astype(np.float32) / np.float32(32768))
    return found


def _from(at_s: float) -> dict[str, str]:
    return {"ss": f"{at_s:.3f}"} if at_s else {}  # a jump to the beginning loses the first frame


def decode_finished(video: Path, *, work_dir: Path, media_s: float) -> FinishedSound:
    """Decode the sound into `work_dir` for all that is measured on it. Memory does not grow with the length.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    with Scratch(work_dir) as scratch:
        forks = _track(scratch.link(video)).filter_multi_output("asplit", 4)
        sounds = argv.arguments(
            argv.sink([measurable(forks[0])], "stereo.raw", "s16le"),
            argv.sink([_mono(forks[3])], "mono.raw", "s16le"),
            argv.sink(
                [forks[2].filter("volume", 0.5).filter("aformat", sample_fmts="s16")], "halved.wav", "wav", rf64="auto"
            ),
            metered(forks[1], "momentary.txt"),
        )
        run_ffmpeg(sounds, deadline_s=_deadline_s(media_s), cwd=scratch.path)
        levels = np.maximum(read_momentary((scratch.path / "momentary.txt").read_bytes()), -120.0)
        stereo = scratch.move("stereo.raw", work_dir / "finished.stereo.s16")
        mono = scratch.move("mono.raw", work_dir / "finished.s16")
        halved = scratch.move("halved.wav", work_dir / "finished.halved.wav")
    return FinishedSound(mono=mono, stereo=stereo, halved=halved, momentary_lufs=levels)


def _track(name: str, **options: Any) -> Any:
    # Sound that starts after the picture is led by silence, so that sample 0 is the file's time zero.
    sound = argv.source(name, **options)["a:0"].filter("aresample", **{"async": 1, "first_pts": 0})
    return sound.filter("asetnsamples", _FEW_AT_ONCE, pad=0)


def decode_stereo(path: Path, output: Path, *, work_dir: Path, media_s: float) -> Path:
    """Decode a sound file to raw 16 kHz stereo, as `FinishedSound.stereo` is.

    Raises:
        MediaError: the file cannot be decoded.
    """
    with Scratch(work_dir) as scratch:
        sound = argv.source(scratch.link(path))["a:0"].filter("asetnsamples", _FEW_AT_ONCE, pad=0)
        sound = argv.sink([measurable(sound)], "stereo.raw", "s16le")
        run_ffmpeg(argv.arguments(sound), deadline_s=_deadline_s(media_s), cwd=scratch.path)
        return scratch.move("stereo.raw", output)


def _mono(sound: Any) -> Any:
    return sound.filter("aresample", RATE_HZ).filter("aformat", sample_fmts="s16", channel_layouts="mono")


def _deadline_s(media_s: float) -> float:
    return 60.0 + 2.0 * media_s
