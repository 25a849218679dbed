"""How much of the original voice is left in the finished file: both decoded, and held against one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dubline.media.finished import RATE_HZ
from dubline.models import Span

FLOOR_DB = -40.0
"""What two voices have in common by chance; less is not told apart from nothing."""
_CHANNELS = 2
_REACH = 160  # samples by which the finished sound may be late or early
_PIECE_S = 20.0
_FFT = 8192
_LEAST_VOICE_DB = -25.0
_LEAST_S = 0.5


@dataclass(frozen=True)
class Leak:
    """Level of the original voice in the result against the source, in dB; None where there is no speech."""

    whole_db: float | None
    lines_db: tuple[float | None, ...]


class Recording:
    """Raw 16 kHz, 16 bit stereo, read in parts."""

    def __init__(self, path: Path) -> None:
        frames = path.stat().st_size // (2 * _CHANNELS)
        self._data = np.memmap(path, "<i2", "r", shape=(frames, _CHANNELS)) if frames else np.zeros((0, 2), np.int16)

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """`count` frames from `first`, silence outside the file; differences of neighbours, so that no bass rules."""
        out = np.zeros((count + 1, _CHANNELS), np.float32)
        low, high = max(0, first - 1), max(0, min(len(self._data), first + count))
        if high > low:
            out[low - first + 1 : high - first + 1] = self._data[low:high]
        return np.diff(out, axis=0)


def measure_leak(
    finished: Path, bed: Path, background: Path | None, speech: Sequence[Span], lines: Sequence[Span]
) -> Leak:
    """Hold the finished sound against the source's voice: the bed, less the background where it was separated.

    The gain that makes the voice most like the finished sound (least squares) is the level at which it is left. The
    dub's own voice has nothing to do with it, and averages out.

    Args:
        finished: Raw 16 kHz stereo, as all three.
        bed: The source's sound.
        background: The source's sound without its voice.
        speech: Where somebody speaks in the source.
        lines: Where the dub's lines lie.
    """
    result, source = Recording(finished), Recording(bed)
    without = Recording(background) if background is not None else None

    def voice(first: int, count: int) -> NDArray[np.float32]:
        samples = source.read(first, count)
        return samples - without.read(first, count) if without is not None else samples

    late = _late(result, voice, speech)
    common = power = 0.0
    seconds = 0.0
    for first, count in _pieces(speech):
        sound = voice(first, count)
        common += float(np.vdot(sound, result.read(first + late, count)))
        power += float(np.vdot(sound, sound))
        seconds += count / RATE_HZ
    whole_db = _decibel(common, power) if seconds >= _LEAST_S else None
    usual = power / seconds if seconds else 0.0
    by_line: list[float | None] = []
    for line in lines:
        common = power = 0.0
        for first, count in _pieces([line]):
            sound = voice(first, count)
            common += float(np.vdot(sound, result.read(first + late, count)))
            power += float(np.vdot(sound, sound))
        loud = power >= usual * line.duration_s * 10 ** (_LEAST_VOICE_DB / 10)
        by_line.append(_decibel(common, power) if loud and line.duration_s >= _LEAST_S else None)
    return Leak(whole_db, tuple(by_line))


def _decibel(common: float, power: float) -> float | None:
    if power <= 0:
        return None
    return round(max(FLOOR_DB, 20 * float(np.log10(max(abs(common) / power, 1e-6)))), 1)


def _pieces(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """First frame and number of frames of parts that are short enough to hold."""
    out: list[tuple[int, int]] = []
    step = int(_PIECE_S * RATE_HZ)
    for span in spans:
        first, last = round(span.start_s * RATE_HZ), round(span.end_s * RATE_HZ)
        out += [(at, min(step, last - at)) for at in range(first, last, step)]
    return out


def _late(result: Recording, voice: Callable[[int, int], NDArray[np.float32]], speech: Sequence[Span]) -> int:
    """By how many frames the finished sound follows the source: an encoder may add or lose a few."""
    step = _FFT - 2 * _REACH
    spectrum = np.zeros(_FFT // 2 + 1, np.complex128)
    for first, count in _pieces(speech)[:12]:
        blocks = -(-count // step)
        heard = result.read(first - _REACH, blocks * step + 2 * _REACH)
        windows = sliding_window_view(heard, _FFT, axis=0)[::step]
        sound = np.zeros((blocks * step, _CHANNELS), np.float32)
        sound[:count] = voice(first, count)
        said = np.fft.rfft(sound.reshape(blocks, step, _CHANNELS).transpose(0, 2, 1), _FFT)
        spectrum += (np.fft.rfft(windows) * np.conj(said)).sum(axis=(0, 1))
    total = np.fft.irfft(spectrum)[: 2 * _REACH + 1]
    return int(np.argmax(np.abs(total))) - _REACH if total.any() else 0
