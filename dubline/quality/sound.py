"""What the finished sound shows without a recogniser: where the voice is, how loud, and which lines are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from dubline.media.finished import RATE_HZ
from dubline.models import Span

FRAME_S = 0.01
_FRAME = int(RATE_HZ * FRAME_S)
_BLOCK_S = 60
_FLOOR_DB = -100.0
_BELOW_LINE_DB = 17.0  # the bed lies 20 dB below the voice; speech that soft is not an onset
_QUIET_FRAMES = 10
_LOUD_FRAMES, _LOUD_ENOUGH = 10, 5  # a plosive's burst, its silence, and the vowel
_REACH_S = 1.0
_LEAST_PAUSE_S = 0.15
_AGREED_S = 0.08
_TRIED_SHIFTS = 400
_BRIDGED_PAUSE_S = 0.25
_SILENT_LU = 10.0  # a spoken line's loudest 400 ms lie above the voice's gated level, a ducked bed 16 dB below or more
_ABSOLUTE_SILENCE_LUFS = -70.0


def read_pcm(pcm: Path, span: Span) -> NDArray[np.float32]:
    """A part of raw 16 kHz, 16 bit mono as float32 in -1 … 1; shorter where the file ends."""
    first, last = max(0, round(span.start_s * RATE_HZ)), max(0, round(span.end_s * RATE_HZ))
    with pcm.open("rb") as file:
        file.seek(2 * first)
        data = file.read(2 * max(0, last - first))
    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / np.float32(32768)


def envelope(pcm: Path) -> NDArray[np.float32]:
    """Level in dBFS (RMS) of every 10 ms, read in blocks."""
    parts: list[NDArray[np.float32]] = []
    with pcm.open("rb") as file:
        while data := file.read(2 * RATE_HZ * _BLOCK_S):
            samples = np.frombuffer(data[: len(data) // (2 * _FRAME) * 2 * _FRAME], dtype="<i2")
            power = np.mean((samples.reshape(-1, _FRAME).astype(np.float32) / 32768) ** 2, axis=1)
            parts.append(np.maximum(10 * np.log10(np.maximum(power, 1e-12)), _FLOOR_DB).astype(np.float32))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _frames(span: Span, count: int) -> slice:
    first = min(count, max(0, round(span.start_s / FRAME_S)))
    return slice(first, min(count, max(first, round(span.end_s / FRAME_S))))


def voice_spans(levels: NDArray[np.float32], lines: Sequence[Span]) -> list[Span]:
    """The lines' intervals trimmed to where they sound, pauses above 0.25 s taken out.

    A frame sounds when it is less than 17 dB below the line's loud frames (85th percentile), which a ducked bed is not.
    """
    out: list[Span] = []
    longest = round(_BRIDGED_PAUSE_S / FRAME_S)
    for line in lines:
        window = _frames(line, len(levels))
        part = levels[window]
        if not len(part):
            continue
        loud = np.flatnonzero(part > max(_FLOOR_DB + 30, float(np.percentile(part, 85)) - _BELOW_LINE_DB))
        if not len(loud):
            continue
        cuts = np.flatnonzero(np.diff(loud) > longest)
        firsts = [loud[0], *loud[cuts + 1]]
        lasts = [*loud[cuts], loud[-1]]
        out += [
            Span(start_s=(window.start + int(a)) * FRAME_S, end_s=(window.start + int(b) + 1) * FRAME_S)
            for a, b in zip(firsts, lasts, strict=True)
        ]
    return out


def overlap_iou(a: Sequence[Span], b: Sequence[Span], duration_s: float) -> float | None:
    """Intersection over union of two sets of spans, in 10 ms steps. None when both are empty."""
    count = max(1, round(duration_s / FRAME_S))
    masks = []
    for spans in (a, b):
        mask = np.zeros(count, bool)
        for span in spans:
            mask[_frames(span, count)] = True
        masks.append(mask)
    union = int((masks[0] | masks[1]).sum())
    return round(int((masks[0] & masks[1]).sum()) / union, 4) if union else None


def heard_onsets(levels: NDArray[np.float32], lines: Sequence[Span]) -> tuple[list[float | None], float | None]:
    """Where each line is heard to begin, in seconds, and by how much the whole track is shifted.

    A line begins at a step from silence to voice. Steps after a pause inside a line look alike, so the shift on which
    most lines agree is found first, and each line takes its step nearest to that. None for a line that follows the one
    before without a pause of 0.15 s, or whose surroundings show no step (a bed as loud as the voice).
    """
    steps: list[list[float]] = []
    for position, line in enumerate(lines):
        before_s = lines[position - 1].end_s if position else -1.0
        steps.append(_steps(levels, line) if line.start_s - before_s >= _LEAST_PAUSE_S - 1e-6 else [])
    shift_s = _common_shift([[t - line.start_s for t in found] for found, line in zip(steps, lines, strict=True)])
    onsets: list[float | None] = []
    for found, line in zip(steps, lines, strict=True):
        due_s = line.start_s + (shift_s or 0.0)
        onset_s = min(found, key=lambda t: abs(t - due_s), default=None)
        # Voice between the due time and the step: the line had begun, and the step is a pause inside it.
        begun = onset_s is not None and _loud(levels, Span(start_s=due_s, end_s=onset_s), line).sum() >= _LOUD_ENOUGH
        onsets.append(None if begun else onset_s)
    return onsets, shift_s


def _common_shift(errors: Sequence[Sequence[float]]) -> float | None:
    """The shift that most lines show; the smaller one when two are as common. None without any step."""
    candidates = sorted({e for row in errors for e in row}, key=abs)
    if not candidates:
        return None

    def support(shift_s: float) -> list[float]:
        near = [min(row, key=lambda e: abs(e - shift_s)) for row in errors if row]
        return [e for e in near if abs(e - shift_s) <= _AGREED_S]

    best = max(candidates[:_TRIED_SHIFTS], key=lambda c: len(support(c)))
    return median(support(best))


def _loud(levels: NDArray[np.float32], span: Span, line: Span) -> NDArray[np.bool_]:
    """Which 10 ms frames of a span are as loud as the line's voice; empty for a span of no length."""
    around = levels[_frames(Span(start_s=line.start_s, end_s=line.end_s + _REACH_S), len(levels))]
    part = levels[_frames(span, len(levels))]
    if not len(around):
        return np.zeros(len(part), bool)
    return part > max(_FLOOR_DB + 30, float(np.percentile(around, 85)) - _BELOW_LINE_DB)


def _steps(levels: NDArray[np.float32], line: Span) -> list[float]:
    """Times around a line's laid start at which voice follows 0.1 s of silence."""
    window = Span(start_s=max(0.0, line.start_s - _REACH_S), end_s=line.start_s + _REACH_S)
    first = _frames(window, len(levels)).start
    # Silence before the file's first sample is silence too.
    lead = _QUIET_FRAMES if first == 0 else 0
    loud = np.concatenate([np.zeros(lead, bool), _loud(levels, window, line), np.zeros(_LOUD_FRAMES, bool)])
    before = np.convolve(loud, np.ones(_QUIET_FRAMES), mode="valid")
    after = np.convolve(loud, np.ones(_LOUD_FRAMES), mode="valid")
    return [
        (first + i - lead) * FRAME_S
        for i in range(_QUIET_FRAMES, len(after))
        if loud[i] and before[i - _QUIET_FRAMES] == 0 and after[i] >= _LOUD_ENOUGH
    ]


def loudest_lufs(momentary: NDArray[np.float64], line: Span) -> float:
    """The loudest 400 ms of a line; -120 for none."""
    first = max(0, int(line.start_s * 10))
    part = momentary[first : max(first + 1, int(np.ceil(line.end_s * 10)) + 1)]
    return float(part.max()) if len(part) else -120.0


def silent_lines(momentary: NDArray[np.float64], lines: Sequence[Span], voice_lufs: float | None) -> list[bool]:
    """Which lines cannot be heard: their loudest 400 ms lie 10 LU or more below the voice.

    `voice_lufs` is the level the voice was to have; the median of the lines' own loudest parts when unknown.
    """
    peaks = [loudest_lufs(momentary, line) for line in lines]
    usual = voice_lufs if voice_lufs is not None else (median(peaks) if peaks else 0.0)
    limit = max(_ABSOLUTE_SILENCE_LUFS, usual - _SILENT_LU)
    return [peak < limit for peak in peaks]


def flat_share(pcm: Path, line: Span) -> float:
    """Share of a line's samples that lie near its peak: little of speech does, much of clipped speech.

    A level below full scale does not hide it, nor does an encoder that has rounded the corners.
    """
    samples = np.abs(read_pcm(pcm, line))
    if len(samples) < RATE_HZ // 4:
        return 0.0
    # An encoder overshoots the flat parts by a little, in few samples.
    peak = float(np.quantile(samples, 0.999))
    return round(float(np.mean(samples >= 0.75 * peak)), 4) if peak > 1e-3 else 0.0


def line_mask(lines: Sequence[Span], count: int) -> NDArray[np.bool_]:
    """Which values of a momentary loudness curve lie inside lines."""
    mask = np.zeros(count, bool)
    for line in lines:
        mask[int(line.start_s * 10) : int(np.ceil(line.end_s * 10))] = True
    return mask


def bed_below_voice_db(levels: NDArray[np.float32], lines: Sequence[Span]) -> float | None:
    """How far the bed lies below the voice at the least: loud frames of the lines less their quietest twentieth.

    The quietest frames of a line are its own pauses, where the bed alone is heard.
    """
    parts = [levels[_frames(line, len(levels))] for line in lines]
    joined = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if len(joined) < 50:
        return None
    return round(float(np.percentile(joined, 85) - np.percentile(joined, 5)), 1)


@dataclass(frozen=True)
class SoundFacts:
    """Measures of the finished sound, one entry a line where a list."""

    onsets_s: tuple[float | None, ...]
    shift_s: float | None
    silent: tuple[bool, ...]
    flat: tuple[float, ...]
    voice: tuple[Span, ...]
    bed_below_voice_db: float | None


def measure_sound(
    pcm: Path, momentary: NDArray[np.float64], lines: Sequence[Span], *, voice_lufs: float | None
) -> SoundFacts:
    """All of the above for lines given by their intervals in the finished file, in order of time."""
    levels = envelope(pcm)
    onsets_s, shift_s = heard_onsets(levels, lines)
    return SoundFacts(
        onsets_s=tuple(onsets_s),
        shift_s=shift_s,
        silent=tuple(silent_lines(momentary, lines, voice_lufs)),
        flat=tuple(flat_share(pcm, line) for line in lines),
        voice=tuple(voice_spans(levels, lines)),
        bed_below_voice_db=bed_below_voice_db(levels, lines),
    )
