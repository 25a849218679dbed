"""Is every line in its speaker's voice? Prints of the finished sound, line by line, held against the voice's others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubline.cancel import STOP
from dubline.engines.base import DiarizeEngine
from dubline.media.finished import RATE_HZ
from dubline.models import Line, Span, Speaker
from dubline.quality.models import SpeakerReport, SpeakersQuality

_SHORTEST_S = 1.0  # a print of less is guesswork
_MOST_LINES = 300
_HEARD_S = 6.0
_LEAST_OTHERS = 2  # one other line may itself be the swapped one
_MARGIN = 0.05
_BLOCK = 20


@dataclass(frozen=True)
class VoicedLine:
    """A line as it lies in the finished file, and the voice that its speaker has."""

    utterance_id: str
    span: Span
    voice: str


@dataclass(frozen=True)
class VoiceFindings:
    """Lines judged, and those that sound like another speaker's voice; `reason` says why nothing was judged."""

    judged: int = 0
    swapped: tuple[str, ...] = ()
    reason: str = ""


def judge_voices(
    read: Callable[[Span], NDArray[np.float32]], lines: Sequence[VoicedLine], engine: DiarizeEngine | None, reason: str
) -> VoiceFindings:
    """Find lines that are nearer to another voice's lines than to the other lines of their own.

    Args:
        read: Gives a span of the finished sound as 16 kHz mono float32.
        lines: All lines that can be heard.
        engine: Gives the prints; None judges nothing.
        reason: Why there is no engine.
    """
    if len({line.voice for line in lines}) < 2:
        return VoiceFindings(reason="There is one voice only.")
    if engine is None:
        return VoiceFindings(reason=reason)
    long = [line for line in lines if line.span.duration_s >= _SHORTEST_S]
    if len(long) > _MOST_LINES:
        long = [long[int(i)] for i in np.linspace(0, len(long) - 1, _MOST_LINES)]
    if not long:
        return VoiceFindings(reason="No line is long enough.")
    return _compare(long, _prints(read, long, engine))


def measure_speakers(
    speakers: Sequence[Speaker],
    casting: Mapping[str, str],
    lines: Sequence[Line],
    spans: Mapping[str, Span],
    read: Callable[[Span], NDArray[np.float32]],
    engine: DiarizeEngine | None,
    *,
    one_voice: str,
    is_asked: bool,
) -> SpeakersQuality:
    """Speakers with their voices, and the lines that are not in theirs.

    Args:
        speakers: Told apart in the source; none when they were not.
        casting: Voice of each speaker's label.
        lines: All lines of the dub.
        spans: Where each line that can be heard lies in the finished sound, by id.
        read: Gives a span of the finished sound as 16 kHz mono float32.
        engine: Gives the prints; None judges nothing.
        one_voice: Why speakers were not told apart.
        is_asked: Whether that was asked for.
    """
    if not speakers:
        return SpeakersQuality(reason=one_voice, is_asked=is_asked, judge_reason="There is one voice only.")
    many = Counter(line.utterance.speaker for line in lines)
    voiced = [
        VoicedLine(line.utterance.id, spans[line.utterance.id], line.voice or casting[line.utterance.speaker])
        for line in lines
        if line.utterance.id in spans
    ]
    found = judge_voices(read, voiced, engine, "Listening was turned off, or the engines only pretend.")
    heads = Counter(casting[s.label] for s in speakers if s.label in casting)
    return SpeakersQuality(
        rows=tuple(
            SpeakerReport(
                label=s.label,
                voice=casting[s.label],
                pitch_hz=s.pitch_hz,
                speech_s=s.speech_s,
                lines=many[s.label],
            )
            for s in speakers
        ),
        is_asked=is_asked,
        shared_voices=sum(n for n in heads.values() if n > 1),
        judged_lines=found.judged,
        judge_reason=found.reason,
        swapped_lines=found.swapped,
    )


def _prints(
    read: Callable[[Span], NDArray[np.float32]], lines: Sequence[VoicedLine], engine: DiarizeEngine
) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    for at in range(0, len(lines), _BLOCK):
        STOP.check()
        sounds = [
            read(Span(start_s=line.span.start_s, end_s=min(line.span.end_s, line.span.start_s + _HEARD_S)))
            for line in lines[at : at + _BLOCK]
        ]
        ends_s = np.cumsum([len(s) for s in sounds]) / RATE_HZ
        spans = [Span(start_s=float(e) - len(s) / RATE_HZ, end_s=float(e)) for s, e in zip(sounds, ends_s, strict=True)]
        parts.append(engine.embed(np.concatenate(sounds), spans))
    return np.concatenate(parts)


def _compare(lines: Sequence[VoicedLine], prints: NDArray[np.float32]) -> VoiceFindings:
    voices = np.array([line.voice for line in lines])
    sums = {v: prints[voices == v].sum(axis=0) for v in dict.fromkeys(voices.tolist())}
    judged, swapped = 0, []
    for line, own in zip(lines, prints, strict=True):
        if int((voices == line.voice).sum()) <= _LEAST_OTHERS:
            continue
        judged += 1
        like_own = _cosine(own, sums[line.voice] - own)
        like_other = max(_cosine(own, total) for voice, total in sums.items() if voice != line.voice)
        if like_other > like_own + _MARGIN:
            swapped.append(line.utterance_id)
    reason = "" if judged else "No voice has three lines to compare."
    return VoiceFindings(judged=judged, swapped=tuple(swapped), reason=reason)


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))
