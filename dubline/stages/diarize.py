"""diarize: prints of short windows of the speech, told apart into speakers, and the pitch of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.cancel import STOP
from dubline.engines.base import DiarizeEngine
from dubline.models import Span, Speaker, Speakers, SpeakerTurn
from dubline.speakers.clusters import cluster
from dubline.speakers.pitch import RATE_HZ, median_pitch_hz

_WINDOW_S, _HOP_S = 1.6, 0.4
_BLOCK_S = 120.0  # of sound held and sent to an engine at once
_BRIDGED_S = 2.0  # a thinker's pause is part of the turn, as it is part of the sentence
_SHORTEST_TURN_S = 0.6  # between two turns of one other speaker: an error more often than a word
_PITCHED_S = 40.0


def find_speakers(
    stt_audio: Path,
    speech: Sequence[Span],
    engine: DiarizeEngine,
    *,
    speakers: int | None = None,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> Speakers:
    """Who speaks when.

    Args:
        stt_audio: 16 kHz mono.
        speech: Spans of speech, in seconds, in order.
        engine: Gives the prints.
        speakers: How many speak; None finds it out.
        on_progress: Told the share that is done.
    """
    owners, windows = plan_windows(speech)
    prints = _embed(stt_audio, windows, engine, on_progress)
    labels = cluster(prints, speakers=speakers)
    turns = to_turns(speech, owners, windows, [int(v) for v in labels])
    names = list(dict.fromkeys(t.speaker for t in turns))
    return Speakers(turns=tuple(turns), speakers=tuple(_describe(stt_audio, turns, name) for name in names))


def plan_windows(speech: Sequence[Span]) -> tuple[list[int], list[Span]]:
    """Windows over each span of speech, and the span each belongs to; a span shorter than a window is one."""
    owners: list[int] = []
    windows: list[Span] = []
    for position, span in enumerate(speech):
        spare_s = max(0.0, span.duration_s - _WINDOW_S)
        for first_s in np.linspace(span.start_s, span.start_s + spare_s, 1 + int(np.ceil(spare_s / _HOP_S))):
            owners.append(position)
            windows.append(Span(start_s=float(first_s), end_s=float(min(span.end_s, first_s + _WINDOW_S))))
    return owners, windows


def _embed(
    stt_audio: Path, windows: Sequence[Span], engine: DiarizeEngine, on_progress: Callable[[float], None]
) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    at = 0
    with soundfile.SoundFile(str(stt_audio)) as file:
        while at < len(windows):
            STOP.check()
            end = at + 1
            while end < len(windows) and windows[end].end_s - windows[at].start_s <= _BLOCK_S:
                end += 1
            audio, offset_s = _read(file, windows[at].start_s, windows[end - 1].end_s)
            local = [Span(start_s=w.start_s - offset_s, end_s=w.end_s - offset_s) for w in windows[at:end]]
            parts.append(engine.embed(audio, local))
            at = end
            on_progress(at / len(windows))
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def _read(file: soundfile.SoundFile, start_s: float, end_s: float) -> tuple[NDArray[np.float32], float]:
    """Sound of a span and where it really begins, in seconds."""
    first = min(max(0, int(start_s * RATE_HZ)), file.frames)
    file.seek(first)
    audio = file.read(max(1, int(end_s * RATE_HZ) - first), dtype="float32")
    return np.asarray(audio, np.float32), first / RATE_HZ


def to_turns(
    speech: Sequence[Span], owners: Sequence[int], windows: Sequence[Span], labels: Sequence[int]
) -> list[SpeakerTurn]:
    """Every moment of speech to its nearest window; slivers dropped, pauses bridged, speakers named as they come."""
    pieces: list[list[float]] = []
    for i, window in enumerate(windows):
        span = speech[owners[i]]
        middle_s = (window.start_s + window.end_s) / 2
        start_s, end_s = span.start_s, span.end_s
        if i and owners[i - 1] == owners[i]:
            start_s = (middle_s + (windows[i - 1].start_s + windows[i - 1].end_s) / 2) / 2
        if i + 1 < len(windows) and owners[i + 1] == owners[i]:
            end_s = (middle_s + (windows[i + 1].start_s + windows[i + 1].end_s) / 2) / 2
        pieces.append([start_s, end_s, labels[i]])
    pieces = _joined(pieces)
    for before, piece, after in zip(pieces, pieces[1:], pieces[2:], strict=False):
        is_sliver = piece[1] - piece[0] < _SHORTEST_TURN_S and before[2] == after[2]
        if is_sliver and after[0] - before[1] < _SHORTEST_TURN_S + 0.05:  # no pause around it
            piece[2] = before[2]
    pieces = _joined(pieces)
    order = list(dict.fromkeys(int(p[2]) for p in pieces))
    return [SpeakerTurn(start_s=a, end_s=b, speaker=f"S{order.index(int(k)) + 1}") for a, b, k in pieces]


def _joined(pieces: Sequence[Sequence[float]]) -> list[list[float]]:
    out: list[list[float]] = []
    for piece in pieces:
        if out and out[-1][2] == piece[2] and piece[0] - out[-1][1] <= _BRIDGED_S:
            out[-1][1] = piece[1]
        else:
            out.append(list(piece))
    return out


def _describe(stt_audio: Path, turns: Sequence[SpeakerTurn], label: str) -> Speaker:
    own = [t for t in turns if t.speaker == label]
    parts: list[NDArray[np.float32]] = []
    left_s = _PITCHED_S
    with soundfile.SoundFile(str(stt_audio)) as file:
        for turn in sorted(own, key=lambda t: -t.duration_s):
            if left_s > 0:
                parts.append(_read(file, turn.start_s, min(turn.end_s, turn.start_s + left_s))[0])
                left_s -= turn.duration_s
    return Speaker(
        label=label,
        pitch_hz=median_pitch_hz(np.concatenate(parts)),
        speech_s=round(sum(t.duration_s for t in own), 3),
    )
