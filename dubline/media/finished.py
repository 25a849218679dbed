"""The sound of a finished file, decoded for everything that is measured on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubline.media import argv
from dubline.media.loudness import metered, read_momentary
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.media.true_peak import Peaks, measure_peaks

RATE_HZ = 16_000


@dataclass(frozen=True)
class FinishedSound:
    """First audio track of a finished file, on the file's own timeline.

    Attributes:
        stereo: 16 kHz, two channels, raw little-endian 16 bit.
        halved: All its channels at its own rate, at half their level: what is above full scale is still there.
        momentary_lufs: 400 ms windows, one every 100 ms; value `i` looks back from 0.1 * (i + 1) s.
    """

    stereo: Path
    halved: Path
    momentary_lufs: NDArray[np.float64]

    def peaks(self) -> Peaks:
        """Its true peak, and how much of it is at full scale."""
        return measure_peaks(self.halved, 2.0)

    def close(self) -> None:
        """Remove what was decoded."""
        self.stereo.unlink(missing_ok=True)
        self.halved.unlink(missing_ok=True)


def decode_mono(video: Path, *, work_dir: Path, media_s: float) -> Path:
    """Decode the first audio track to raw 16 kHz mono, little-endian 16 bit: what a recogniser hears.

    By itself, since listening takes longest and waits for nothing else.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    with Scratch(work_dir) as scratch:
        heard = _track(scratch.link(video)).filter("aresample", RATE_HZ)
        heard = heard.filter("aformat", sample_fmts="s16", channel_layouts="mono")
        sound = argv.arguments(argv.sink([heard], "finished.raw", "s16le"))
        run_ffmpeg(sound, deadline_s=_deadline_s(media_s), cwd=scratch.path)
        return scratch.move("finished.raw", work_dir / "finished.s16")


def decode_finished(video: Path, *, work_dir: Path, media_s: float) -> FinishedSound:
    """Decode the sound into `work_dir` for all that is measured on it. Memory does not grow with the length.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    with Scratch(work_dir) as scratch:
        forks = _track(scratch.link(video)).filter_multi_output("asplit", 3)
        sounds = argv.arguments(
            argv.sink([_stereo(forks[0])], "stereo.raw", "s16le"),
            argv.sink(
                [forks[2].filter("volume", 0.5).filter("aformat", sample_fmts="s16")], "halved.wav", "wav", rf64="auto"
            ),
            metered(forks[1], "momentary.txt"),
        )
        run_ffmpeg(sounds, deadline_s=_deadline_s(media_s), cwd=scratch.path)
        levels = np.maximum(read_momentary((scratch.path / "momentary.txt").read_bytes()), -120.0)
        stereo = scratch.move("stereo.raw", work_dir / "finished.stereo.s16")
        halved = scratch.move("halved.wav", work_dir / "finished.halved.wav")
    return FinishedSound(stereo=stereo, halved=halved, momentary_lufs=levels)


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
