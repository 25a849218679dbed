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
    need = _need(step_peaks(samples, step))
    own = slice(first // step, -(-(first + count) // step))
    touched = int((need[own] < 1.0).sum())
    edges = _edges(need)[own.start : own.stop + 1]
    out = samples[first : first + count]
    if edges.min() < 1.0:
        out = out * between(edges, step)[: len(out), None]
    return Limited(np.asarray(out, np.float32), touched)


def step_peaks(samples: NDArray[np.float32], step: int) -> NDArray[np.float64]:
    """The highest magnitude of each step; `samples` are frames, or frames by channels."""
    return _by_steps(np.abs(samples), step).max(axis=1).astype(np.float64)


def step_powers(samples: NDArray[np.float32], step: int) -> NDArray[np.float64]:
    """The power of each step, summed over its samples."""
    rows = _by_steps(samples, step)
    return np.einsum("ij,ij->i", rows, rows).astype(np.float64)


def power_left(peaks: NDArray[np.float64], powers: NDArray[np.float64]) -> float:
    """What `limit` leaves of the power of sound that has these peaks and powers, a value a step each."""
    edges = _edges(_need(peaks))
    return float(np.sum(powers * ((edges[:-1] + edges[1:]) / 2) ** 2))


def _by_steps(samples: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    steps = -(-len(samples) // step)
    padded = np.zeros((steps * step, *samples.shape[1:]), np.float32)
    padded[: len(samples)] = samples
    return padded.reshape(steps, -1)


def _need(peaks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gain that each step needs by itself."""
    return np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9))


def _edges(need: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gain where each step begins, and at the end: the mean of what 4 steps before and 4 from there on allow."""
    beside = np.ones(_REACH + _REACH // 2)
    least = np.lib.stride_tricks.sliding_window_view(np.concatenate([beside, need, beside]), 2 * _REACH + 1).min(axis=1)
    return np.asarray(np.convolve(least, np.ones(_REACH) / _REACH, mode="valid"), np.float64)


def between(edges: NDArray[np.float64], step: int) -> NDArray[np.float32]:
    """Straight lines from each value to the next, `step` samples each."""
    first = edges[:-1, None].astype(np.float32)
    rise = np.diff(edges)[:, None].astype(np.float32)
    return np.asarray(first + rise * np.linspace(0, 1, step, endpoint=False, dtype=np.float32), np.float32).ravel()
