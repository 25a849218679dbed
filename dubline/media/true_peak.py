"""True peak by ITU-R BS.1770-4, annex 2, of what can hold it: most of a sound is too soft to, and is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# Phases 0 and 1 of the interpolation filter in annex 2; 3 and 2 are the same backwards.
_PHASES = (
    (
        *(0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625),
        *(0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500),
    ),
    (
        *(-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250),
        *(0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375),
    ),
)
_FILTER = np.array([*_PHASES, *(p[::-1] for p in reversed(_PHASES))], np.float32)
_TAPS = _FILTER.shape[1]
_MOST_GAIN = float(np.abs(_FILTER).sum(axis=1).max())  # no value between samples is further above the largest of them
_FULL_SCALE = 10 ** (-0.01 / 20)
_FRAME = 256


@dataclass(frozen=True)
class Peaks:
    """How high a sound goes: 1.0 is full scale. `clipped` of its `values` are there."""

    true_peak: float
    clipped: int
    values: int

    @property
    def clipped_share(self) -> float:
        return self.clipped / max(1, self.values)


def of_all(parts: Sequence[Peaks]) -> Peaks:
    """The peaks of a sound from those of its parts."""
    return Peaks(
        max((p.true_peak for p in parts), default=0.0), sum(p.clipped for p in parts), sum(p.values for p in parts)
    )


def measure_peaks(path: Path, scale: float = 1.0, *, part_s: float = 10.0, skip_s: float = 0.0) -> list[Peaks]:
    """The largest value at or between the samples of a 16-bit file that libsndfile reads, on any channel, by parts.

    Memory does not grow with the length.

    Args:
        path: The file.
        scale: What its values are multiplied by.
        part_s: Length of a part; the last one may be shorter.
        skip_s: Where the first one begins.
    """
    parts: list[Peaks] = []
    unit = scale / 32768
    with soundfile.SoundFile(str(path)) as file:
        frames, lead = round(part_s * file.samplerate), min(_TAPS - 1, round(skip_s * file.samplerate))
        file.seek(min(file.frames, round(skip_s * file.samplerate) - lead))
        held = np.zeros((_TAPS - 1, file.channels), np.int16)
        if lead:
            held[-lead:] = file.read(lead, dtype="int16", always_2d=True)
        while len(read := file.read(frames, dtype="int16", always_2d=True)):
            block = np.asarray(read, np.int16)
            clipped = 0
            if max(int(block.max()), -int(block.min())) * unit >= _FULL_SCALE:
                clipped = int(np.count_nonzero(np.abs(block * np.float32(unit)) >= _FULL_SCALE))
            data = np.concatenate([held, block])
            held = data[1 - _TAPS :]
            if file.tell() == file.frames:
                data = np.concatenate([data, np.zeros_like(held)])
            parts.append(Peaks(_between(data, unit), clipped, block.size))
    return parts


def _between(data: NDArray[np.int16], unit: float) -> float:
    """The largest of (samples, channels) and of what the filter makes of those frames that may exceed it."""
    count = -(-(len(data) - _TAPS + 1) // _FRAME)
    padded = np.zeros(((count + 1) * _FRAME, data.shape[1]), np.int16)
    padded[: len(data)] = data
    frames = padded.reshape(count + 1, -1)
    levels = np.maximum(frames.max(axis=1), -frames.min(axis=1).astype(np.float64)) * unit
    peak = float(levels.max())
    reached = np.maximum(levels[:-1], levels[1:]) * _MOST_GAIN  # a frame's last windows reach into the next
    order = np.argsort(-reached)
    windows = sliding_window_view(padded, _TAPS, axis=0)
    for frame in order:
        if reached[frame] <= peak:
            break
        part = windows[frame * _FRAME : (frame + 1) * _FRAME] * np.float32(unit)
        peak = max(peak, float(np.abs(part @ _FILTER.T).max()))
    return peak
