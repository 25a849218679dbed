"""Cheap things to look at: thumbnails, a short clip, the waveform's peaks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from dubline.media import argv
from dubline.media.runner import deadline_s, run
from dubline.models import MediaInfo

_SIDE = 480
_CLIP_S = 8.0
_PEAKS = 800


@dataclass(frozen=True)
class Item:
    name: str
    suffix: str
    path: Path
    media_type: str


def preview(video: Path, media: MediaInfo, audio: Path, *, work_dir: Path) -> list[Item]:
    """Peaks always; three thumbnails and a clip when there is a moving picture.

    Raises:
        MediaError: the picture cannot be decoded.
    """
    peaks = work_dir / "peaks.json"
    peaks.write_text(json.dumps(waveform(audio)))
    items = [Item("peaks", "peaks.json", peaks, "application/json")]
    if media.video is None:
        return items
    outputs = []
    for number, share in enumerate((0.1, 0.5, 0.9), 1):
        target = work_dir / f"thumbnail{number}.jpg"
        at_s = min(media.duration_s, media.video.duration_s or media.duration_s) * share
        frames = argv.source(video, ss=f"{at_s:.3f}")["v:0"].filter("scale", *_fit())
        outputs.append(argv.output([frames], target, format="mjpeg", vframes=1, **{"q:v": 4}))
        items.append(Item(f"thumbnail{number}", f"thumbnail{number}.jpg", target, "image/jpeg"))
    run(argv.command(argv.merge(*outputs), progress=False), folder=work_dir, deadline=deadline_s(media.duration_s))
    clip = work_dir / "clip.mp4"
    start_s = max(0.0, media.duration_s * 0.25 - _CLIP_S / 2)
    source = argv.source(video, ss=f"{start_s:.3f}", t=_CLIP_S)
    frames = source["v:0"].filter("scale", *_fit()).filter("format", "yuv420p")
    node = argv.output(
        [frames, source["a:0"]],
        clip,
        vcodec="libx264",
        preset="ultrafast",
        crf=28,
        acodec="aac",
        format="mp4",
        movflags="+faststart",
        **{"b:a": "96k"},
    )
    run(argv.command(node, progress=False), folder=work_dir, deadline=deadline_s(media.duration_s))
    items.append(Item("clip", "clip.mp4", clip, "video/mp4"))
    return [i for i in items if i.path.exists() and i.path.stat().st_size]


def _fit() -> tuple[str, str]:
    """Width and height, even, the longer one at most 480 pixels, nothing enlarged."""
    factor = f"min(1,{_SIDE}/max(iw,ih))"
    return f"max(2,trunc(iw*{factor}/2)*2)", f"max(2,trunc(ih*{factor}/2)*2)"


def waveform(audio: Path) -> list[float]:
    """Peak (0 … 1) of each of 800 equal parts of a sound file."""
    with soundfile.SoundFile(str(audio)) as file:
        size = max(1, -(-file.frames // _PEAKS))
        peaks = []
        while len(block := file.read(size, dtype="float32", always_2d=True)):
            peaks.append(round(float(np.abs(block).max()), 3))
    return peaks
