"""The moving picture of the sample clip."""

from __future__ import annotations

from pathlib import Path

import ffmpeg

from dubline.media import argv
from dubline.media.runner import deadline_s, run


def make_clip(audio: Path, seconds: float, target: Path, *, work_dir: Path) -> None:
    """A video of slowly moving colours with a running counter of waves over it, and the given sound."""
    size = "640x360"
    colours = ffmpeg.input(
        f"gradients=size={size}:rate=25:speed=0.02:nb_colors=4:seed=7:duration={seconds}", format="lavfi"
    )
    sound = argv.made(audio).audio
    waves = sound.filter_multi_output("asplit")
    drawn = (
        waves[1].filter("showwaves", size="640x90", rate=25, mode="cline", colors="white@0.8").filter("format", "rgba")
    )
    frames = ffmpeg.overlay(colours, drawn, x=0, y=250, eof_action="pass").filter("format", "yuv420p")
    node = argv.output(
        [frames, waves[0]],
        target,
        vcodec="libx264",
        preset="veryfast",
        crf=26,
        acodec="aac",
        movflags="+faststart",
        t=seconds,
    )
    run(argv.command(node, progress=False), folder=work_dir, deadline=deadline_s(seconds))
