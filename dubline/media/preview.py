"""Cheap things to look at: thumbnails, a short clip, the waveform's peaks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from dubline.cancel import STOP, StopToken
from dubline.errors import MediaError
from dubline.media import argv, boxes
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.models import MediaInfo

_SIDE = 480
_CLIP_S = 10.0
_PEAKS = 800
_SHARES = (0.1, 0.5, 0.9)
_CHEAP_PIXELS = 5e8  # to decode in all: about a second on one core
_KEY_FRAMES_S = 60.0  # longer media are sure to hold several
_DEADLINE_S = 180.0


@dataclass(frozen=True)
class Item:
    """One file to show: its name, its suffix (no leading dot) and where it lies."""

    name: str
    suffix: str
    path: Path
    media_type: str


@dataclass(frozen=True)
class Look:
    """What the picture alone gives: thumbnails, and a clip without sound that begins at `clip_at_s`."""

    thumbnails: list[Item]
    clip: Path | None = None
    clip_at_s: float = 0.0


def look(video: Path, info: MediaInfo, *, work_dir: Path, stop: StopToken = STOP) -> Look:
    """Three thumbnails (one of a single picture) and a silent clip of 10 s, when the picture can be decoded.

    Args:
        video: The file to look at.
        info: What `probe` said of it.
        work_dir: Where the files lie.
        stop: Polled while ffmpeg runs.

    Raises:
        MediaError: ffmpeg was ended, or took too long.
        Cancelled: somebody asked to stop.
    """
    if info.video is None or not info.video.is_decodable:
        return Look([])
    with Scratch(work_dir) as scratch:
        name = scratch.link(video)
        shown = list(dict.fromkeys(_frame_at_s(info, share) for share in _SHARES))
        clip_at_s = round(_clip_at_s(info), 3)
        seen = _taken(scratch, name, info, shown, clip_at_s, work_dir, stop)
        if seen.clip is not None and seen.thumbnails:
            return seen
        # Nothing comes of media that cannot be sought in, or that begin late: their beginning is shown.
        reach_s = min(_CLIP_S - 1.0, info.video.duration_s)
        near = list(dict.fromkeys(round(share * reach_s, 3) for share in _SHARES))
        return _taken(scratch, name, info, near, None, work_dir, stop)


def _taken(
    scratch: Scratch,
    name: str,
    info: MediaInfo,
    shown: Sequence[float],
    clip_at_s: float | None,
    work_dir: Path,
    stop: StopToken,
) -> Look:
    """Thumbnails of the times `shown`, and the clip at its time; None seeks nothing, and takes the beginning."""
    is_sought = clip_at_s is not None
    outputs = [_thumbnail(name, info, number, at_s, is_sought=is_sought) for number, at_s in enumerate(shown, 1)]
    outputs.append(_clip(name, info, clip_at_s) if is_sought else _first_clip(name, info))
    try:
        # One process for all: each input seeks to its own place.
        run_ffmpeg(argv.arguments(*outputs), deadline_s=_DEADLINE_S, cwd=scratch.path, stop=stop)
    except MediaError as error:
        # It fails when one of them is empty. No look is worth a job: what is there is shown.
        if error.code != "media_failed" or error.retryable:
            raise
    thumbnails: list[Item] = []
    for number in range(1, len(shown) + 1):
        file = f"thumbnail{number}.jpg"
        if _has_content(scratch.path / file):
            thumbnails.append(Item(f"thumbnail{number}", file, scratch.move(file, work_dir / file), "image/jpeg"))
    clip = scratch.move("look.mp4", work_dir / "look.mp4") if _has_track(scratch.path / "look.mp4") else None
    return Look(thumbnails, clip, clip_at_s or 0.0)


def listen(audio: Path, clip: Path | None, clip_at_s: float, *, work_dir: Path, stop: StopToken = STOP) -> list[Item]:
    """The waveform's peaks, and the clip of `look` with its sound.

    Args:
        audio: The sound as PCM, on the picture's timeline.
        clip: The silent clip, when there is one.
        clip_at_s: Where it begins.
        work_dir: Where the files lie.
        stop: Polled while ffmpeg runs.

    Raises:
        MediaError: ffmpeg could not put them together.
        Cancelled: somebody asked to stop.
    """
    peaks = work_dir / "peaks.json"
    peaks.write_text(json.dumps(waveform(audio)))
    items = [Item("peaks", "peaks.json", peaks, "application/json")]
    if clip is None:
        return items
    with Scratch(work_dir) as scratch:
        sound = argv.source(scratch.link(audio), is_timed=False, ss=f"{clip_at_s:.3f}", t=_CLIP_S)
        streams = [argv.source(scratch.link(clip))["v:0"], sound["a:0"]]
        encoding = {"c:v": "copy", "c:a": "aac", "b:a": "96k", "aac_coder": "fast"}
        both = argv.sink(streams, "clip.mp4", "mp4", ac=2, movflags="+faststart", **encoding)
        run_ffmpeg(argv.arguments(both), deadline_s=_DEADLINE_S, cwd=scratch.path, stop=stop)
        path = scratch.move("clip.mp4", work_dir / "clip.mp4")
    return [*items, Item("clip", "clip.mp4", path, "video/mp4")]


def waveform(audio: Path, count: int = _PEAKS) -> list[float]:
    """Peak (0 … 1) of each of at most `count` equal parts of a 16-bit sound file, over all channels."""
    peaks: list[float] = []
    with soundfile.SoundFile(str(audio)) as file:
        size = max(1, -(-file.frames // count))
        while len(block := file.read(size, dtype="int16", always_2d=True)):
            peaks.append(round(max(int(block.max()), -int(block.min())) / 32768, 3))
    return peaks


def _frame_at_s(info: MediaInfo, share: float) -> float:
    """A time at which a frame is shown, to the millisecond."""
    video = info.video
    frame_s = 1.5 / video.fps if video is not None and video.fps > 0 else 0.0
    return round(max(0.0, _shown_s(info) - frame_s) * share, 3)


def _thumbnail(name: str, info: MediaInfo, number: int, at_s: float, *, is_sought: bool) -> Any:
    if not is_sought:
        frames = _beginning(name, info, at_s, None)
    elif _is_cheap(info):
        frames = argv.picture_source(name, ss=f"{at_s:.3f}")[_picture(info)]
    else:
        # The key frame before is there at once; the frame itself may need all frames since then. Its time is before
        # the one asked for, which would have it dropped.
        seek = argv.picture_source(name, ss=f"{at_s:.3f}", noaccurate_seek=None)
        frames = seek[_picture(info)].filter("setpts", "PTS-STARTPTS")
    return argv.sink([_small(frames)], f"thumbnail{number}.jpg", "mjpeg", vframes=1, pix_fmt="yuvj420p", **{"q:v": 4})


def _clip_at_s(info: MediaInfo) -> float:
    if not _is_cheap(info) and info.duration_s < _KEY_FRAMES_S:
        return 0.0  # a short clip may hold one key frame only, and all up to the start would be decoded
    return max(0.0, min(_shown_s(info) * 0.25, _shown_s(info) - _CLIP_S))


def _clip(name: str, info: MediaInfo, at_s: float) -> Any:
    seek: dict[str, Any] = {"ss": f"{at_s:.3f}"} if at_s > 0 else {}  # FLV, sought at its beginning, gives nothing
    return _encoded(argv.picture_source(name, t=_CLIP_S, **seek)[_picture(info)])


def _first_clip(name: str, info: MediaInfo) -> Any:
    return _encoded(_beginning(name, info, 0.0, _CLIP_S))


def _beginning(name: str, info: MediaInfo, from_s: float, length_s: float | None) -> Any:
    """The picture's first seconds, counted from its own first frame; read from the start of the file."""
    late_s = max(0.0, info.video.start_s) if info.video is not None else 0.0
    whole = argv.picture_source(name, t=f"{late_s + _CLIP_S:.3f}")[_picture(info)]
    limit = {"duration": f"{length_s:.3f}"} if length_s is not None else {}
    return whole.filter("trim", start=f"{late_s + from_s:.3f}", **limit).filter("setpts", "PTS-STARTPTS")


def _encoded(frames: Any) -> Any:
    encoding = {"vcodec": "libx264", "preset": "veryfast", "crf": 27}
    return argv.sink([_small(frames).filter("format", "yuv420p")], "look.mp4", "mp4", **encoding)


def _is_cheap(info: MediaInfo) -> bool:
    video = info.video
    return video is not None and video.width * video.height * video.fps * info.duration_s < _CHEAP_PIXELS


def _shown_s(info: MediaInfo) -> float:
    """How long the picture lasts, from the media's start."""
    video = info.video
    return min(info.duration_s, video.start_s + video.duration_s) if video is not None else info.duration_s


def _picture(info: MediaInfo) -> str:
    return str(info.video.index) if info.video is not None else "v:0"


def _small(frames: Any) -> Any:
    """Square pixels, even sides, the longer one at most 480 pixels; nothing is enlarged."""
    square = frames.filter("scale", "trunc(iw*max(sar,1)/2)*2", "trunc(ih/min(1,max(sar,0.05))/2)*2")
    factor = f"min(1,{_SIDE}/max(iw,ih))"
    small = square.filter("scale", f"max(2,trunc(iw*{factor}/2)*2)", f"max(2,trunc(ih*{factor}/2)*2)")
    return small.filter("setsar", "1")


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _has_track(path: Path) -> bool:
    """Whether an MP4 holds anything: ffmpeg writes one without a track where no picture came."""
    if not _has_content(path):
        return False
    with path.open("rb") as file:
        return bool(boxes.read(file, path.stat().st_size).tracks)
