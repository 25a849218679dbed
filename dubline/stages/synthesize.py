"""synthesize: each line spoken once, kept by content, so that a retry or an edit makes only what is missing."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.cancel import STOP
from dubline.engines.base import TtsEngine
from dubline.errors import EngineError, EngineOutputInvalid
from dubline.models import EngineChoice, Line, Span, Spoken
from dubline.storage.base import ArtifactStore
from dubline.storage.recall import recall

Fallback = Callable[[], AbstractContextManager[tuple[TtsEngine, EngineChoice]]]

VERSION = 2
_BATCH_S = 90.0
_FRAME_S = 0.010
_FLOOR_DB = -48.0  # below the line's loudest frame: silence at either end
_HEAD_S, _TAIL_S = 0.02, 0.06
_PAUSE_DB, _PAUSE_S = -35.0, 0.15  # below the line's loud frames for as long: the voice pauses
_SHORTEST_S_PER_CHAR = 0.018  # three times faster than Portuguese is spoken: the engine lost words


def line_key(text: str, language: str, choice: EngineChoice) -> str:
    """Identity of a spoken line: text, voice, engine, weights and the version of this stage."""
    parts = [VERSION, text, language, choice.engine, choice.version, choice.fingerprint, choice.voice]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def plan_batches(
    lines: Sequence[Line], *, seconds_per_char: float = 1 / 18.0, workers: int = 2
) -> list[tuple[Line, ...]]:
    """Batches of lines, the longest lines first, of 90 s of speech at most.

    A batch is a third of what is left for a worker, one line at last: no worker idles for long while another ends, and
    long media are few tasks (guided self-scheduling: Polychronopoulos and Kuck, 1987).
    """
    queue = sorted(lines, key=lambda line: -len(line.text))
    left_s = sum(len(line.text) for line in lines) * seconds_per_char
    batches: list[list[Line]] = []
    room_s = 0.0
    for line in queue:
        length_s = len(line.text) * seconds_per_char
        if not batches or length_s > room_s:
            batches.append([])
            room_s = min(_BATCH_S, left_s / (3 * workers))
        batches[-1].append(line)
        room_s -= length_s
        left_s -= length_s
    return [tuple(batch) for batch in batches]


def batches_by_voice(
    lines: Sequence[Line], casting: Mapping[str, str], *, workers: int
) -> list[tuple[str, tuple[Line, ...]]]:
    """Batches as `plan_batches` makes them, each of one voice: the line's own, else its speaker's in `casting`."""
    out: list[tuple[str, tuple[Line, ...]]] = []
    taken = [line.voice or casting[line.utterance.speaker] for line in lines]
    for voice in dict.fromkeys(taken):
        own = [line for line, name in zip(lines, taken, strict=True) if name == voice]
        out += [(voice, batch) for batch in plan_batches(own, workers=workers)]
    return sorted(out, key=lambda row: -sum(len(line.text) for line in row[1]))


def speak_lines(
    lines: Sequence[Line],
    engine: TtsEngine,
    choice: EngineChoice,
    store: ArtifactStore,
    *,
    language: str,
    refresh: bool = False,
    fallback: Fallback | None = None,
    on_line: Callable[[Line, bool], None] = lambda _line, _made: None,
) -> tuple[Spoken, ...]:
    """Speak lines in order, taking what the store already holds.

    Raises:
        EngineOutputInvalid: the engine gave no usable audio for a line and there is no fallback voice.
    """
    out: list[Spoken] = []
    for line in lines:
        STOP.check()
        spoken = None if refresh else stored_line(line, choice, store, language=language)
        made = spoken is None
        if spoken is None:
            spoken = _speak(line, engine, choice, store, language=language, fallback=fallback)
            if not spoken.is_fallback:
                store.put_record(_record(line, language, choice), spoken.model_dump_json().encode())
        out.append(spoken)
        on_line(line, made)
    return tuple(out)


def _record(line: Line, language: str, choice: EngineChoice) -> str:
    return f"utterances/{line_key(line.text, language, choice)}.json"


def stored_line(line: Line, choice: EngineChoice, store: ArtifactStore, *, language: str) -> Spoken | None:
    """A line as it was spoken before; None when it was not, or its sound is gone."""
    spoken = recall(store, _record(line, language, choice), Spoken)
    if spoken is None or (spoken.audio is not None and not store.holds(spoken.audio)):
        return None
    return spoken.model_copy(update={"utterance_id": line.utterance.id})


def _speak(
    line: Line,
    engine: TtsEngine,
    choice: EngineChoice,
    store: ArtifactStore,
    *,
    language: str,
    fallback: Fallback | None,
) -> Spoken:
    used, is_fallback = choice, False
    try:
        samples, rate_hz = _attempt(line.text, engine, choice.voice, language)
    except EngineError as error:
        if fallback is None or (error.retryable and not isinstance(error, EngineOutputInvalid)):
            raise
        with fallback() as (second, used):
            samples, rate_hz = _attempt(line.text, second, used.voice, language)
        is_fallback = True
    if not len(samples):
        audio = None
    else:
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, rate_hz, format="FLAC", subtype="PCM_16")
        audio = store.put_bytes(buffer.getvalue(), "audio/flac")
    return Spoken(
        utterance_id=line.utterance.id,
        audio=audio,
        samples=len(samples),
        sample_rate_hz=rate_hz,
        engine=used.engine,
        voice=used.voice,
        is_fallback=is_fallback,
        phrases=phrases(samples, rate_hz),
    )


def _attempt(text: str, engine: TtsEngine, voice: str, language: str) -> tuple[NDArray[np.float32], int]:
    """Speak a text, at most twice; the audio is trimmed and believable, or empty for a text without a letter."""
    letters = sum(c.isalnum() for c in text)
    for attempt in (1, 2):
        result = engine.synthesize(text, voice=voice, language=language)
        samples = trim(result.samples, result.sample_rate_hz)
        if letters == 0:
            return samples, result.sample_rate_hz
        enough_s = _SHORTEST_S_PER_CHAR * len(text)
        if len(samples) / result.sample_rate_hz >= min(enough_s, 5.0) and np.isfinite(samples).all():
            return np.clip(samples, -1.0, 1.0), result.sample_rate_hz
        if attempt == 2:
            break
    raise EngineOutputInvalid(
        f"The voice {voice} gave no usable audio for a line.", hint="Choose another voice (--voice) or edit the line."
    )


def trim(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Take silence off both ends; pauses inside stay as they are. Mono float32 in, a view of it out."""
    frame = max(1, int(rate_hz * _FRAME_S))
    level = _levels(samples, frame)
    peak = float(level.max(initial=0.0))
    if peak < 1e-4:
        return samples[:0]
    loud = np.flatnonzero(level > peak * 10 ** (_FLOOR_DB / 20))
    start = max(0, int(loud[0]) * frame - int(_HEAD_S * rate_hz))
    end = min(len(samples), (int(loud[-1]) + 1) * frame + int(_TAIL_S * rate_hz))
    return samples[start:end]


def phrases(samples: NDArray[np.float32], rate_hz: int) -> tuple[Span, ...]:
    """Where a line sounds, in seconds, cut at pauses of 0.15 s and more. Mono float32 in."""
    frame = max(1, int(rate_hz * _FRAME_S))
    level = _levels(samples, frame)
    if not len(level):
        return ()
    loud = np.flatnonzero(level > float(np.percentile(level, 95)) * 10 ** (_PAUSE_DB / 20))
    if not len(loud):
        return ()
    cuts = np.flatnonzero(np.diff(loud) > _PAUSE_S / _FRAME_S)
    starts, ends = [loud[0], *loud[cuts + 1]], [*loud[cuts], loud[-1]]
    frame_s = frame / rate_hz
    return tuple(
        Span(start_s=round(int(a) * frame_s, 4), end_s=round((int(b) + 1) * frame_s, 4))
        for a, b in zip(starts, ends, strict=True)
    )


def _levels(samples: NDArray[np.float32], frame: int) -> NDArray[np.float64]:
    """Root mean square of each whole frame."""
    count = len(samples) // frame
    rows = samples[: count * frame].reshape(count, frame).astype(np.float64)
    return np.sqrt(np.mean(rows**2, axis=1)) if count else np.zeros(0)
