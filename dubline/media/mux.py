"""The finished file: the picture as it was, the dub as default track, subtitles, one lossy encode in all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dubline.cancel import STOP, StopToken
from dubline.errors import EngineUnavailable, MediaError
from dubline.languages import iso639_3
from dubline.media import aac, argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.media.timeline import anchors
from dubline.models import MediaInfo, StreamInfo

# What players expect in MP4 and ffmpeg writes there; anything else goes into Matroska, which holds all.
_MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "vvc", "mpeg2video", "mpeg1video"})
_MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac", "mp2"})
_SUBTITLE_FORMATS = "srt"
_BURN_RATIO = 25.0
_MISSING_GLYPHS = 3
_COPY_BYTES_PER_S = 10_000_000

Container = Literal["mp4", "mkv", "m4a"]


@dataclass(frozen=True)
class SubtitleTrack:
    """An SRT file of ours and its language (BCP 47)."""

    path: Path
    language: str


@dataclass(frozen=True)
class Muxed:
    """The written file, its suffix (`mp4`, `mkv` or `m4a`), and whether the picture was copied bit for bit.

    `track` is the dub as it was encoded, where that was done in parts.
    """

    path: Path
    suffix: str
    media_type: str
    video_copied: bool
    track: aac.AacTrack | None = None


def choose_container(info: MediaInfo, *, is_video_copied: bool, original_codec: str | None) -> Container:
    """Where the tracks fit: MP4 when players take all of them in it, else Matroska; M4A for sound alone."""
    video = info.video
    fits_sound = original_codec is None or original_codec in _MP4_AUDIO
    if not fits_sound or (video is not None and is_video_copied and video.codec not in _MP4_VIDEO):
        return "mkv"
    return "m4a" if video is None else "mp4"


def mux(
    source: Path,
    info: MediaInfo,
    audio: Path,
    *,
    work_dir: Path,
    target_language: str,
    subtitles: Sequence[SubtitleTrack] = (),
    burn: Path | None = None,
    original_audio_index: int | None = None,
    original_language: str | None = None,
    length_s: float | None = None,
    threads: int = 1,
    kept: aac.KeptParts | None = None,
    stop: StopToken = STOP,
    on_progress: Callable[[float], None] | None = None,
) -> Muxed:
    """Write the dub into `work_dir`.

    Args:
        source: The file the picture comes from; copied bit for bit unless subtitles are burned in.
        info: What `probe` said of it.
        audio: The dub as PCM, from the media's time zero; encoded to AAC here, at its own rate and length.
        work_dir: Where the result lies.
        target_language: Language of the dub, BCP 47.
        subtitles: Tracks to embed; the first is the default one.
        burn: SRT file to draw into the picture, which is then encoded anew.
        original_audio_index: Stream of the source that is kept as second track.
        original_language: Its language, BCP 47.
        length_s: Only that much from the start; None: all.
        threads: Cores that may be used for encoding the dub.
        kept: Parts of an earlier track of this dub.
        stop: Polled while ffmpeg runs.
        on_progress: Gets the media seconds written.

    Raises:
        MediaError: ffmpeg could not do it, in Matroska either.
        EngineUnavailable: `fonts_missing`, when subtitles to be burned in cannot be drawn.
        StorageFull: the disk is full.
        Cancelled: somebody asked to stop.
    """
    burn = burn if info.video is not None else None
    original = info.stream(original_audio_index) if original_audio_index is not None else None
    first = choose_container(
        info, is_video_copied=burn is None, original_codec=original.codec if original is not None else None
    )
    track = None
    if first != "mkv":  # which says how much of a copied track comes before its beginning only if it was encoded there
        track = aac.encode_in_parts(
            audio,
            threads=threads,
            length_s=length_s,
            work_dir=work_dir,
            deadline_s=120 + info.duration_s,
            kept=kept,
            stop=stop,
            on_progress=on_progress if burn is None else None,
        )
    plan = _Plan(
        source, info, audio, track, target_language, tuple(subtitles), burn, original, original_language, length_s
    )
    if track is not None and burn is None:
        on_progress = None  # what is left takes no time worth telling
    try:
        return plan.write(first, work_dir, stop, on_progress)
    except MediaError as error:
        if first == "mkv" or error.code != "media_failed" or info.video is None:
            raise
        return plan.write("mkv", work_dir, stop, on_progress)


@dataclass(frozen=True)
class _Plan:
    source: Path
    info: MediaInfo
    audio: Path
    track: aac.AacTrack | None
    target_language: str
    subtitles: tuple[SubtitleTrack, ...]
    burn: Path | None
    original: StreamInfo | None
    original_language: str | None
    length_s: float | None

    def write(
        self, container: Container, work_dir: Path, stop: StopToken, on_progress: Callable[[float], None] | None
    ) -> Muxed:
        with Scratch(work_dir) as scratch:
            picture = argv.source(scratch.link(self.source), **self._part())
            streams, options = self._tracks(scratch, picture, container)
            used = {s.index for s in (self.info.video, self.original) if s is not None}
            name = f"out0.{container}"
            if container == "mkv":
                out = argv.sink(streams, name, "matroska", **options)
            else:
                out = argv.sink(streams, name, "mp4", movflags="+faststart", **options)
            done = run_ffmpeg(
                argv.arguments(out, *(anchors(self.info, picture, used) if used else [])),
                deadline_s=self._deadline_s(),
                cwd=scratch.path,
                stop=stop,
                on_progress=on_progress,
            )
            if self.burn is not None:
                _check_drawn(done.stderr_tail)
            path = scratch.move(name, work_dir / f"dubbed.{container}")
        kinds = {"mkv": "video/x-matroska", "mp4": "video/mp4", "m4a": "audio/mp4"}
        copied = self.info.video is not None and self.burn is None
        return Muxed(path=path, suffix=container, media_type=kinds[container], video_copied=copied, track=self.track)

    def _tracks(self, scratch: Scratch, picture: Any, container: Container) -> tuple[list[Any], dict[str, Any]]:
        video = self.info.video
        streams: list[Any] = []
        options: dict[str, Any] = {"disposition:a:0": "default"}
        if self.track is not None and container != "mkv":
            dub = self.track.source(scratch)
            options |= self.track.copied
        else:
            dub = argv.source(scratch.link(self.audio), is_timed=False, **self._part())
            options |= aac.OPTIONS
        if video is not None and self.burn is not None:
            (scratch.path / "burn.srt").write_bytes(self.burn.read_bytes())
            streams.append(_burned(picture[str(video.index)]))
            options |= {"c:v": "libx264", "crf": 18, "preset": "fast", "fps_mode": "vfr"}
        elif video is not None:
            streams.append(picture[str(video.index)])
            options |= {"c:v": "copy", **_video_tag(video, container)}
        if video is not None:
            options["disposition:v:0"] = "default"
        streams.append(dub["a:0"])
        options["metadata:s:a:0"] = f"language={iso639_3(self.target_language)}"
        if self.original is not None:
            streams.append(picture[str(self.original.index)])
            spoken = self.original_language or self.original.language
            options |= {"c:a:1": "copy", "disposition:a:1": "original"}
            options["metadata:s:a:1"] = f"language={iso639_3(spoken) if spoken else 'und'}"
        if container != "m4a":
            for number, track in enumerate(self.subtitles):
                name = scratch.link(track.path, ".srt")
                streams.append(argv.source(name, formats=_SUBTITLE_FORMATS, is_timed=False, format="srt")["s:0"])
                options[f"metadata:s:s:{number}"] = f"language={iso639_3(track.language)}"
                options[f"disposition:s:{number}"] = "default" if number == 0 else "0"
            if self.subtitles:
                options["c:s"] = "srt" if container == "mkv" else "mov_text"
        return streams, options

    def _part(self) -> dict[str, Any]:
        return {} if self.length_s is None else {"t": f"{self.length_s:.3f}"}

    def _deadline_s(self) -> float:
        copying = 120 + self.info.duration_s + self.info.size_bytes / _COPY_BYTES_PER_S
        return copying + (self.info.duration_s * _BURN_RATIO if self.burn is not None else 0.0)


def _video_tag(video: StreamInfo, container: Container) -> dict[str, Any]:
    """`hvc1` is the only HEVC tag that Apple's players take."""
    return {"tag:v": "hvc1"} if video.codec == "hevc" and container == "mp4" else {}


def _burned(picture: Any) -> Any:
    """Subtitles drawn in; x264 and players want even sizes and 8 bits."""
    drawn = picture.filter("subtitles", filename="burn.srt")
    return drawn.filter("scale", "trunc(iw/2)*2", "trunc(ih/2)*2").filter("format", "yuv420p")


def _check_drawn(log: str) -> None:
    """Refuse a picture in which the subtitles could not be drawn: libass leaves out what no font holds, and goes on.

    Raises:
        EngineUnavailable: `fonts_missing`.
    """
    missing = set(re.findall(r"failed to find any fallback with glyph (0x[0-9A-Fa-f]+)", log))
    if "0x0" in missing or len(missing) > _MISSING_GLYPHS:
        raise EngineUnavailable(
            "No font on this machine can draw these subtitles.",
            code="fonts_missing",
            hint="Install a font for the language, such as fonts-dejavu or fonts-noto-cjk, or embed the subtitles.",
        )


def stream_hash(
    path: Path,
    kind: Literal["video", "audio"],
    *,
    index: int | None = None,
    media_s: float = 3600.0,
    work_dir: Path | None = None,
    stop: StopToken = STOP,
) -> str:
    """SHA-256 over a stream's packets, undecoded: equal when a copy is bit for bit.

    H.264 and HEVC are hashed in one form, without parameter sets and delimiters: containers keep those in different
    places, the coded pictures are the same.

    Args:
        path: The file.
        kind: Kind of the stream.
        index: Number among the streams of its kind; when absent the first one, covers not counted as video.
        media_s: Length of the media, for the deadline.
        work_dir: Where the run may make a folder of its own.
        stop: Polled while ffmpeg runs.

    Raises:
        MediaError: there is no such stream, or the file is broken.
    """
    choice = f"{kind[0]}:{index}" if index is not None else {"video": "V:0", "audio": "a:0"}[kind]
    last: MediaError | None = None
    with Scratch(work_dir) as scratch:
        taken = argv.source(scratch.link(path))[choice]
        for form in _FORMS if kind == "video" else _FORMS[-1:]:
            out = argv.to_stdout([taken], "streamhash", c="copy", hash="sha256", **form)
            try:
                run = argv.arguments(out)
                done = run_ffmpeg(run, deadline_s=60 + media_s, cwd=scratch.path, capture_stdout=True, stop=stop)
            except MediaError as error:
                last = error
                continue
            found = re.search(rb"SHA256=([0-9a-f]{64})", done.stdout)
            if found is not None:
                return found[1].decode()
    raise last or MediaError("This stream could not be read.", code="media_failed")


_FORMS: tuple[dict[str, str], ...] = (
    {"bsf": "h264_mp4toannexb,filter_units=remove_types=7-9"},
    {"bsf": "hevc_mp4toannexb,filter_units=remove_types=32-35"},
    {},
)
