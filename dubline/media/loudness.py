"""Loudness by ITU-R BS.1770-4 (EBU R128), measured by ffmpeg's `ebur128`, gated here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubline.cancel import STOP, StopToken
from dubline.media import argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch

_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_BLOCK_STEPS = 4
_DEADLINE_S = 60.0


def momentary(
    path: Path,
    stream_index: int | None = None,
    *,
    media_s: float = 36_000.0,
    work_dir: Path | None = None,
    stop: StopToken = STOP,
) -> NDArray[np.float64]:
    """Momentary loudness (LUFS, 400 ms) every 100 ms: entry `i` covers the 400 ms that end at `(i + 1) / 10` s.

    The first three entries, whose window is not full, are -inf. Channels count as in the file.

    Raises:
        MediaError: the file cannot be decoded.
        Cancelled: somebody asked to stop.
    """
    with Scratch(work_dir) as scratch:
        sound = argv.source(scratch.link(path))["a:0" if stream_index is None else str(stream_index)]
        run = argv.arguments(metered(sound, "-"))
        done = run_ffmpeg(run, deadline_s=_DEADLINE_S + media_s / 10, cwd=scratch.path, capture_stdout=True, stop=stop)
    return read_momentary(done.stdout)


def metered(sound: Any, file: str) -> Any:
    """An output that writes what `read_momentary` reads, to a file or (`-`) to standard output."""
    measured = sound.filter("ebur128", metadata=1, framelog="quiet")
    return argv.nowhere([measured.filter("ametadata", mode="print", key="lavfi.r128.M", file=file)])


def read_momentary(text: bytes) -> NDArray[np.float64]:
    """The levels as `momentary` gives them, from what `metered` wrote."""
    out = np.asarray([float(v) for v in re.findall(rb"lavfi\.r128\.M=(\S+)", text)], dtype=np.float64)
    out[: _BLOCK_STEPS - 1] = -np.inf
    # The filter writes -120.691 or nan for digital silence.
    return np.where(np.isfinite(out) & (out > -120.0), out, -np.inf)


def gated_lufs(levels: NDArray[np.float64], mask: NDArray[np.bool_] | None = None) -> float | None:
    """Integrated loudness of 400 ms blocks with 75 % overlap: the two gates of ITU-R BS.1770-4, section 5.1.

    Args:
        levels: Momentary loudness every 100 ms, LUFS.
        mask: Which of them count; all when absent. At least as long.

    Returns:
        LUFS, or None when nothing passes the absolute gate of -70 LUFS.
    """
    kept = levels if mask is None else levels[mask[: len(levels)]]
    kept = kept[kept > _ABSOLUTE_GATE_LUFS]
    if not len(kept):
        return None
    relative = _mean_lufs(kept) + _RELATIVE_GATE_LU
    return _mean_lufs(kept[kept > relative])


def _mean_lufs(levels: NDArray[np.float64]) -> float:
    """Mean of the blocks' power; the formula's -0.691 cancels out."""
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))
