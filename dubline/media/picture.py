"""The moving picture of the sample clip."""

from __future__ import annotations

from pathlib import Path

import ffmpeg

from dubline.media import argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch

# Named, since the filter's own are drawn by lot, and dark, since the wave is white.
_COLOURS = "nb_colors=4:c0=0x10243f:c1=0x1f5f6b:c2=0x5a2a63:c3=0x8a3b2e"


def make_clip(audio: Path, seconds: float, target: Path, *, work_dir: Path) -> None:
    """Write an MP4 of slowly moving colours with the wave of the given sound over it, and the sound itself.

    Raises:
        MediaError: the sound cannot be decoded.
    """
    with Scratch(work_dir) as scratch:
        colours = argv.pattern(f"gradients=size=640x360:rate=25:speed=0.02:{_COLOURS}:seed=7:duration={seconds:.3f}")
        sound = argv.source(scratch.link(audio), is_timed=False)["a:0"].filter_multi_output("asplit", 2)
        # Speech is far below full scale: on a linear one its wave would be a thread of a few pixels.
        waves = sound[1].filter(
            "showwaves", size="640x160", rate=25, mode="cline", scale="sqrt", draw="full", colors="white"
        )
        frames = ffmpeg.overlay(colours, waves.filter("format", "rgba"), x=0, y=180, eof_action="pass")
        clip = argv.sink(
            [frames.filter("format", "yuv420p"), sound[0]],
            "out0.mp4",
            "mp4",
            vcodec="libx264",
            preset="veryfast",
            crf=30,
            acodec="aac",
            movflags="+faststart",
            t=f"{seconds:.3f}",
        )
        run_ffmpeg(argv.arguments(clip), deadline_s=60 + 5 * seconds, cwd=scratch.path)
        scratch.move("out0.mp4", target)
