"""transcribe: speech found first, cut into chunks at silences, recognised chunk by chunk, doubted, joined."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.engines.base import SttEngine, SttResult
from dubline.engines.vad import speech_spans
from dubline.errors import InputError
from dubline.models import DroppedSegment, Frozen, Segment, Span, Transcript, Word
from dubline.speakers.pitch import median_pitch_hz
from dubline.stages.hear_again import CONTEXT_PAD_S, apart, around, lost, with_words, wordless
from dubline.stages.joints import mend
from dubline.stages.separate import pause_level_db

RATE_HZ = 16_000
_PITCHED_S = 24.0  # of speech: more changes the median little
_LEAST_S = 0.4  # in all; of less than that Whisper makes words up, others each time
_PAD_S = 0.25  # speech kept around what the VAD found: it clips soft onsets
BEGINNING_S = 60.0
"""What of a dub is shown before all of it is done."""
WORTH_S = 120.0
"""Media from here on are shown so: shorter ones are done soon."""
_HEAD_SLACK_S = 15.0
_WINDOW_S, _WINDOW_REACH_S = 21.0, 5.0  # of speech, which with its pauses fills a window of half a minute
_SCRAP_S = 0.5  # what is left behind the last word of a window; the recogniser makes something of it at any price
_KEPT_PAUSE_S = 1.0  # pauses up to here stay as they are; Whisper punctuates by them


class Chunk(Frozen):
    """Spans of speech, on the media's timeline, that one recognition call hears."""

    spans: tuple[Span, ...]

    @property
    def speech_s(self) -> float:
        return sum(s.duration_s for s in self.spans)


class SpeechPlan(Frozen):
    """Where somebody speaks, how recognition is cut up, and how loud the pauses are against the speech (dB).

    The first `head` chunks hold the beginning, which is dubbed ahead of the rest; 0 where that gains nothing.
    `pitch_hz` is the median of the voiced sound; None where too little of it was found.
    """

    duration_s: float
    pause_level_db: float | None = None
    pitch_hz: float | None = None
    speech: tuple[Span, ...]
    chunks: tuple[Chunk, ...]
    head: int = 0


class ChunkResult(Frozen):
    """Recognition of one chunk, on the media's timeline."""

    language: str
    language_probability: float
    segments: tuple[Segment, ...]


def find_speech(stt_audio: Path, *, chunk_s: float = 120.0) -> SpeechPlan:
    """Voice activity over the whole audio, and chunks of up to about `chunk_s` cut at long silences."""
    with soundfile.SoundFile(str(stt_audio)) as file:
        duration_s = file.frames / RATE_HZ
        audio: NDArray[np.float32] = np.asarray(file.read(dtype="float32"), np.float32)
    speech = tuple(speech_spans(audio))
    is_heard = sum(s.duration_s for s in speech) >= _LEAST_S
    cut = head_end(speech, duration_s) if is_heard else 0
    head = plan_head(speech[:cut])
    rest = plan_chunks(speech[cut:], chunk_s=chunk_s) if is_heard else ()
    return SpeechPlan(
        duration_s=duration_s,
        pause_level_db=pause_level_db(audio, RATE_HZ, speech),
        pitch_hz=_pitch_hz(audio, speech),
        speech=speech,
        chunks=(*head, *rest),
        head=len(head),
    )


def _pitch_hz(audio: NDArray[np.float32], speech: Sequence[Span]) -> float | None:
    """How high the speech is, by its longest spans."""
    parts: list[NDArray[np.float32]] = []
    left_s = _PITCHED_S
    for span in sorted(speech, key=lambda s: -s.duration_s):
        if left_s > 0:
            end_s = min(span.end_s, span.start_s + left_s)
            parts.append(audio[int(span.start_s * RATE_HZ) : int(end_s * RATE_HZ)])
            left_s -= end_s - span.start_s
    return median_pitch_hz(np.concatenate(parts)) if parts else None


def head_end(speech: Sequence[Span], duration_s: float) -> int:
    """How many spans hold the first minute and the end of what is said in it; 0 in media that are soon dubbed.

    The cut is at the longest pause soon after the minute, where a sentence is most likely to end.
    """
    if duration_s < WORTH_S or not speech or speech[0].start_s >= BEGINNING_S:
        return 0
    after = [i for i, span in enumerate(speech) if i and span.start_s >= BEGINNING_S]
    near = [i for i in after if speech[i].start_s <= BEGINNING_S + _HEAD_SLACK_S] or after[:1]
    return max(near, key=lambda i: speech[i].start_s - speech[i - 1].end_s, default=0)


def plan_head(speech: Sequence[Span]) -> tuple[Chunk, ...]:
    """The beginning in two chunks, cut at a long pause: the first is one window of the recogniser, and soon heard.

    What it says is spoken while the other, of two windows mostly, is still heard.
    """
    ends_s = list(accumulate(s.duration_s for s in speech))
    if not ends_s or ends_s[-1] <= _WINDOW_S + _WINDOW_REACH_S:
        return plan_chunks(speech, chunk_s=_WINDOW_S + _WINDOW_REACH_S)
    at = _cut(speech, ends_s, _WINDOW_S, _WINDOW_REACH_S)
    return tuple(Chunk(spans=tuple(part)) for part in (speech[:at], speech[at:]) if part)


def plan_chunks(speech: Sequence[Span], *, chunk_s: float) -> tuple[Chunk, ...]:
    """Group spans into an even number of chunks of about equal length, at most about `chunk_s` of speech each.

    Even, because engines take two at once. Each is cut at the longest pause within a fifth of a chunk
    around its fair end.
    """
    ends_s = list(accumulate(s.duration_s for s in speech))
    if not ends_s:
        return ()
    count = math.ceil(ends_s[-1] / chunk_s)
    count += count % 2 if count > 1 else 0
    fair_s = ends_s[-1] / count
    cuts = {_cut(speech, ends_s, number * fair_s, fair_s / 5) for number in range(1, count)}
    edges = [0, *sorted(cuts - {0}), len(speech)]
    return tuple(Chunk(spans=tuple(speech[a:b])) for a, b in pairwise(edges))


def _cut(speech: Sequence[Span], ends_s: Sequence[float], fair_end_s: float, reach_s: float) -> int:
    """Before which span to cut; 0 when there is only one."""
    away_s = {i: abs(ends_s[i - 1] - fair_end_s) for i in range(1, len(speech))}
    near = [i for i in away_s if away_s[i] <= reach_s] or sorted(away_s, key=lambda i: away_s[i])[:1]
    pause_s = {i: round(speech[i].start_s - speech[i - 1].end_s, 1) for i in near}
    return max(near, key=lambda i: (pause_s[i], -away_s[i]), default=0)


class _Piece(Frozen):
    """A run of media time and where it lies in the collected audio."""

    at_s: float
    media_start_s: float
    duration_s: float


def collect(
    audio: NDArray[np.float32], spans: Sequence[Span], pad_s: float = _PAD_S
) -> tuple[NDArray[np.float32], list[_Piece]]:
    """Speech only, long silences taken out, with the way back to the media's timeline."""
    runs: list[tuple[float, float]] = []
    total_s = len(audio) / RATE_HZ
    for span in spans:
        start_s, end_s = max(0.0, span.start_s - pad_s), min(total_s, span.end_s + pad_s)
        if runs and start_s - runs[-1][1] < _KEPT_PAUSE_S - 2 * pad_s:
            runs[-1] = (runs[-1][0], max(runs[-1][1], end_s))
        else:
            runs.append((max(start_s, runs[-1][1] if runs else 0.0), end_s))
    pieces: list[_Piece] = []
    parts: list[NDArray[np.float32]] = []
    at = 0
    for start_s, end_s in runs:
        part = audio[int(start_s * RATE_HZ) : int(end_s * RATE_HZ)]
        pieces.append(
            _Piece(at_s=at / RATE_HZ, media_start_s=int(start_s * RATE_HZ) / RATE_HZ, duration_s=len(part) / RATE_HZ)
        )
        parts.append(part)
        at += len(part)
    return (np.concatenate(parts) if parts else np.zeros(0, np.float32)), pieces


def agreed_language(chunks: Sequence[Chunk], heard: Sequence[tuple[str, float]]) -> str:
    """The language in which most is spoken, each chunk's own finding weighed by its certainty and its speech."""
    weights: dict[str, float] = {}
    for chunk, (language, certainty) in zip(chunks, heard, strict=True):
        weights[language] = weights.get(language, 0.0) + certainty * chunk.speech_s
    return max(weights, key=lambda k: weights[k])


def recognise(stt_audio: Path, chunk: Chunk, engine: SttEngine, *, language: str | None) -> ChunkResult:
    """Recognise one chunk and put its words back on the media's timeline; what gave no word is heard once more."""
    first = max(0, int((chunk.spans[0].start_s - 1.0) * RATE_HZ))
    last = int((chunk.spans[-1].end_s + 1.0) * RATE_HZ)
    with soundfile.SoundFile(str(stt_audio)) as file:
        file.seek(min(first, file.frames))
        audio: NDArray[np.float32] = np.asarray(file.read(last - first, dtype="float32"), np.float32)
    heard = _hear(audio, first / RATE_HZ, chunk.spans, engine, language)
    segments = heard.segments
    speech = apart(chunk.spans, segments)
    for spans in wordless(speech, segments):
        near = around(speech, spans)
        again = _hear(audio, first / RATE_HZ, near, engine, heard.language, pad_s=CONTEXT_PAD_S)
        segments = with_words(segments, lost(segments, again.segments, spans, near))
    return heard.model_copy(update={"segments": segments})


def _hear(
    audio: NDArray[np.float32],
    offset_s: float,
    spans: Sequence[Span],
    engine: SttEngine,
    language: str | None,
    *,
    pad_s: float = _PAD_S,
) -> ChunkResult:
    """What is said in `spans` of the media; `audio` begins at its `offset_s`."""
    local = [Span(start_s=s.start_s - offset_s, end_s=s.end_s - offset_s) for s in spans]
    speech, pieces = collect(audio, local, pad_s)
    result: SttResult = engine.transcribe(speech, language=language)
    segments = tuple(
        moved for segment in result.segments if (moved := _restore(segment, pieces, local, offset_s)) is not None
    )
    return ChunkResult(language=result.language, language_probability=result.language_probability, segments=segments)


def _restore(segment: Segment, pieces: Sequence[_Piece], spans: Sequence[Span], offset_s: float) -> Segment | None:
    words: list[Word] = []
    for word in segment.words:
        middle = (word.start_s + word.end_s) / 2
        piece = next((p for p in reversed(pieces) if p.at_s <= middle), pieces[0])
        low, high = piece.media_start_s, piece.media_start_s + piece.duration_s
        shift = piece.media_start_s - piece.at_s
        start_s = min(max(word.start_s + shift, low), high)
        end_s = min(max(word.end_s + shift, start_s), high)
        start_s, end_s = _snap(start_s, end_s, spans)
        words.append(
            Word(
                start_s=round(start_s + offset_s, 3),
                end_s=round(end_s + offset_s, 3),
                text=word.text,
                probability=word.probability,
            )
        )
    if not words:
        return None
    return segment.model_copy(update={"start_s": words[0].start_s, "end_s": words[-1].end_s, "words": tuple(words)})


def _snap(start_s: float, end_s: float, spans: Sequence[Span]) -> tuple[float, float]:
    """Whisper lets first and last words reach into silence; the VAD knows the true edge better."""
    overlaps = [s for s in spans if s.end_s > start_s and s.start_s < end_s]
    if not overlaps:
        return start_s, end_s
    best = max(overlaps, key=lambda s: min(end_s, s.end_s) - max(start_s, s.start_s))
    snapped_start, snapped_end = max(start_s, best.start_s - 0.05), min(end_s, best.end_s + 0.15)
    return (snapped_start, snapped_end) if snapped_end - snapped_start > 0.02 else (start_s, end_s)


def join(plan: SpeechPlan, results: Sequence[ChunkResult]) -> Transcript:
    """Join the chunks, drop what was not said, refuse what cannot be trusted; sentences over a border are whole again.

    Raises:
        InputError: `transcript_unusable`, when most of what was recognised is not believable.
    """
    weights: dict[str, float] = {}
    for result in results:
        length = sum(s.end_s - s.start_s for s in result.segments)
        weights[result.language] = weights.get(result.language, 0.0) + length
    language = max(weights, key=lambda k: weights[k]) if weights else "und"
    kept: list[Segment] = []
    dropped: list[DroppedSegment] = []
    segments = [s for chunk in mend([r.segments for r in results], language) for s in chunk]
    repeated = _repeated(segments)
    for segment in segments:
        reason = "repetition" if segment.start_s in repeated else doubt(segment, plan.speech)
        if reason is None:
            kept.append(segment)
        else:
            dropped.append(
                DroppedSegment(start_s=segment.start_s, end_s=segment.end_s, text=segment.text, reason=reason)
            )
    words = [w for s in kept for w in s.words]
    lost_s = sum(d.end_s - d.start_s for d in dropped)
    kept_s = sum(s.end_s - s.start_s for s in kept)
    if words and (median(w.probability for w in words) < 0.25 or (lost_s > 20 and lost_s > 2 * kept_s)):
        raise InputError(
            "The speech could not be understood well enough to dub it.",
            code="transcript_unusable",
            hint="Name the spoken language (--from), or take a larger recognition model (--stt-model).",
        )
    probability = max((r.language_probability for r in results if r.language == language), default=0.0)
    return Transcript(
        language=language,
        language_probability=round(probability, 4),
        segments=tuple(kept),
        dropped=tuple(dropped),
        speech=plan.speech,
        duration_s=plan.duration_s,
    )


def doubt(segment: Segment, speech: Sequence[Span]):
    """Why a segment is not believed, or None. Thresholds are those Whisper's authors publish for its decoder."""
    text = segment.text.strip()
    if not any(c.isalnum() for c in text):
        return "low_probability"
    heard_s = sum(max(0.0, min(segment.end_s, s.end_s) - max(segment.start_s, s.start_s)) for s in speech)
    if heard_s < 0.1 * max(0.1, segment.end_s - segment.start_s):
        return "outside_speech"
    if segment.no_speech_probability > 0.6 and segment.avg_log_probability < -1.0:
        return "no_speech"
    data = text.encode()
    if len(data) > 60 and len(data) / len(zlib.compress(data)) > 2.4:
        return "repetition"
    if segment.avg_log_probability < (-1.6 if segment.end_s - segment.start_s > _SCRAP_S else -1.0):
        return "low_probability"
    return None


def _repeated(segments: Sequence[Segment]) -> set[float]:
    """Starts of segments that say the same words a third time or more in a row."""
    out: set[float] = set()
    run = 0
    for before, now in pairwise(segments):
        run = run + 1 if before.text.strip().lower() == now.text.strip().lower() else 0
        if run >= 2:
            out.add(now.start_s)
    return out
