"""Changes the pace of many short files with their pitch kept, few processes for all of them, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubline.cancel import STOP, StopToken
from dubline.media import argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch

_MOST_JOBS, _FEW_JOBS = 32, 4  # of one run of ffmpeg; fewer do not pay for another
_SLOWEST, _FASTEST = 0.5, 100.0
_DEADLINE_S = 120.0


@dataclass(frozen=True)
class StretchJob:
    """One file to write.

    Attributes:
        path: Input.
        ratio: Pace; > 1 is faster, exactly 1 only resamples.
        target: Output.
        first: First sample of the input that is taken.
        end: Where it ends, in samples of the input; None: at its end.
    """

    path: Path
    ratio: float
    target: Path
    first: int = 0
    end: int | None = None


def stretch_many(
    jobs: Sequence[StretchJob],
    rate_hz: int,
    *,
    threads: int = 1,
    work_dir: Path,
    stop: StopToken = STOP,
) -> None:
    """Write every input at its pace as raw mono float32 (little endian) at `rate_hz`.

    Args:
        jobs: What to read, how fast to make it and where to write it.
        rate_hz: Rate of all outputs.
        threads: Runs of ffmpeg side by side.
        work_dir: Where the runs may make folders of their own.
        stop: Polled while ffmpeg runs.

    Raises:
        ValueError: a ratio is outside 0.25 … 100.
        MediaError: an input cannot be decoded.
        Cancelled: somebody asked to stop.
    """
    count = max(-(-len(jobs) // _MOST_JOBS), min(threads, len(jobs) // _FEW_JOBS), 1)
    batches = [jobs[first::count] for first in range(count)]  # neighbours in different runs: all take about as long
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda batch: _stretch(batch, rate_hz, work_dir, stop), batches):
            pass


def _stretch(jobs: Sequence[StretchJob], rate_hz: int, work_dir: Path, stop: StopToken) -> None:
    with Scratch(work_dir) as scratch:
        outputs = []
        for number, job in enumerate(jobs):
            sound = argv.source(scratch.link(job.path), is_timed=False)["a:0"]
            if job.first or job.end is not None:
                until = {} if job.end is None else {"end_sample": job.end}
                sound = sound.filter("atrim", start_sample=job.first, **until)
            sound = _paced(sound, job.ratio).filter("aresample", rate_hz, ochl="mono", osf="flt")
            outputs.append(argv.sink([sound], f"out{number}.f32", "f32le", acodec="pcm_f32le", ac=1, ar=rate_hz))
        if outputs:
            run_ffmpeg(argv.arguments(*outputs), deadline_s=_DEADLINE_S, cwd=scratch.path, stop=stop)
        for number, job in enumerate(jobs):
            scratch.move(f"out{number}.f32", job.target)


def _paced(sound: Any, ratio: float) -> Any:
    """`atempo` for the whole ratio; two of them below its lower limit."""
    if not _SLOWEST**2 <= ratio <= _FASTEST:
        raise ValueError("ratio must be between 0.25 and 100")
    if ratio == 1.0:
        return sound
    if ratio < _SLOWEST:
        sound, ratio = sound.filter("atempo", _SLOWEST), ratio / _SLOWEST
    return sound.filter("atempo", f"{ratio:.9f}")
