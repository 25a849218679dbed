"""A sound file at another rate."""

from __future__ import annotations

from pathlib import Path

import soundfile

from dubline.cancel import STOP, StopToken
from dubline.media import argv
from dubline.media.extract import fitted
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch


def resample_file(
    path: Path,
    output: Path,
    rate_hz: int,
    *,
    work_dir: Path,
    samples: int | None = None,
    stop: StopToken = STOP,
) -> None:
    """Write a 16-bit WAV of the same channels at `rate_hz`, in step with the original.

    Args:
        path: The file.
        output: The file to write.
        rate_hz: Its rate.
        work_dir: Folder for what is needed on the way.
        samples: Exact length of the result; that of the original when absent.
        stop: Polled while ffmpeg runs.

    Raises:
        MediaError: the file cannot be decoded.
        Cancelled: somebody asked to stop.
    """
    with soundfile.SoundFile(str(path)) as file:
        duration_s = file.frames / file.samplerate
    with Scratch(work_dir) as scratch:
        sound = argv.source(scratch.link(path))["a:0"].filter("aresample", rate_hz)
        sound = fitted(sound, samples if samples is not None else round(duration_s * rate_hz))
        target = argv.sink([sound], "out.wav", "wav", acodec="pcm_s16le", rf64="auto")
        run_ffmpeg(argv.arguments(target), deadline_s=60 + duration_s, cwd=scratch.path, stop=stop)
        scratch.move("out.wav", output)
