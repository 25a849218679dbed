"""How far the bed goes down, and when: an envelope at 100 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubline.models import Span

ENVELOPE_HZ = 100

_LEAD_S, _HOLD_S, _RAMP_S = 0.25, 0.25, 0.25  # voice activity is noticed a little late; the ramp must be over by then
_REACH_STEPS = 2


@dataclass(frozen=True)
class Ducking:
    """How far the bed goes down under speech: to `ceiling_lu` against the voice, by `most_db` at most."""

    ceiling_lu: float
    most_db: float


# The original voice has to go below what is understood; what is left without it may be heard.
OF_ALL = Ducking(ceiling_lu=-27.0, most_db=-36.0)
OF_THE_REST = Ducking(ceiling_lu=-18.0, most_db=-12.0)


def shape(spans: Sequence[Span], duration_s: float) -> NDArray[np.float64]:
    """How much the bed is lowered, 0 … 1, at 100 Hz: wholly from before every span to after it, with smooth ramps."""
    ducked = np.zeros(int(duration_s * ENVELOPE_HZ) + 2)
    for span in spans:
        start = max(0, int((span.start_s - _LEAD_S) * ENVELOPE_HZ))
        ducked[start : int((span.end_s + _HOLD_S) * ENVELOPE_HZ) + 1] = 1.0
    return _smooth(ducked)


def depth(bed_lufs: NDArray[np.float64], voice_lufs: float, ducking: Ducking, duration_s: float) -> NDArray[np.float64]:
    """Gain in dB at 100 Hz that keeps the bed at its ceiling: it breathes, since what is soft already is left alone.

    The loudest of the steps around counts, so that the gain is there before the sound is.
    """
    count = int(duration_s * ENVELOPE_HZ) + 2
    if not len(bed_lufs):
        return np.zeros(count)
    reach = _REACH_STEPS
    padded = np.pad(bed_lufs, reach, mode="edge")
    loudest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    wanted = np.clip(voice_lufs + ducking.ceiling_lu - loudest, ducking.most_db, 0.0)
    # A value covers the 400 ms that end with its step: it lies 0.2 s before that.
    middles_s = (np.arange(len(wanted)) + 1) / 10 - 0.2
    return _smooth(np.interp(np.arange(count) / ENVELOPE_HZ, middles_s, wanted))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    width = int(_RAMP_S * ENVELOPE_HZ)
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(values, width, mode="edge")
    smooth = np.asarray(np.convolve(padded, window / window.sum(), mode="same"), np.float64)
    return smooth[width:-width]
