"""A peak limiter that can begin anywhere: what comes out depends on nothing but some milliseconds around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CEILING = 10 ** (-2.6 / 20)  # sample peak; leaves 1.1 dB to the -1.5 dBTP limit for inter-sample peaks and the encoder
AROUND_STEPS = 16
"""As many steps before and behind a stretch of sound say what becomes of it; 12 do."""

_REACH = 8


@dataclass(frozen=True)
class Limited:
    """Samples, and how many of their steps were above the ceiling."""

    samples: NDArray[np.float32]
    touched: int


def limit(samples: NDArray[np.float32], step: int, *, first: int, count: int) -> Limited:
    """Limit `count` stereo samples from `first` on, with 8 steps of look-ahead.

    Gain is worked out by steps: what each needs, the least of its neighbours, then a moving average inside that
    window; so the gain has reached its value before the peak comes and never overshoots the ceiling.

    Args:
        samples: The stretch with `AROUND_STEPS` steps before and behind it, less only where the sound begins or ends.
        step: Samples of a step, about a millisecond.
        first: Where the stretch begins in `samples`, a multiple of `step`.
        count: How long it is; a multiple of `step`, but at the sound's end.
    """
    steps = -(-len(samples) // step)
    padded = np.zeros((steps * step, 2), np.float32)
    padded[: len(samples)] = samples
    peaks = np.abs(padded).reshape(steps, -1).max(axis=1)
    need = np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9))
    own = slice(first // step, -(-(first + count) // step))
    touched = int((need[own] < 1.0).sum())
    beside = np.ones(_REACH + _REACH // 2)
    least = np.lib.stride_tricks.sliding_window_view(np.concatenate([beside, need, beside]), 2 * _REACH + 1).min(axis=1)
    # `edges[i]` is the gain where step i begins: the mean of what the 4 steps before and the 4 from there on allow.
    edges = np.convolve(least, np.ones(_REACH) / _REACH, mode="valid")[own.start : own.stop + 1]
    out = samples[first : first + count]
    if edges.min() < 1.0:
        out = out * between(edges, step)[: len(out), None]
    return Limited(np.asarray(out, np.float32), touched)


def between(edges: NDArray[np.float64], step: int) -> NDArray[np.float32]:
    """Straight lines from each value to the next, `step` samples each."""
    first = edges[:-1, None].astype(np.float32)
    rise = np.diff(edges)[:, None].astype(np.float32)
    return np.asarray(first + rise * np.linspace(0, 1, step, endpoint=False, dtype=np.float32), np.float32).ravel()
