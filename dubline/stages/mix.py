"""mix: lines laid on the bed at absolute samples, the voice as loud as the source's, nothing clipped.

Works in blocks: memory does not grow with the length of the video.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.cancel import STOP
from dubline.errors import EngineOutputInvalid
from dubline.media.loudness import gated_lufs, momentary
from dubline.media.stretch import StretchJob, stretch_many
from dubline.models import Background, Frozen, LaidPhrase, Span, Timeline

_BLOCK_S = 10.0
_ENVELOPE_HZ = 100
_LEAD_S, _HOLD_S, _RAMP_S = 0.25, 0.25, 0.25  # voice activity is noticed a little late; the ramp must be over by then
_FADE_S = 0.004
_CEILING = 10 ** (-2.6 / 20)  # sample peak; leaves 1.1 dB to the -1.5 dBTP limit for inter-sample peaks and the encoder
_STEREO_OF_MONO_DB = 3.01  # BS.1770 adds the power of both channels
_TAIL_SLACK_S = 0.06
_GAIN_STEP_DB = 0.5  # of the voice: an edited line hardly ever changes what is heard elsewhere, so that may be kept


Bed = Literal["ducked", "separated", "kept", "muted"]


@dataclass(frozen=True)
class _Ducking:
    """How far the bed goes down under speech: to `ceiling_lu` against the voice, by `most_db` at most."""

    ceiling_lu: float
    most_db: float


# The original voice has to go below what is understood; what is left without it may be heard.
_DUCKING = {False: _Ducking(ceiling_lu=-27.0, most_db=-36.0), True: _Ducking(ceiling_lu=-18.0, most_db=-12.0)}
_REACH_STEPS = 2


class MixFacts(Frozen):
    """What the mix did. Levels in LUFS and dB; `limited_share` is the share of 1 ms blocks the limiter touched.

    `duck_db` is the bed's mean gain under speech.
    """

    bed: Bed = "ducked"
    source_voice_lufs: float | None
    dub_voice_lufs: float | None
    voice_gain_db: float
    duck_db: float
    limited_share: float


def mix(
    bed: Path,
    timeline: Timeline,
    spoken: dict[str, Path],
    speech: Sequence[Span],
    *,
    background: Background,
    bed_lufs: NDArray[np.float64],
    separated: Path | None = None,
    output: Path,
    work: Path,
    threads: int = 1,
    on_progress: Callable[[float], None] = lambda _: None,
) -> MixFacts:
    """Write the dub's sound: stereo PCM at the bed's rate, exactly `timeline.total_samples` long.

    Args:
        bed: The source's sound, stereo, on the media's timeline.
        timeline: Where each line lies, in samples at the bed's rate.
        spoken: Audio file by utterance id.
        bed_lufs: The bed's momentary loudness, as `dubline.media.loudness.momentary` gives it.
        background: Lower the bed under speech, keep it as it is, or leave it out.
        separated: The bed without its voice, which then takes the bed's place.
        output: The file to write.
        work: Folder for what is needed on the way.
        threads: Lines are stretched in as many runs of ffmpeg.
        on_progress: Told the share that is done.
        speech: Where somebody speaks in the source; the bed is ducked there too, or the original voice would
            surface between two lines.
    """
    rate_hz = timeline.sample_rate_hz
    voice = work / "voice.wav"
    with ThreadPoolExecutor(1) as beside:  # on another core, while the lines are stretched
        measuring = beside.submit(momentary, separated, work_dir=work) if separated is not None else None
        phrases = _stretched(timeline, spoken, rate_hz, threads, work)
        _lay(timeline, phrases, voice)
        separated_lufs = measuring.result() if measuring is not None else None
    source_lufs = gated_lufs(bed_lufs, _mask(speech, len(bed_lufs))) if speech else None
    intervals = [
        Span(start_s=p.start_sample / rate_hz, end_s=(p.start_sample + p.length_samples) / rate_hz)
        for place in timeline.placements
        for p in place.parts
    ]
    voice_lufs = gated_lufs(momentary(voice, work_dir=work)) if phrases else None
    gain_db = 0.0
    if source_lufs is not None and voice_lufs is not None:
        gain_db = float(np.clip(source_lufs - (voice_lufs + _STEREO_OF_MONO_DB), -40.0, 30.0))
        gain_db = round(gain_db / _GAIN_STEP_DB) * _GAIN_STEP_DB
    treatment = _treatment(background, separated, has_lines=bool(timeline.placements))
    duration_s = timeline.total_samples / rate_hz
    if treatment in ("kept", "muted"):
        duck_db = 0.0 if treatment == "kept" else -120.0
        gain = np.full(1, float(treatment == "kept"))
    else:
        if separated is not None and separated_lufs is not None:
            bed, bed_lufs = separated, separated_lufs
        level_lufs = source_lufs if source_lufs is not None else (voice_lufs or 0.0) + _STEREO_OF_MONO_DB
        depth_db = _depth(bed_lufs, level_lufs, _DUCKING[separated is not None], duration_s)
        shape = _shape([*speech, *intervals], duration_s)
        gain = np.power(10.0, depth_db * shape / 20)
        duck_db = float(np.average(depth_db, weights=shape)) if shape.any() else 0.0
    limited = _sum(bed, voice, output, timeline, gain, 10 ** (gain_db / 20), on_progress)
    return MixFacts(
        bed=treatment,
        source_voice_lufs=source_lufs,
        dub_voice_lufs=voice_lufs,
        voice_gain_db=round(gain_db, 2),
        duck_db=round(duck_db, 1),
        limited_share=round(limited, 5),
    )


def _treatment(background: Background, separated: Path | None, *, has_lines: bool) -> Bed:
    """What is done to the bed; where nobody speaks anew, the original sound stays."""
    if background == "keep" or not has_lines:
        return "kept"
    if background == "mute":
        return "muted"
    return "separated" if separated is not None else "ducked"


def _stretched(
    timeline: Timeline, spoken: dict[str, Path], rate_hz: int, threads: int, work: Path
) -> list[tuple[LaidPhrase, Path]]:
    """Every phrase at its pace and at the timeline's rate, as raw mono float32 files, in order of time."""
    phrases = [
        (part, spoken[place.utterance_id])
        for place in timeline.placements
        if place.utterance_id in spoken and place.length_samples > 0
        for part in place.parts
    ]
    phrases.sort(key=lambda row: row[0].start_sample)
    jobs = [
        StretchJob(path, part.stretch, work / f"phrase{number:05d}.f32", part.first, part.end)
        for number, (part, path) in enumerate(phrases)
    ]
    if jobs:
        stretch_many(jobs, rate_hz, threads=threads, work_dir=work)
    return [(part, job.target) for (part, _), job in zip(phrases, jobs, strict=True)]


def _lay(timeline: Timeline, phrases: Sequence[tuple[LaidPhrase, Path]], voice: Path) -> None:
    """The voice alone, mono, every phrase at its own sample: no drift by concatenation."""
    rate_hz = timeline.sample_rate_hz
    fade = int(_FADE_S * rate_hz)
    at = 0
    with soundfile.SoundFile(str(voice), "w", samplerate=rate_hz, channels=1, subtype="FLOAT", format="RF64") as file:
        for part, path in phrases:
            _silence(file, part.start_sample - at)
            samples = _fitted(np.fromfile(path, dtype="<f4"), part, rate_hz)
            if len(samples) > 2 * fade:
                ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
                samples[:fade] *= ramp
                samples[-fade:] *= ramp[::-1]
            file.write(samples)
            at = part.start_sample + len(samples)
        _silence(file, timeline.total_samples - at)


def _fitted(samples: NDArray[np.float32], part: LaidPhrase, rate_hz: int) -> NDArray[np.float32]:
    """Exactly the planned length: the stretch filter is right to some milliseconds, the plan to a sample.

    Raises:
        EngineOutputInvalid: more would be cut than the silence that a phrase ends with.
    """
    extra = len(samples) - part.length_samples
    if extra > _TAIL_SLACK_S * rate_hz:
        raise EngineOutputInvalid("A stretched line came out longer than planned.", code="stretch_length")
    if extra >= 0:
        return samples[: part.length_samples].copy()
    return np.concatenate([samples, np.zeros(-extra, np.float32)])


def _silence(file: soundfile.SoundFile, count: int) -> None:
    while count > 0:
        step = min(count, 1 << 20)
        file.write(np.zeros(step, np.float32))
        count -= step


def _mask(spans: Sequence[Span], count: int) -> NDArray[np.bool_]:
    """Which 100 ms steps of a momentary loudness curve lie inside speech."""
    mask = np.zeros(count, bool)
    for span in spans:
        mask[int(span.start_s * 10) : int(np.ceil(span.end_s * 10))] = True
    return mask


def _shape(spans: Sequence[Span], duration_s: float) -> NDArray[np.float64]:
    """How much the bed is lowered, 0 … 1, at 100 Hz: wholly from before every span to after it, with smooth ramps."""
    ducked = np.zeros(int(duration_s * _ENVELOPE_HZ) + 2)
    for span in spans:
        start = max(0, int((span.start_s - _LEAD_S) * _ENVELOPE_HZ))
        ducked[start : int((span.end_s + _HOLD_S) * _ENVELOPE_HZ) + 1] = 1.0
    return _smooth(ducked)


def _depth(
    bed_lufs: NDArray[np.float64], voice_lufs: float, ducking: _Ducking, duration_s: float
) -> NDArray[np.float64]:
    """Gain in dB at 100 Hz that keeps the bed at its ceiling: it breathes, since what is soft already is left alone.

    The loudest of the steps around counts, so that the gain is there before the sound is.
    """
    count = int(duration_s * _ENVELOPE_HZ) + 2
    if not len(bed_lufs):
        return np.zeros(count)
    reach = _REACH_STEPS
    padded = np.pad(bed_lufs, reach, mode="edge")
    loudest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    wanted = np.clip(voice_lufs + ducking.ceiling_lu - loudest, ducking.most_db, 0.0)
    # A value covers the 400 ms that end with its step: it lies 0.2 s before that.
    middles_s = (np.arange(len(wanted)) + 1) / 10 - 0.2
    return _smooth(np.interp(np.arange(count) / _ENVELOPE_HZ, middles_s, wanted))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    width = int(_RAMP_S * _ENVELOPE_HZ)
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(values, width, mode="edge")
    smooth = np.asarray(np.convolve(padded, window / window.sum(), mode="same"), np.float64)
    return smooth[width:-width]


def _sum(
    bed: Path,
    voice: Path,
    output: Path,
    timeline: Timeline,
    envelope: NDArray[np.float64],
    voice_gain: float,
    on_progress: Callable[[float], None],
) -> float:
    """Add bed and voice block by block through a look-ahead limiter. Returns the share of blocks it touched."""
    rate_hz, total = timeline.sample_rate_hz, timeline.total_samples
    short = max(1, rate_hz // 1000)
    step = short * int(_BLOCK_S * 1000)
    limiter = Limiter(rate_hz)
    at = 0
    with (
        soundfile.SoundFile(str(bed)) as bed_file,
        soundfile.SoundFile(str(voice)) as voice_file,
        soundfile.SoundFile(str(output), "w", samplerate=rate_hz, channels=2, subtype="PCM_16", format="RF64") as out,
    ):
        while at < total:
            STOP.check()
            count = min(step, total - at)
            block = np.zeros((count, 2), np.float32)
            if envelope.any():
                heard = bed_file.read(count, dtype="float32", always_2d=True)
                edges = (at + np.arange(0, len(heard) + short, short)) / rate_hz * _ENVELOPE_HZ
                gain = _between(np.interp(edges, np.arange(len(envelope)), envelope), short)[: len(heard)]
                np.multiply(heard, gain[:, None], out=block[: len(heard)])
            line = voice_file.read(count, dtype="float32")
            line *= np.float32(voice_gain)
            block[: len(line)] += line[:, None]
            out.write(_pcm(limiter.push(block)))
            at += count
            on_progress(at / total)
        out.write(_pcm(limiter.flush()))
    return limiter.limited_share


def _pcm(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """In 16 bits, nothing beyond full scale: in a third of the time that libsndfile takes."""
    return np.rint(np.clip(samples, -1.0, 1.0) * np.float32(32767)).astype(np.int16)


class Limiter:
    """Peak limiter with 8 ms look-ahead, for stereo blocks.

    Gain is worked out on 1 ms blocks: what each needs, the least of its neighbours, then a moving average inside
    that window; so the gain has reached its value before the peak comes and never overshoots the ceiling.
    """

    _REACH = 8

    def __init__(self, rate_hz: int) -> None:
        self._ms = max(1, rate_hz // 1000)
        self._past = np.ones(2 * self._REACH + 1)
        self._held = np.zeros((0, 2), np.float32)
        self._blocks = 0
        self._touched = 0

    @property
    def limited_share(self) -> float:
        return self._touched / self._blocks if self._blocks else 0.0

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take a block, give back what is settled (some milliseconds late)."""
        data = np.concatenate([self._held, block])
        usable = len(data) // self._ms
        settled = max(0, usable - 2 * self._REACH - 1)
        need = self._need(data, usable)
        out = self._apply(data[: settled * self._ms], need, settled)
        self._held = data[settled * self._ms :]
        return out

    def flush(self) -> NDArray[np.float32]:
        """The rest, to the last sample."""
        data = self._held
        count = -(-len(data) // self._ms)
        padded = np.concatenate([data, np.zeros((count * self._ms - len(data), 2), np.float32)])
        out = self._apply(padded, self._need(padded, count), count)
        self._held = np.zeros((0, 2), np.float32)
        return out[: len(data)]

    def _need(self, data: NDArray[np.float32], count: int) -> NDArray[np.float64]:
        peaks = np.abs(data[: count * self._ms]).reshape(count, -1).max(axis=1) if count else np.zeros(0)
        return np.minimum(1.0, _CEILING / np.maximum(peaks, 1e-9))

    def _apply(self, data: NDArray[np.float32], need: NDArray[np.float64], count: int) -> NDArray[np.float32]:
        if count == 0:
            return data
        reach = self._REACH
        known = np.concatenate([self._past, need, np.ones(2 * reach + 1)])
        least = np.lib.stride_tricks.sliding_window_view(known, 2 * reach + 1).min(axis=1)
        smooth = np.convolve(least, np.ones(reach) / reach, mode="valid")
        # `least[i]` is centred on known[i + reach]; an average over `reach` of them, centred, stays inside its window.
        first = len(self._past) - reach - reach // 2
        edges = smooth[first : first + count + 1]
        self._past = np.concatenate([self._past, need[:count]])[-(2 * reach + 1) :]
        self._blocks += count
        self._touched += int((need[:count] < 1.0).sum())
        if edges.min() >= 1.0:
            return data
        return np.asarray(data * _between(edges, self._ms)[:, None], np.float32)


def _between(edges: NDArray[np.float64], step: int) -> NDArray[np.float32]:
    """Straight lines from each value to the next, `step` samples each."""
    first = edges[:-1, None].astype(np.float32)
    rise = np.diff(edges)[:, None].astype(np.float32)
    return np.asarray(first + rise * np.linspace(0, 1, step, endpoint=False, dtype=np.float32), np.float32).ravel()
