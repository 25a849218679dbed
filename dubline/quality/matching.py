"""Each line's own sound, as the voice spoke it, looked for in the finished file around where it was laid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.models import Placement
from dubline.quality.sound import FRAME_S

_REACH_S = 1.0
_RANGE_DB = 18.0  # below that lies the bed
_LEAST_S = 0.6
_SURE = 0.6
_FLOOR = 1e-5


@dataclass(frozen=True)
class Match:
    """How much the finished file sounds like the line (correlation of levels, at best 1), and how late it is there.

    `shift_s` is None where the line is not found for sure, both where it is too short to tell.
    """

    likeness: float | None
    shift_s: float | None


def match_lines(
    levels: NDArray[np.float32], placements: Sequence[Placement], rate_hz: int, spoken: Mapping[str, Path]
) -> list[Match]:
    """Look for each line.

    Args:
        levels: Level in dB of every 10 ms of the finished file.
        placements: Where the lines were laid.
        rate_hz: Rate that the placements count in.
        spoken: Audio of each line, before it was stretched.
    """
    return [_match(levels, p, rate_hz, spoken.get(p.utterance_id)) for p in placements]


def _match(levels: NDArray[np.float32], place: Placement, rate_hz: int, path: Path | None) -> Match:
    length_s = place.length_samples / rate_hz
    if path is None or length_s < _LEAST_S:
        return Match(None, None)
    wanted = _line_levels(path, place, rate_hz, round(length_s / FRAME_S))
    first = round(place.start_sample / rate_hz / FRAME_S)
    reach = round(_REACH_S / FRAME_S)
    window = np.full(len(wanted) + 2 * reach, -100.0)
    low, high = max(0, first - reach), min(len(levels), first + len(wanted) + reach)
    if high <= low:
        return Match(None, None)
    window[low - first + reach : high - first + reach] = levels[low:high]
    wanted, window = _within(wanted), _within(window)
    likeness = _correlation(window, wanted)
    best = int(np.argmax(likeness))
    value = round(float(likeness[best]), 3)
    return Match(value, round((best - reach) * FRAME_S, 3) if value >= _SURE else None)


def _line_levels(path: Path, place: Placement, rate_hz: int, count: int) -> NDArray[np.float64]:
    """Level in dB of every 10 ms of a line as it was laid: each phrase at its place and at its pace."""
    samples, own_hz = soundfile.read(str(path), dtype="float32", always_2d=True)
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(np.square(mono, dtype=np.float64))])
    at_s = np.arange(count + 1) * FRAME_S
    edges = np.zeros(count + 1, int)
    for part in place.parts:  # the last one that has begun counts; where it has ended nothing more sounds
        into_s = at_s - (part.start_sample - place.start_sample) / rate_hz
        end = len(samples) if part.end is None else min(part.end, len(samples))
        reached = np.minimum(part.first + np.round(np.maximum(into_s, 0) * own_hz * part.stretch), end).astype(int)
        edges = np.where(into_s >= 0, reached, edges)
    power = np.diff(sums[edges]) / np.maximum(1, np.diff(edges))
    return 10 * np.log10(np.maximum(power, _FLOOR**2))


def _within(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Only what rises above the bed counts, and no single burst."""
    top = float(np.percentile(levels, 95))
    return np.clip(levels, top - _RANGE_DB, top)


def _correlation(window: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's correlation of `wanted` with every part of `window` that is as long."""
    count = len(wanted)
    centred = wanted - wanted.mean()
    parts = np.lib.stride_tricks.sliding_window_view(window, count)
    spread = parts.std(axis=1) * count * wanted.std()
    return np.where(spread > 1e-6, parts @ centred / np.maximum(spread, 1e-6), 0.0)
