"""Decodes one audio track twice, losslessly: the bed at full rate, and 16 kHz mono for the recogniser."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dubline.cancel import STOP, StopToken
from dubline.media import argv
from dubline.media.loudness import metered, read_momentary
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.media.timeline import anchors
from dubline.models import MediaInfo

Downmix = Literal["mix", "left", "right", "difference", "centre", "loudest"]

STT_RATE_HZ = 16_000
_LOST_DB = 12.0
_LOST_OF_MANY_DB = 30.0  # every channel of eight is turned down by up to 20 dB to make room for the others
_SILENT_DB = 40.0
_FLOOR_DB = -70.0
_LEAST_GAP_S = 0.03


@dataclass(frozen=True)
class Extracted:
    """The bed's rate, exact length in samples and momentary loudness, and how the recogniser's mono came about."""

    rate_hz: int
    samples: int
    downmix: Downmix
    bed_lufs: NDArray[np.float64]


def bed_rate(source_rate_hz: int) -> int:
    """44100 stays as it is; all else becomes or stays 48000."""
    return 44_100 if source_rate_hz == 44_100 else 48_000


def extract_audio(
    source: Path,
    info: MediaInfo,
    audio_index: int,
    bed_path: Path,
    stt_path: Path,
    *,
    work_dir: Path,
    stop: StopToken = STOP,
    on_progress: Callable[[float], None] | None = None,
) -> Extracted:
    """Write the bed (stereo) and the recogniser's audio (mono), both 16-bit WAV on the media's timeline.

    Both start at the media's time zero, whatever the track's own start: a late track gets silence before it, holes
    are filled, and both are padded or cut to the media's length, to a sample.

    Raises:
        MediaError: the track cannot be decoded.
        Cancelled: somebody asked to stop.
    """
    track = info.stream(audio_index)
    rate_hz = bed_rate(track.sample_rate_hz)
    samples, stt_samples = round(info.duration_s * rate_hz), round(info.duration_s * STT_RATE_HZ)
    deadline_s = 60 + info.duration_s
    with Scratch(work_dir) as scratch:
        container = argv.source(scratch.link(source))
        anchored = anchors(info, container, {audio_index})
        sound = container[str(audio_index)]
        # Levels of every channel, and of the plain downmix, are measured on the way: no pass of their own.
        sound = on_timeline(sound).filter("astats", measure_perchannel="RMS_level", measure_overall="none")
        split = sound.filter_multi_output("asplit", 2)
        bed = fitted(_stereo(split[0], rate_hz), samples).filter_multi_output("asplit", 2)
        # In float the resampler mixes at full level: with many channels the plain sum would be 20 dB too quiet.
        sample_format = "fltp" if track.channels > 2 else "s16"
        mono = split[1].filter("aresample", STT_RATE_HZ, ochl="mono", osf=sample_format)
        mono = fitted(mono, stt_samples).filter("astats", measure_perchannel="RMS_level", measure_overall="none")
        done = run_ffmpeg(
            argv.arguments(_wav(bed[0], "out0.wav"), _wav(mono, "out1.wav"), metered(bed[1], "levels.txt"), *anchored),
            deadline_s=deadline_s,
            cwd=scratch.path,
            stop=stop,
            on_progress=on_progress,
        )
        channels, plain_db = _levels(done.stderr_tail)
        downmix, pan = choose_downmix(channels, plain_db, track.channel_layout)
        if pan:
            better = on_timeline(container[str(audio_index)]).filter("pan", args=pan)
            better = fitted(better.filter("aresample", STT_RATE_HZ), stt_samples)
            run_ffmpeg(
                argv.arguments(_wav(better, "out1.wav"), *anchored), deadline_s=deadline_s, cwd=scratch.path, stop=stop
            )
        bed_lufs = read_momentary((scratch.path / "levels.txt").read_bytes())
        scratch.move("out0.wav", bed_path)
        scratch.move("out1.wav", stt_path)
    return Extracted(rate_hz=rate_hz, samples=samples, downmix=downmix, bed_lufs=bed_lufs)


def choose_downmix(channels_db: list[float], plain_db: float, layout: str) -> tuple[Downmix, str]:
    """How to make mono, from measured RMS levels in dB, with the `pan` expression (empty: the plain downmix will do).

    A plain downmix loses what is in opposite phase left and right, and halves a voice that is on one side only.
    """
    bass = _bass_channel(layout)
    ordered = sorted((i for i in range(len(channels_db)) if i != bass), key=lambda i: -channels_db[i])
    if len(ordered) < 2 or channels_db[ordered[0]] < _FLOOR_DB:
        return "mix", ""
    best, second = ordered[0], ordered[1]
    alone = channels_db[best] - channels_db[second] > _SILENT_DB
    lost_db = _LOST_DB if len(ordered) == 2 else _LOST_OF_MANY_DB
    if not alone and plain_db > channels_db[best] - lost_db:
        return "mix", ""
    if len(channels_db) == 2:
        if not alone and abs(channels_db[0] - channels_db[1]) < 1.0:
            return "difference", "mono|c0=0.5*c0-0.5*c1"
        return ("left", "mono|c0=c0") if best == 0 else ("right", "mono|c0=c1")
    is_centre = best == 2 and layout.startswith(("3.", "5.", "6.", "7.", "4."))
    return ("centre" if is_centre else "loudest"), f"mono|c0=c{best}"


def _bass_channel(layout: str) -> int:
    """Index of the low-frequency channel, which no downmix holds; -1 when there is none."""
    return {"2.1": 2, "3.1": 3, "4.1": 3, "5.1": 3, "6.1": 3, "7.1": 3}.get(layout[:3], -1)


def on_timeline(sound: Any) -> Any:
    """Silence where the track's timestamps leave holes, from the media's time zero on."""
    sound = sound.filter("aresample", **{"async": 1, "first_pts": 0, "min_hard_comp": _LEAST_GAP_S})
    return sound.filter("asetnsamples", 32768, pad=0)


def _stereo(sound: Any, rate_hz: int) -> Any:
    return sound.filter("aresample", rate_hz, ochl="stereo")


def fitted(sound: Any, samples: int) -> Any:
    """Padded with silence or cut to this many samples."""
    return sound.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)


def _wav(sound: Any, name: str) -> Any:
    return argv.sink([sound], name, "wav", acodec="pcm_s16le", rf64="auto")


def _levels(log: str) -> tuple[list[float], float]:
    """RMS levels by channel of the source, and of the plain downmix (dB; silence is -inf)."""
    rows = re.findall(r"Parsed_astats_(\d+) @ [^]]*\] RMS level dB: (\S+)", log)
    by_filter: dict[int, list[float]] = {}
    for number, value in rows:
        level = float(value)
        by_filter.setdefault(int(number), []).append(-math.inf if math.isnan(level) else level)
    ordered = [by_filter[n] for n in sorted(by_filter)]
    if len(ordered) < 2:
        return [], 0.0
    longest = max(ordered, key=len)
    other = next((levels for levels in ordered if levels is not longest), longest)
    return longest, other[0]
