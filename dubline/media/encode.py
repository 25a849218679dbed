"""One audio track as a file of its own: WAV, FLAC or MP3, on the media's timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dubline.cancel import STOP, StopToken
from dubline.media import argv
from dubline.media.extract import fitted, on_timeline
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.media.timeline import anchors
from dubline.models import MediaInfo

AudioFormat = Literal["wav", "mp3", "flac"]

_MP3_RATES_HZ = frozenset({8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000})
_USUAL_RATE_HZ = 48_000
_MOST_CHANNELS: dict[AudioFormat, int] = {"wav": 64, "flac": 8, "mp3": 2}
_OPTIONS: dict[AudioFormat, dict[str, Any]] = {
    "wav": {"acodec": "pcm_s16le", "rf64": "auto"},
    "flac": {"acodec": "flac", "sample_fmt": "s16"},
    "mp3": {"acodec": "libmp3lame", "q:a": 2},
}
_MEDIA_TYPES: dict[AudioFormat, str] = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg"}


@dataclass(frozen=True)
class Encoded:
    """The written file and its media type."""

    path: Path
    media_type: str


def encode_audio(
    source: Path,
    info: MediaInfo,
    audio_index: int,
    audio_format: AudioFormat,
    *,
    work_dir: Path,
    stop: StopToken = STOP,
    on_progress: Callable[[float], None] | None = None,
) -> Encoded:
    """Write a track into `work_dir`, from the media's time zero and as long as the media, to a sample.

    Rate and channels stay as they are where the format takes them; else they become 48 kHz and stereo. WAV and FLAC
    hold 16 bits; MP3 is of variable bit rate, about 190 kbit/s for stereo.

    Args:
        source: The file.
        info: What `probe` said of it.
        audio_index: Its stream to take.
        audio_format: Format of the result.
        work_dir: Where the result lies.
        stop: Polled while ffmpeg runs.
        on_progress: Gets the media seconds written.

    Raises:
        MediaError: the track cannot be decoded.
        StorageFull: the disk is full.
        Cancelled: somebody asked to stop.
    """
    track = info.stream(audio_index)
    rate_hz = track.sample_rate_hz
    if rate_hz <= 0 or (audio_format == "mp3" and rate_hz not in _MP3_RATES_HZ):
        rate_hz = _USUAL_RATE_HZ
    # In float the resampler mixes at full level: in whole numbers it turns many channels down to make room for the sum.
    layout = {"ochl": "stereo", "osf": "fltp"} if track.channels > _MOST_CHANNELS[audio_format] else {}
    name = f"out0.{audio_format}"
    with Scratch(work_dir) as scratch:
        container = argv.source(scratch.link(source))
        sound = on_timeline(container[str(audio_index)]).filter("aresample", rate_hz, **layout)
        sound = fitted(sound, round(info.duration_s * rate_hz))
        out = argv.sink([sound], name, audio_format, **_OPTIONS[audio_format])
        run_ffmpeg(
            argv.arguments(out, *anchors(info, container, {audio_index})),
            deadline_s=60 + info.duration_s,
            cwd=scratch.path,
            stop=stop,
            on_progress=on_progress,
        )
        path = scratch.move(name, work_dir / f"audio.{audio_format}")
    return Encoded(path=path, media_type=_MEDIA_TYPES[audio_format])
