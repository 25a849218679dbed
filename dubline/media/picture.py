"""The moving picture of the sample clip."""

from __future__ import annotations

from pathlib import Path

import ffmpeg

from dubline.media import argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch


def make_clip(audio: Path, seconds: float, target: Path, *, work_dir: Path) -> None:
    """Write an MP4 of slowly moving colours with the wave of the given sound over it, and the sound itself.

    Raises:
        MediaError: the sound cannot be decoded.
    """
    with Scratch(work_dir) as scratch:
        colours = argv.pattern(f"gradients=size=640x360:rate=25:speed=0.02:nb_colors=4:seed=7:duration={seconds:.3f}")
        sound = argv.source(scratch.link(audio), is_timed=False)["a:0"].filter_multi_output("asplit", 2)
        waves = sound[1].filter("showwaves", size="640x90", rate=25, mode="cline", colors="white@0.8")
        frames = ffmpeg.overlay(colours, waves.filter("format", "rgba"), x=0, y=250, eof_action="pass")
        clip = argv.sink(
            [frames.filter("format", "yuv420p"), sound[0]],
            "out0.mp4",
            "mp4",
            vcodec="libx264",
            preset="veryfast",
            crf=26,
            acodec="aac",
            movflags="+faststart",
            t=f"{seconds:.3f}",
        )
        run_ffmpeg(argv.arguments(clip), deadline_s=60 + 5 * seconds, cwd=scratch.path)
        scratch.move("out0.mp4", target)
