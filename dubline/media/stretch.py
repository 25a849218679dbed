"""Changes the pace of many short files with their pitch kept, few processes for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dubline.cancel import STOP, StopToken
from dubline.media import argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch

_BATCH = 32
_SLOWEST, _FASTEST = 0.5, 100.0
_DEADLINE_S = 120.0


def stretch_many(
    jobs: Sequence[tuple[Path, float, Path]],
    rate_hz: int,
    *,
    work_dir: Path,
    stop: StopToken = STOP,
) -> None:
    """Write every input at its pace as raw mono float32 (little endian) at `rate_hz`.

    Args:
        jobs: Input file, ratio (> 1 is faster; exactly 1 only resamples) and output path.
        rate_hz: Rate of all outputs.
        work_dir: Where the run may make a folder of its own.
        stop: Polled while ffmpeg runs.

    Raises:
        ValueError: a ratio is outside 0.25 … 100.
        MediaError: an input cannot be decoded.
        Cancelled: somebody asked to stop.
    """
    for first in range(0, len(jobs), _BATCH):
        batch = jobs[first : first + _BATCH]
        with Scratch(work_dir) as scratch:
            outputs = []
            for number, (path, ratio, _) in enumerate(batch):
                sound = argv.source(scratch.link(path), is_timed=False)["a:0"]
                sound = _paced(sound, ratio).filter("aresample", rate_hz, ochl="mono", osf="flt")
                outputs.append(argv.sink([sound], f"out{number}.f32", "f32le", acodec="pcm_f32le", ac=1, ar=rate_hz))
            run_ffmpeg(argv.arguments(*outputs), deadline_s=_DEADLINE_S, cwd=scratch.path, stop=stop)
            for number, (_, _, target) in enumerate(batch):
                scratch.move(f"out{number}.f32", target)


def _paced(sound: Any, ratio: float) -> Any:
    """`atempo` for the whole ratio; two of them below its lower limit."""
    if not _SLOWEST**2 <= ratio <= _FASTEST:
        raise ValueError("ratio must be between 0.25 and 100")
    if ratio == 1.0:
        return sound
    if ratio < _SLOWEST:
        sound, ratio = sound.filter("atempo", _SLOWEST), ratio / _SLOWEST
    return sound.filter("atempo", f"{ratio:.9f}")
