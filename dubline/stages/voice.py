"""The voice of a dub: every phrase of its lines at its pace, at its own samples, and how loud it is."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.errors import EngineOutputInvalid
from dubline.media.loudness import momentary
from dubline.media.stretch import StretchJob, stretch_many
from dubline.models import LaidPhrase, Timeline
from dubline.stages.limiter import CEILING, power_left, step_peaks, step_powers

_FADE_S = 0.004
_TAIL_SLACK_S = 0.06
_STEP_S, _WINDOW_STEPS = 0.1, 4  # of momentary loudness
_APART_STEPS = 5  # between phrases that are measured: a window and more, which the filters need to fall silent
_LIFT_STEP_DB = 0.5
_LIFTS_DB = [_LIFT_STEP_DB * number for number in range(9)]
_SOFTEST_LUFS = -70.0  # nothing below it counts (the absolute gate of BS.1770)


@dataclass(frozen=True)
class Phrase:
    """A phrase to lay, the file that holds its line, and a mark: the same only where sound, pace and place are."""

    laid: LaidPhrase
    path: Path
    mark: str

    @property
    def first(self) -> int:
        return self.laid.start_sample

    @property
    def end(self) -> int:
        return self.laid.start_sample + self.laid.length_samples


class Voice:
    """The phrases of a timeline, in order. They are stretched when they are asked for, several at a time.

    Args:
        timeline: Where each line lies.
        spoken: Audio file by utterance id.
        identities: What a file holds, by its path; the path itself where there is none.
        threads: Runs of ffmpeg side by side.
        work: Folder for stretched phrases, raw mono float32.
    """

    def __init__(
        self,
        timeline: Timeline,
        spoken: Mapping[str, Path],
        *,
        identities: Mapping[Path, str],
        threads: int,
        work: Path,
    ) -> None:
        self._rate_hz, self._threads, self._work = timeline.sample_rate_hz, threads, work
        laid = [
            (part, spoken[place.utterance_id])
            for place in timeline.placements
            if place.utterance_id in spoken and place.length_samples > 0
            for part in place.parts
        ]
        laid.sort(key=lambda row: row[0].start_sample)
        self.phrases = [Phrase(part, path, _mark(part, identities.get(path, str(path)))) for part, path in laid]
        self._firsts, self._ends = [p.first for p in self.phrases], [p.end for p in self.phrases]
        self._made: dict[str, Path] = {}

    def make(self, phrases: Iterable[Phrase]) -> None:
        """Stretch those that are not yet.

        Raises:
            MediaError: a line cannot be decoded.
        """
        jobs: dict[str, StretchJob] = {}
        for phrase in phrases:
            if phrase.mark not in self._made:
                target = self._work / f"phrase{len(self._made) + len(jobs):05d}.f32"
                laid = phrase.laid
                jobs.setdefault(phrase.mark, StretchJob(phrase.path, laid.stretch, target, laid.first, laid.end))
        if jobs:
            stretch_many(list(jobs.values()), self._rate_hz, threads=self._threads, work_dir=self._work)
        self._made |= {mark: job.target for mark, job in jobs.items()}

    def loudness(self, phrases: Sequence[Phrase]) -> dict[str, tuple[float, ...]]:
        """Momentary loudness of made phrases, each by itself, by mark: every 100 ms, what lies above -70 LUFS.

        Raises:
            MediaError: it cannot be measured.
        """
        if not phrases:
            return {}
        file = self._work / "phrases.wav"
        where: list[tuple[str, int, int]] = []
        at = steps = 0
        with soundfile.SoundFile(
            str(file), "w", samplerate=self._rate_hz, channels=1, subtype="FLOAT", format="RF64"
        ) as out:
            for phrase in phrases:
                steps += _APART_STEPS
                first = round(steps * _STEP_S * self._rate_hz)
                samples = self._samples(phrase)
                out.write(np.concatenate([np.zeros(first - at, np.float32), samples]))
                at = first + len(samples)
                long = -(-len(samples) // round(_STEP_S * self._rate_hz))
                where.append((phrase.mark, steps, steps + long + _WINDOW_STEPS - 1))
                steps += long
            out.write(np.zeros(round(_APART_STEPS * _STEP_S * self._rate_hz), np.float32))
        levels = momentary(file, work_dir=self._work)
        file.unlink()
        loud = {mark: levels[first:end] for mark, first, end in where}
        return {mark: tuple(map(float, row[row > _SOFTEST_LUFS])) for mark, row in loud.items()}

    def lift_db(self, gain: float, step: int) -> float:
        """By how much more than `gain` the voice must be raised to be as loud with its peaks limited as without.

        In steps of 0.5 dB, 4 dB at most: beyond that the limiter would be heard at work. All phrases must be made.
        """
        peaks, powers = [np.zeros(0)], [np.zeros(0)]
        for phrase in self.phrases:
            samples = self._samples(phrase)
            peaks.append(step_peaks(samples, step))
            powers.append(step_powers(samples, step))
        heights, power = np.concatenate(peaks) * gain, np.concatenate(powers)
        if heights.max(initial=0.0) <= CEILING:
            return 0.0

        def lacking_db(lift_db: float) -> float:
            left = power_left(heights * 10 ** (lift_db / 20), power)
            return -lift_db - 10 * float(np.log10(left / power.sum()))

        return next((lift_db for lift_db in _LIFTS_DB if lacking_db(lift_db) < _LIFT_STEP_DB / 2), _LIFTS_DB[-1])

    def between(self, samples: range) -> list[Phrase]:
        """The phrases of which something lies there."""
        return self.phrases[bisect_right(self._ends, samples.start) : bisect_left(self._firsts, samples.stop)]

    def read(self, samples: range) -> NDArray[np.float32]:
        """The voice there, mono; its phrases must be made. Each lies at its own sample: no drift by concatenation."""
        out = np.zeros(len(samples), np.float32)
        for phrase in self.between(samples):
            begin, stop = max(samples.start, phrase.first), min(samples.stop, phrase.end)
            own = self._samples(phrase)
            out[begin - samples.start : stop - samples.start] += own[begin - phrase.first : stop - phrase.first]
        return out

    def _samples(self, phrase: Phrase) -> NDArray[np.float32]:
        samples = _fitted(np.fromfile(self._made[phrase.mark], dtype="<f4"), phrase.laid, self._rate_hz)
        fade = int(_FADE_S * self._rate_hz)
        if len(samples) > 2 * fade:
            ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
            samples[:fade] *= ramp
            samples[-fade:] *= ramp[::-1]
        return samples


def _mark(laid: LaidPhrase, identity: str) -> str:
    return hashlib.sha256(json.dumps([identity, laid.model_dump()]).encode()).hexdigest()


def _fitted(samples: NDArray[np.float32], laid: LaidPhrase, rate_hz: int) -> NDArray[np.float32]:
    """Exactly the planned length: the stretch filter is right to some milliseconds, the plan to a sample.

    Raises:
        EngineOutputInvalid: more would be cut than the silence that a phrase ends with.
    """
    extra = len(samples) - laid.length_samples
    if extra > _TAIL_SLACK_S * rate_hz:
        raise EngineOutputInvalid("A stretched line came out longer than planned.", code="stretch_length")
    if extra >= 0:
        return samples[: laid.length_samples].copy()
    return np.concatenate([samples, np.zeros(-extra, np.float32)])
