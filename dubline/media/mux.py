"""The finished file: the picture as it was, the dub as default track, subtitles, language tags."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubline.errors import MediaError
from dubline.languages import iso639_3
from dubline.media import argv
from dubline.media.runner import deadline_s, run
from dubline.models import MediaInfo, StreamInfo

MP4_VIDEO = frozenset(
    {"h264", "hevc", "vvc", "av1", "libdav1d", "vp9", "libvpx-vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "vc1"}
)
MP4_AUDIO = frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "opus", "libopus", "alac", "flac", "mp2", "mp2float"})
_BITRATE = "192k"
_HASH = re.compile(rb"SHA256=([0-9a-f]{64})")
_VIDEO_TYPES = {"mp4": "video/mp4", "mkv": "video/x-matroska", "m4a": "audio/mp4"}


@dataclass(frozen=True)
class SubtitleTrack:
    path: Path
    language: str


@dataclass(frozen=True)
class Muxed:
    """The file, its suffix (`mp4`, `mkv` or `m4a`), and whether the picture was copied bit for bit."""

    path: Path
    suffix: str
    media_type: str
    video_copied: bool


def mux(
    source: Path,
    media: MediaInfo,
    audio: Path,
    *,
    work_dir: Path,
    target_language: str,
    subtitles: Sequence[SubtitleTrack] = (),
    burn: Path | None = None,
    original_audio_index: int | None = None,
    original_language: str = "und",
    on_progress: Callable[[float], None] | None = None,
) -> Muxed:
    """Write the dub. MP4 where it can hold the picture, else MKV; sound alone becomes M4A.

    The picture is copied; only burned-in subtitles, or packets without any timestamp that no container takes,
    have it encoded anew. The sound is encoded once, to AAC, and nothing is cut to the shorter stream.

    Args:
        burn: An SRT file to draw into the picture.
        original_audio_index: Also keep this track of the source, second and not default.

    Raises:
        MediaError: nothing worked; `details["tail"]` holds ffmpeg's words.
    """
    video = media.video
    if video is None:
        attempts = [("m4a", False)]
    elif burn is not None:
        attempts = [("mp4", True)]
    else:
        holds = video.codec in MP4_VIDEO and (
            original_audio_index is None or media.stream(original_audio_index).codec in MP4_AUDIO
        )
        attempts = [*([("mp4", False)] if holds else []), ("mkv", False), ("mp4", True)]
    # Fixed names in our own folder: a filter graph must never hold a path that somebody else chose.
    tracks = [SubtitleTrack(_at(t.path, work_dir / f"track{i}.srt"), t.language) for i, t in enumerate(subtitles)]
    if burn is not None:
        _at(burn, work_dir / "burn.srt")
    last: MediaError | None = None
    for suffix, encode in attempts:
        path = work_dir / f"dub.{suffix}"
        streams, options = _plan(
            source,
            media,
            video,
            audio,
            suffix,
            encode,
            burn is not None,
            tracks,
            target_language,
            original_audio_index,
            original_language,
        )
        node = argv.output(streams, path, **options)
        try:
            run(argv.command(node), folder=work_dir, deadline=deadline_s(media.duration_s), on_progress=on_progress)
        except MediaError as error:
            if error.code == "media_timeout":
                raise
            last = error
            continue
        return Muxed(
            path=path, suffix=suffix, media_type=_VIDEO_TYPES[suffix], video_copied=video is not None and not encode
        )
    assert last is not None
    raise last


def _at(path: Path, name: Path) -> Path:
    shutil.copyfile(path, name)
    return name


def _plan(
    source: Path,
    media: MediaInfo,
    video: StreamInfo | None,
    audio: Path,
    suffix: str,
    encode: bool,
    burned: bool,
    tracks: Sequence[SubtitleTrack],
    target_language: str,
    original: int | None,
    original_language: str,
) -> tuple[list[Any], dict[str, Any]]:
    """Streams and options of one attempt."""
    extra = {"fflags": "+genpts"} if video is not None and not video.has_timestamps else {}
    picture = argv.source(source, **extra)
    streams: list[Any] = []
    options: dict[str, Any] = {"acodec": "aac", "b:a:0": _BITRATE, "max_interleave_delta": 0}
    if video is not None:
        frames = picture[str(video.index)]
        if encode:
            if burned:
                frames = frames.filter("subtitles", "burn.srt")
            # Chroma at half size needs even sides; odd ones keep all of it.
            pixels = "yuv444p" if video.width % 2 or video.height % 2 else "yuv420p"
            options |= {"vcodec": "libx264", "crf": 18, "preset": "veryfast", "pix_fmt": pixels}
        else:
            options["vcodec"] = "copy"
        streams.append(frames)
    streams.append(argv.made(audio)["a:0"])
    options |= {"metadata:s:a:0": f"language={iso639_3(target_language)}", "disposition:a:0": "default"}
    if original is not None:
        streams.append(picture[str(original)])
        options |= {
            "c:a:1": "copy",
            "metadata:s:a:1": f"language={iso639_3(original_language)}",
            "disposition:a:1": 0,
        }
    for number, track in enumerate(tracks):
        streams.append(argv.made(track.path, format="srt")["s:0"])
        options |= {
            f"metadata:s:s:{number}": f"language={iso639_3(track.language)}",
            f"disposition:s:{number}": 0,
        }
    if tracks:
        options["scodec"] = "srt" if suffix == "mkv" else "mov_text"
    if suffix in ("mp4", "m4a"):
        options["movflags"] = "+faststart"
        options["format"] = "mp4" if suffix == "mp4" else "ipod"
    else:
        options["format"] = "matroska"
    return streams, options


def stream_hash(path: Path, kind: str, *, index: int = 0, media_s: float = 36_000.0) -> str:
    """SHA-256 over the packets of a stream as they lie in the file (`video` or `audio`, by number of its kind).

    Raises:
        MediaError: the stream cannot be read.
    """
    stream = argv.source(path)[f"{kind[0]}:{index}"]
    node = argv.output([stream], "-", format="streamhash", hash="sha256", codec="copy")
    done = run(argv.command(node, progress=False), folder=path.parent, deadline=deadline_s(media_s))
    match = _HASH.search(done.stdout)
    if match is None:
        raise MediaError("The stream holds nothing to hash.", code="media_failed")
    return match[1].decode()
