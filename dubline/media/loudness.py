"""Loudness by ITU-R BS.1770 and EBU R128, measured by ffmpeg and gated here, so that any part of a file can be asked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dubline.media import argv
from dubline.media.runner import deadline_s, run

_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_M = re.compile(rb"lavfi\.r128\.M=(-?[\d.]+|-?inf|nan)")


def momentary(path: Path, *, media_s: float = 36_000.0) -> NDArray[np.float64]:
    """Momentary loudness (400 ms windows, one every 100 ms) of a sound file that we made, in LUFS.

    Value `i` looks back from 0.1 * (i + 1) s; channels are summed as the file has them.
    """
    sound = argv.made(path).audio.filter("ebur128", metadata=1).filter(
        "ametadata", mode="print", key="lavfi.r128.M", file="-"
    )
    node = argv.output([sound], "-", format="null")
    done = run(argv.command(node, progress=False), folder=path.parent, deadline=deadline_s(media_s))
    values = np.array([float(v) for v in _M.findall(done.stdout)], dtype=np.float64)
    return np.nan_to_num(values, nan=-120.0, neginf=-120.0, posinf=0.0)


def gated_lufs(levels: NDArray[np.float64], mask: NDArray[np.bool_] | None = None) -> float | None:
    """Integrated loudness of the blocks chosen by `mask`, by the two gates of BS.1770-4 (section 5.1).

    The momentary values are the standard's own gating blocks: 400 ms, overlapping by 75 %. None for silence.
    """
    chosen = levels if mask is None else levels[mask[: len(levels)]]
    loud = chosen[chosen > _ABSOLUTE_GATE_LUFS]
    if not len(loud):
        return None
    gate = _mean(loud) + _RELATIVE_GATE_LU
    return round(_mean(loud[loud > gate]), 2)


def _mean(levels: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))
