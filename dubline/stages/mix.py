"""mix: lines laid on the bed at absolute samples, the voice as loud as the source's, nothing clipped.

Works in parts, each made of nothing but what lies in and next to it: memory does not grow with the length of the video,
and what an edit leaves as it was is taken from the sound of the render before.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.cancel import STOP
from dubline.media.loudness import gated_lufs
from dubline.models import Background, Frozen, Span, Timeline
from dubline.stages import ducking
from dubline.stages.limiter import AROUND_STEPS, Limited, between, limit
from dubline.stages.voice import Voice

_PART_STEPS = 5000  # of about a millisecond
_STEREO_OF_MONO_DB = 3.01  # BS.1770 adds the power of both channels
_GAIN_STEP_DB = 0.5  # of the voice; an edited line changes it by hundredths, and with it all that is heard
_GAIN_DIGITS = 6  # of the bed's gain, so that rounding in the last bit makes no other part of it


Bed = Literal["ducked", "separated", "kept", "muted"]


class MixFacts(Frozen):
    """What the mix did. Levels in LUFS and dB; `limited_share` is the share of 1 ms blocks the limiter touched.

    The voice is raised by `voice_gain_db` to be as loud as the source's, and by `voice_lift_db` more for what the
    limiter takes from it. `duck_db` is the bed's mean gain under speech.
    """

    bed: Bed = "ducked"
    source_voice_lufs: float | None
    dub_voice_lufs: float | None
    voice_gain_db: float
    voice_lift_db: float
    duck_db: float
    limited_share: float


@dataclass(frozen=True)
class Ground:
    """What lies under the voice: a stereo file on the media's timeline, and its momentary loudness."""

    path: Path
    lufs: NDArray[np.float64]


@dataclass(frozen=True)
class KeptMix:
    """The sound of an earlier render, and what is known of it.

    `parts` tells by what a part was made of at which sample it begins there, and how many of its blocks the limiter
    touched; `levels` how loud each phrase is, by its mark; `gain_db` by how much the voice was raised, and `lift_db` by
    how much more because its peaks are limited.
    """

    sound: Path
    parts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    levels: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    gain_db: float | None = None
    lift_db: float = 0.0


@dataclass(frozen=True)
class Mixed:
    """What the mix did, and what it knows, for the next render (see `KeptMix`)."""

    facts: MixFacts
    parts: dict[str, tuple[int, int]]
    levels: dict[str, tuple[float, ...]]


def mix(
    bed: Ground,
    timeline: Timeline,
    spoken: Mapping[str, Path],
    speech: Sequence[Span],
    *,
    background: Background,
    separated: Ground | None = None,
    output: Path,
    work: Path,
    threads: int = 1,
    identities: Mapping[Path, str] | None = None,
    kept: KeptMix | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Mixed:
    """Write the dub's sound: stereo PCM at the bed's rate, exactly `timeline.total_samples` long.

    Args:
        bed: The source's sound.
        timeline: Where each line lies, in samples at the bed's rate.
        spoken: Audio file by utterance id.
        speech: Where somebody speaks in the source; the bed is ducked there too, or the original voice would
            surface between two lines.
        background: Lower the bed under speech, keep it as it is, or leave it out.
        separated: The bed without its voice, which then takes the bed's place.
        output: The file to write.
        work: Folder for what is needed on the way.
        threads: Runs of ffmpeg, and parts, side by side.
        identities: What a file holds, by its path; needed for `kept`.
        kept: What another render made; the same parts are taken from it.
        on_progress: Told the share that is done.

    Raises:
        MediaError: a line cannot be decoded.
        EngineOutputInvalid: `stretch_length`.
        Cancelled: somebody asked to stop.
    """
    identities = identities or {}
    known = kept or KeptMix(output)
    rate_hz, total = timeline.sample_rate_hz, timeline.total_samples
    parts = _cut(timeline)
    voice = Voice(timeline, spoken, identities=identities, threads=threads, work=work)
    new = {p.mark: p for p in voice.phrases if p.mark not in known.levels}
    # With them all that is heard in their parts: these are made anew for certain.
    heard = [h for h in (voice.between(part.heard) for part in parts) if any(p.mark in new for p in h)]
    voice.make(p for phrases in heard for p in phrases)
    measured = voice.loudness(list(new.values()))
    levels = {p.mark: measured.get(p.mark) or known.levels.get(p.mark, ()) for p in voice.phrases}
    voice_lufs = gated_lufs(np.asarray([level for row in levels.values() for level in row]))
    source_lufs = gated_lufs(bed.lufs, _mask(speech, len(bed.lufs))) if speech else None
    gain_db = lift_db = 0.0
    if source_lufs is not None and voice_lufs is not None:
        gain_db = float(np.clip(source_lufs - (voice_lufs + _STEREO_OF_MONO_DB), -40.0, 30.0))
        if known.gain_db is not None and abs(gain_db - known.gain_db) <= _GAIN_STEP_DB:
            gain_db, lift_db = known.gain_db, known.lift_db
        else:
            gain_db = round(gain_db / _GAIN_STEP_DB) * _GAIN_STEP_DB
            voice.make(voice.phrases)  # every part is made anew at another gain
            lift_db = voice.lift_db(10 ** (gain_db / 20), _step(rate_hz))
    treatment = _treatment(background, separated, has_lines=bool(timeline.placements))
    if treatment in ("kept", "muted"):
        duck_db = 0.0 if treatment == "kept" else -120.0
        gain = np.full(1, float(treatment == "kept"))
    else:
        level_lufs = source_lufs if source_lufs is not None else (voice_lufs or 0.0) + _STEREO_OF_MONO_DB
        under = ducking.OF_ALL if separated is None else ducking.OF_THE_REST
        bed = separated or bed
        depth_db = ducking.depth(bed.lufs, level_lufs, under, total / rate_hz)
        laid = [Span(start_s=p.first / rate_hz, end_s=p.end / rate_hz) for p in voice.phrases]
        shape = ducking.shape([*speech, *laid], total / rate_hz)
        gain = np.asarray(np.round(np.power(10.0, depth_db * shape / 20), _GAIN_DIGITS), np.float64)
        duck_db = float(np.average(depth_db, weights=shape)) if shape.any() else 0.0
    summing = _Summing(
        bed=bed.path if gain.any() else None,
        bed_identity=identities.get(bed.path, str(bed.path)),
        gain=gain,
        voice=voice,
        voice_gain=10 ** ((gain_db + lift_db) / 20),
        rate_hz=rate_hz,
    )
    written = _write(summing, parts, output, known, threads, on_progress)
    facts = MixFacts(
        bed=treatment,
        source_voice_lufs=source_lufs,
        dub_voice_lufs=voice_lufs,
        voice_gain_db=round(gain_db, 2),
        voice_lift_db=lift_db,
        duck_db=round(duck_db, 1),
        limited_share=round(sum(count for _, count in written.values()) * _step(rate_hz) / max(1, total), 5),
    )
    return Mixed(facts, written, levels)


def _treatment(background: Background, separated: Ground | None, *, has_lines: bool) -> Bed:
    """What is done to the bed; where nobody speaks anew, the original sound stays."""
    if background == "keep" or not has_lines:
        return "kept"
    if background == "mute":
        return "muted"
    return "separated" if separated is not None else "ducked"


def _mask(spans: Sequence[Span], count: int) -> NDArray[np.bool_]:
    """Which 100 ms steps of a momentary loudness curve lie inside speech."""
    mask = np.zeros(count, bool)
    for span in spans:
        mask[int(span.start_s * 10) : int(np.ceil(span.end_s * 10))] = True
    return mask


@dataclass(frozen=True)
class _Part:
    """Samples of the sound, and all around them that they are made of."""

    own: range
    heard: range


def _cut(timeline: Timeline) -> list[_Part]:
    step, total = _step(timeline.sample_rate_hz), timeline.total_samples
    around = AROUND_STEPS * step
    owns = [range(first, min(total, first + _PART_STEPS * step)) for first in range(0, total, _PART_STEPS * step)]
    return [_Part(own, range(max(0, own.start - around), min(total, own.stop + around))) for own in owns]


def _step(rate_hz: int) -> int:
    return max(1, rate_hz // 1000)


@dataclass(frozen=True)
class _Summing:
    """Bed and voice into the sound of single parts. `gain` is the bed's, at the rate of the ducking."""

    bed: Path | None
    bed_identity: str
    gain: NDArray[np.float64]
    voice: Voice
    voice_gain: float
    rate_hz: int

    def key(self, part: _Part) -> str:
        """Identity of what a part is made of."""
        first, end = (int(at / self.rate_hz * ducking.ENVELOPE_HZ) for at in (part.heard.start, part.heard.stop))
        made_of = [
            self.rate_hz,
            (part.own.start, part.own.stop, part.heard.start, part.heard.stop),
            self.bed_identity if self.bed else "",
            self.voice_gain,
            [p.mark for p in self.voice.between(part.heard)],
        ]
        digest = hashlib.sha256(json.dumps(made_of).encode())
        digest.update((self.gain[first : end + 3] if len(self.gain) > 1 else self.gain).tobytes())
        return digest.hexdigest()

    def __call__(self, part: _Part) -> Limited:
        STOP.check()
        step, heard = _step(self.rate_hz), part.heard
        block = np.zeros((len(heard), 2), np.float32)
        if self.bed is not None:
            with soundfile.SoundFile(str(self.bed)) as file:
                file.seek(min(heard.start, file.frames))
                bed = file.read(len(heard), dtype="float32", always_2d=True)
            edges = (heard.start + np.arange(0, len(bed) + step, step)) / self.rate_hz * ducking.ENVELOPE_HZ
            gain = between(np.interp(edges, np.arange(len(self.gain)), self.gain), step)[: len(bed)]
            np.multiply(bed, gain[:, None], out=block[: len(bed)])
        block += (self.voice.read(heard) * np.float32(self.voice_gain))[:, None]
        return limit(block, step, first=part.own.start - heard.start, count=len(part.own))


def _write(
    summing: _Summing,
    parts: Sequence[_Part],
    output: Path,
    kept: KeptMix,
    threads: int,
    on_progress: Callable[[float], None],
) -> dict[str, tuple[int, int]]:
    """Write all parts in order, as few as can be made anew. Returns them as `KeptMix` has them."""
    keys = [summing.key(part) for part in parts]
    missing = [part for part, key in zip(parts, keys, strict=True) if key not in kept.parts]
    summing.voice.make(p for part in missing for p in summing.voice.between(part.heard))
    made: deque[Limited] = deque()
    written: dict[str, tuple[int, int]] = {}
    with (
        ThreadPoolExecutor(threads) as pool,
        soundfile.SoundFile(
            str(output), "w", samplerate=summing.rate_hz, channels=2, subtype="PCM_16", format="RF64"
        ) as out,
    ):
        for part, key in zip(parts, keys, strict=True):
            if key in kept.parts:
                first, touched = kept.parts[key]
                out.write(_read(kept.sound, first, len(part.own)))
            else:
                if not made:  # some at a time, or all of them would lie in memory
                    made.extend(pool.map(summing, missing[: 2 * threads]))
                    del missing[: 2 * threads]
                limited = made.popleft()
                touched = limited.touched
                out.write(_pcm(limited.samples))
            written[key] = (part.own.start, touched)
            on_progress(part.own.stop / parts[-1].own.stop)
    return written


def _read(path: Path, first: int, count: int) -> NDArray[np.int16]:
    with soundfile.SoundFile(str(path)) as file:
        file.seek(first)
        return np.asarray(file.read(count, dtype="int16", always_2d=True), np.int16)


def _pcm(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """In 16 bits, nothing beyond full scale: in a third of the time that libsndfile takes."""
    return np.rint(np.clip(samples, -1.0, 1.0) * np.float32(32767)).astype(np.int16)
