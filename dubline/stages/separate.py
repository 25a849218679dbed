"""separate: what is heard beside the voice, so that the dub can lie on it.

The background is the original less its speech. Work goes window by window, with some sound before each that is heard
and thrown away, so memory does not grow with the length of the video.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.cancel import STOP
from dubline.engines.base import SeparateEngine
from dubline.errors import EngineOutputInvalid
from dubline.media.resample import resample_file
from dubline.models import Span

HEARD_DB = -28.0
"""A pause this far below the speech or further is no background: it is the room, and the ducked voice covers it."""

_WINDOW_S = 60.0
_BEFORE_S = 1.5  # the separator settles
_FADE_S = 0.1
_REACH_S = 0.6  # speech begins before it is noticed, and rings on
_RAMP_S = 0.3
_ALIKE_DB = -50.0
_STEP_S = 0.1
_EDGE_S = 0.35
_LEAST_PAUSE_STEPS = 5
_SHORT_PAUSE_SHARE = 0.05


def pause_level_db(audio: NDArray[np.float32], rate_hz: int, speech: Sequence[Span]) -> float | None:
    """Level of the pauses against the speech, in dB; None where nobody speaks.

    Bass counts little (the difference of neighbouring samples is measured), so that a hum is no background. Where
    there is no pause to speak of, the softest twentieth stands in for it.
    """
    step = int(_STEP_S * rate_hz)
    count = len(audio) // step
    if count == 0 or not speech:
        return None
    powers = np.empty(count)
    block = 600
    for first in range(0, count, block):
        part = audio[first * step : min(count, first + block) * step].reshape(-1, step)
        powers[first : first + len(part)] = np.mean(np.diff(part, axis=1) ** 2, axis=1)
    spoken, near = np.zeros(count, bool), np.zeros(count, bool)
    for span in speech:
        spoken[int(span.start_s / _STEP_S) : int(np.ceil(span.end_s / _STEP_S))] = True
        first = max(0, int((span.start_s - _EDGE_S) / _STEP_S))
        near[first : int(np.ceil((span.end_s + _EDGE_S) / _STEP_S))] = True
    if not spoken.any():
        return None
    voice = float(np.mean(powers[spoken]))
    pauses = powers[~near]
    # Digital silence before and after the recording says nothing about it.
    pauses = pauses[pauses > 1e-10]
    if len(pauses) >= _LEAST_PAUSE_STEPS:
        level = float(np.quantile(pauses, 0.75))
    else:
        level = float(np.quantile(powers[spoken], _SHORT_PAUSE_SHARE))
    return round(10 * float(np.log10(max(level, 1e-12) / max(voice, 1e-12))), 1)


def has_background(level_db: float | None) -> bool:
    """Whether the pauses are loud enough for the ducked voice to be heard missing in them."""
    return level_db is not None and level_db > HEARD_DB


def separate(
    bed: Path,
    speech: Sequence[Span],
    engine: SeparateEngine,
    *,
    output: Path,
    work: Path,
    on_progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Write the background: the bed less its voice where somebody speaks, and the bed itself elsewhere.

    Rate, channels and length are the bed's. A channel is taken by itself, unless left and right are the same, as they
    are or in opposite phase.

    Args:
        bed: The source's sound, stereo.
        speech: Where somebody speaks, in seconds.
        engine: Tells the voice in it.
        output: The file to write, 16 bit.
        work: Folder for what is needed on the way.
        on_progress: Told the share that is done.
    """
    with soundfile.SoundFile(str(bed)) as file:
        rate_hz, frames = file.samplerate, file.frames
    if rate_hz == engine.sample_rate_hz:
        _subtract(bed, speech, engine, output, on_progress)
        return
    there, back = work / "bed.other.wav", work / "background.other.wav"
    resample_file(bed, there, engine.sample_rate_hz, work_dir=work)
    _subtract(there, speech, engine, back, on_progress)
    resample_file(back, output, rate_hz, samples=frames, work_dir=work)


@dataclass(frozen=True)
class _Window:
    """Samples from before `at` to a little behind the window, the sounds to be asked about, and whose voice is whose.

    `owners` has an entry a channel: position among `signals` and factor; None for a channel without sound.
    """

    samples: NDArray[np.float32]
    skipped: int
    at: int
    signals: tuple[NDArray[np.float32], ...]
    owners: tuple[tuple[int, float] | None, ...]


def _subtract(
    bed: Path, speech: Sequence[Span], engine: SeparateEngine, output: Path, on_progress: Callable[[float], None]
) -> None:
    """The bed, at the separator's rate, less its voice."""
    workers = max(1, engine.parallel)
    with (
        soundfile.SoundFile(str(bed)) as source,
        soundfile.SoundFile(
            str(output), "w", samplerate=source.samplerate, channels=source.channels, subtype="PCM_16", format="RF64"
        ) as out,
        ThreadPoolExecutor(workers) as threads,
    ):
        rate_hz, total = source.samplerate, source.frames
        length, fade = int(_WINDOW_S * rate_hz), int(_FADE_S * rate_hz)
        tail = np.zeros((0, source.channels), np.float32)
        batch: list[_Window] = []
        for at in range(0, total, length):
            STOP.check()
            batch.append(_window(source, at, min(length, total - at), speech))
            asked = sum(len(w.signals) for w in batch)
            if asked and asked < workers and at + length < total:
                continue
            voices = list(threads.map(engine.voice, [s for w in batch for s in w.signals]))
            for window in batch:
                mine, voices = voices[: len(window.signals)], voices[len(window.signals) :]
                rest = _less_voice(window, mine, speech, rate_hz)
                joint = min(len(tail), len(rest))
                if joint:
                    rise = np.linspace(0.0, 1.0, joint, dtype=np.float32)[:, None]
                    rest[:joint] = tail[:joint] * (1 - rise) + rest[:joint] * rise
                whole = min(length, total - window.at)
                out.write(rest[:whole])
                tail = rest[whole : whole + fade]
            batch = []
            on_progress(min(1.0, (at + length) / total))


def _window(source: soundfile.SoundFile, at: int, count: int, speech: Sequence[Span]) -> _Window:
    rate_hz = source.samplerate
    skipped = min(at, int(_BEFORE_S * rate_hz))
    source.seek(at - skipped)
    frames = skipped + count + int(_FADE_S * rate_hz)
    samples: NDArray[np.float32] = np.asarray(source.read(frames, dtype="float32", always_2d=True), np.float32)
    first_s, last_s = at / rate_hz - _REACH_S, (at + count) / rate_hz + _REACH_S + _FADE_S
    if not any(s.end_s > first_s and s.start_s < last_s for s in speech):
        return _Window(samples, skipped, at, (), (None,) * source.channels)
    return _Window(samples, skipped, at, *_signals(samples))


def _signals(
    samples: NDArray[np.float32],
) -> tuple[tuple[NDArray[np.float32], ...], tuple[tuple[int, float] | None, ...]]:
    """The different sounds among the channels."""
    if samples.shape[1] == 2:
        left, right = samples[:, 0], samples[:, 1]
        half = np.float32(0.5)
        middle, side = half * (left + right), half * (left - right)
        powers = float(np.mean(middle**2)), float(np.mean(side**2))
        if max(powers) > 0 and min(powers) <= max(powers) * 10 ** (_ALIKE_DB / 10):
            return ((middle,), ((0, 1.0), (0, 1.0))) if powers[0] > powers[1] else ((side,), ((0, 1.0), (0, -1.0)))
    signals: list[NDArray[np.float32]] = []
    owners: list[tuple[int, float] | None] = []
    for channel in samples.T:
        owners.append((len(signals), 1.0) if channel.any() else None)
        if channel.any():
            signals.append(np.ascontiguousarray(channel))
    return tuple(signals), tuple(owners)


def _less_voice(
    window: _Window, voices: Sequence[NDArray[np.float32]], speech: Sequence[Span], rate_hz: int
) -> NDArray[np.float32]:
    """The window and its overlap with the next, less the voice where somebody speaks.

    Raises:
        EngineOutputInvalid: the engine gave a voice of another length.
    """
    rest = window.samples[window.skipped :].copy()
    share = _spoken_share(speech, window.at, len(rest), rate_hz)
    for number, owner in enumerate(window.owners):
        if owner is None:
            continue
        voice = voices[owner[0]]
        if len(voice) != len(window.samples):
            raise EngineOutputInvalid("The separated voice is not as long as the sound.", code="separated_length")
        rest[:, number] -= owner[1] * share * voice[window.skipped :]
    return rest


def _spoken_share(speech: Sequence[Span], at: int, count: int, rate_hz: int) -> NDArray[np.float32]:
    """1 where somebody speaks and around it, 0 elsewhere, with ramps between; a value a sample."""
    times = np.arange(at // 480 - 1, (at + count) // 480 + 2) * (480 / rate_hz)
    share = np.zeros(len(times))
    for span in speech:
        if span.end_s + _REACH_S + _RAMP_S < times[0] or span.start_s - _REACH_S - _RAMP_S > times[-1]:
            continue
        outside = np.maximum(span.start_s - _REACH_S - times, times - span.end_s - _REACH_S)
        share = np.maximum(share, np.clip(1 - outside / _RAMP_S, 0.0, 1.0))
    smooth = 0.5 - 0.5 * np.cos(np.pi * share)
    return np.interp((at + np.arange(count)) / rate_hz, times, smooth).astype(np.float32)
