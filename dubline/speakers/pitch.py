"""How high a voice is: the median fundamental of voiced sound, by autocorrelation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 400.0
_FRAME, _HOP = 800, 320  # 50 ms hold three periods of the lowest voice
_VOICED = 0.6
_FIRST_PEAK = 0.9  # of the highest: twice the period matches as well as the period
_LEAST_FRAMES = 20
_LOUD_SHARE = 0.1  # of the loud frames' power; below it lies what is no vowel


def median_pitch_hz(audio: NDArray[np.float32]) -> float | None:
    """Median pitch of 16 kHz mono float32 speech in Hz; None where less than 0.4 s of it is voiced."""
    if len(audio) < _FRAME:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(audio, _FRAME)[::_HOP].astype(np.float64)
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = (frames**2).mean(axis=1)
    frames = frames[power > max(1e-9, _LOUD_SHARE * float(np.percentile(power, 90)))]
    found: list[float] = []
    for first in range(0, len(frames), 1024):
        found += _pitches(frames[first : first + 1024])
    return round(float(np.median(found)), 1) if len(found) >= _LEAST_FRAMES else None


def _pitches(frames: NDArray[np.float64]) -> list[float]:
    """Pitch of each voiced frame."""
    window = np.hanning(_FRAME)
    size = 2 * _FRAME
    spectrum = np.abs(np.fft.rfft(frames * window, size, axis=1)) ** 2
    weight = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)
    likeness = np.fft.irfft(spectrum, axis=1)
    likeness = likeness / np.maximum(likeness[:, :1], 1e-12) / np.maximum(weight / weight[0], 1e-3)
    first, last = int(RATE_HZ / _HIGHEST_HZ), int(RATE_HZ / _LOWEST_HZ)
    inner = likeness[:, first : last + 1]
    is_peak = (inner[:, 1:-1] > inner[:, :-2]) & (inner[:, 1:-1] >= inner[:, 2:])
    peaks = np.where(is_peak, inner[:, 1:-1], -1.0)
    highest = peaks.max(axis=1)
    period = (peaks >= _FIRST_PEAK * highest[:, None]).argmax(axis=1) + first + 1
    return [float(RATE_HZ / p) for p, h in zip(period, highest, strict=True) if h >= _VOICED]
