"""Decodes one audio track: losslessly to the bed at full rate, and to 16 kHz for who listens and measures."""

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
from dubline.models import MediaInfo, StreamInfo

Downmix = Literal["mix", "left", "right", "difference", "centre", "loudest"]

STT_RATE_HZ = 16_000
_LOST_DB = 12.0
_LOST_OF_MANY_DB = 30.0  # every channel of eight is turned down by up to 20 dB to make room for the others
_SILENT_DB = 40.0
_FLOOR_DB = -70.0
_LEAST_GAP_S = 0.03


@dataclass(frozen=True)
class Bed:
    """The bed's rate, exact length in samples and momentary loudness."""

    rate_hz: int
    samples: int
    lufs: NDArray[np.float64]


def bed_rate(source_rate_hz: int) -> int:
    """44100 stays as it is; all else becomes or stays 48000."""
    return 44_100 if source_rate_hz == 44_100 else 48_000


def extract_bed(
    source: Path,
    info: MediaInfo,
    audio_index: int,
    out: Path,
    *,
    work_dir: Path,
    measured: Path | None = None,
    stop: StopToken = STOP,
) -> Bed:
    """Write the bed: stereo, 16-bit WAV on the media's timeline.

    `measured` gets the same as raw 16 kHz stereo, 16 bit little-endian: every report of a render holds it against the
    finished sound, and would have to decode the bed for it.

    It starts at the media's time zero, whatever the track's own start: a late track gets silence before it, holes are
    filled, and the end is padded or cut to the media's length, to a sample.

    Raises:
        MediaError: the track cannot be decoded.
        Cancelled: somebody asked to stop.
    """
    rate_hz = bed_rate(info.stream(audio_index).sample_rate_hz)
    samples = round(info.duration_s * rate_hz)
    with Scratch(work_dir) as scratch:
        container = argv.source(scratch.link(source))
        anchored = anchors(info, container, {audio_index})
        sound = on_timeline(container[str(audio_index)]).filter("aresample", rate_hz, ochl="stereo")
        # Loudness is measured on the way: no pass of its own.
        split = fitted(sound, samples).filter_multi_output("asplit", 2 if measured is None else 3)
        sinks = [_wav(split[0], "out.wav"), metered(split[1], "levels.txt")]
        if measured is not None:
            sinks.append(argv.sink([measurable(split[2])], "measured.raw", "s16le"))
        run_ffmpeg(
            argv.arguments(*sinks, *anchored),
            deadline_s=60 + info.duration_s,
            cwd=scratch.path,
            stop=stop,
        )
        lufs = read_momentary((scratch.path / "levels.txt").read_bytes())
        scratch.move("out.wav", out)
        if measured is not None:
            scratch.move("measured.raw", measured)
    return Bed(rate_hz=rate_hz, samples=samples, lufs=lufs)


def extract_speech(
    source: Path,
    info: MediaInfo,
    audio_index: int,
    out: Path,
    *,
    work_dir: Path,
    stop: StopToken = STOP,
    on_progress: Callable[[float], None] | None = None,
) -> Downmix:
    """Write the recogniser's audio: mono, 16-bit WAV, on the same timeline as the bed.

    A decoding of its own, though the bed is decoded too: speech is looked for while the bed is still made.

    Returns:
        How the mono came about.

    Raises:
        MediaError: the track cannot be decoded.
        Cancelled: somebody asked to stop.
    """
    track = info.stream(audio_index)
    samples = round(info.duration_s * STT_RATE_HZ)
    deadline_s = 60 + info.duration_s
    with Scratch(work_dir) as scratch:
        container = argv.source(scratch.link(source))
        anchored = anchors(info, container, {audio_index})
        sound = container[str(audio_index)]
        # Levels of every channel, and of the plain downmix, are measured on the way: no pass of their own.
        # In float the resampler mixes at full level: with many channels the plain sum would be 20 dB too quiet.
        sample_format = "fltp" if track.channels > 2 else "s16"
        mono = _levelled(on_timeline(sound), track).filter("aresample", STT_RATE_HZ, ochl="mono", osf=sample_format)
        mono = _levelled(fitted(mono, samples), track)
        done = run_ffmpeg(
            argv.arguments(_wav(mono, "out.wav"), *anchored),
            deadline_s=deadline_s,
            cwd=scratch.path,
            stop=stop,
            on_progress=on_progress,
        )
        downmix, pan = choose_downmix(*_levels(done.stderr_tail), track.channel_layout)
        if pan:
            better = on_timeline(sound).filter("pan", args=pan).filter("aresample", STT_RATE_HZ)
            run_ffmpeg(
                argv.arguments(_wav(fitted(better, samples), "out.wav"), *anchored),
                deadline_s=deadline_s,
                cwd=scratch.path,
                stop=stop,
            )
        scratch.move("out.wav", out)
    return downmix


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


def measurable(sound: Any) -> Any:
    """As the report measures sound: 16 kHz, 16 bit, stereo."""
    return sound.filter("aresample", STT_RATE_HZ).filter("aformat", sample_fmts="s16", channel_layouts="stereo")


def fitted(sound: Any, samples: int) -> Any:
    """Padded with silence or cut to this many samples."""
    return sound.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)


def _wav(sound: Any, name: str) -> Any:
    return argv.sink([sound], name, "wav", acodec="pcm_s16le", rf64="auto")


def _levelled(sound: Any, track: StreamInfo) -> Any:
    """With its level measured, where there are channels to choose among."""
    if track.channels == 1:
        return sound
    return sound.filter("astats", measure_perchannel="RMS_level", measure_overall="none")


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
