"""Reads a container inside a confined process: demuxes all of it, decodes next to nothing, answers in JSON.

Started by `dubline.media.probe` with the file on descriptor 0 and the limits as one JSON argument.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dubline.media import boxes
from dubline.media.launcher import confine

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

_PATH = "file:/dev/fd/0"
_DECODE_TRIES = 24
_MOST_DISCARDED = 2000  # a cut without encoding keeps what lies before, up to a key frame: of it nothing is decoded
_LONGEST_AUDIO_PACKET_S = 2.0
_LONGEST_FRAME_S = 6 * 3600.0
_LONG_FRAME_S = 1.5
_ROUNDING_S = 0.1
_ENCRYPTED_TAGS = frozenset({"encv", "enca"})
_ENCRYPTED = "This video is encrypted (DRM) and cannot be read."
_HEAD_BYTES = 1 << 20
_STREAM_KINDS = {"video", "audio", "subtitle", "data", "attachment"}


class Refusal(Exception):
    """Why the file is not taken, in the words of `dubline.errors.InputError`."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message, "details": details}


@dataclass
class _Track:
    """What the packets of one stream said. Times in seconds, raw."""

    packets: int = 0
    timed: int = 0
    first_s: float = float("inf")
    last_s: float = float("-inf")
    end_s: float = float("-inf")
    last_length_s: float = 0.0
    packets_s: float = 0.0
    tries: int = 0
    discarded: int = 0
    is_decoded: bool = False


def main() -> None:
    """Confine, read, answer; a refusal is an answer too."""
    limits = json.loads(sys.argv[1])
    confine(
        memory_bytes=limits["memory_bytes"],
        cpu_s=limits["cpu_s"],
        file_bytes=0,
        parent_pid=limits["parent_pid"],
    )
    try:
        answer = {"media": read(_PATH, limits)}
    except Refusal as refusal:
        answer = {"refusal": refusal.body}
    except MemoryError:
        body = Refusal("media_limits", "This file needs more memory to be read than it may take.", limit="memory").body
        answer = {"refusal": body}
    sys.stdout.write(json.dumps(answer))


def read(path: str, limits: dict[str, Any]) -> dict[str, Any]:
    """Fields of `MediaInfo` for the file.

    Raises:
        Refusal: it cannot be read or is over a limit.
        MemoryError: it asks for too much memory.
    """
    import av
    import av.error

    options = {
        "protocol_whitelist": "file",
        "format_whitelist": limits["formats"],
        "max_pixels": str(limits["max_pixels"]),
        "threads": "1",
    }
    try:
        container = av.open(path, options=options)
    except av.error.MemoryError as error:
        raise MemoryError from error
    except (av.error.FFmpegError, ValueError, UnicodeError) as error:
        if _names_encryption():
            raise Refusal("media_encrypted", _ENCRYPTED) from error
        raise Refusal("media_unreadable", "This file is damaged, cut off or not a video at all.") from error
    with container:
        _check_header(container, limits)
        if "mp4" in container.format.name:
            _check_boxes(limits)
        tracks = _demux(container)
        return _describe(container, tracks, limits)


def _names_encryption() -> bool:
    """Whether the head of a file that would not open holds the boxes of ISO/IEC 23001-7 (common encryption)."""
    with open(0, "rb", closefd=False) as file:
        head = file.read(_HEAD_BYTES)
    return b"sinf" in head and b"schm" in head and (b"encv" in head or b"enca" in head)


def _check_header(container: InputContainer, limits: dict[str, Any]) -> None:
    if len(container.streams) > limits["max_streams"]:
        raise _over("streams", len(container.streams), limits["max_streams"])
    for stream in container.streams:
        if stream.type == "attachment" and _leaves_folder(stream.metadata.get("filename", "")):
            raise Refusal("media_unsupported", "An attachment of this file has a name that leads to another folder.")
        context = stream.codec_context
        if context is None:
            continue
        if context.codec_tag in _ENCRYPTED_TAGS:
            raise Refusal("media_encrypted", _ENCRYPTED)
        if stream.type == "video":
            # A context of this kind of stream; types know the common part alone.
            pixels = (context.width or 0) * (context.height or 0)  # type: ignore[attr-defined]
            if pixels > limits["max_pixels"]:
                raise _over("pixels", pixels, limits["max_pixels"])


def _leaves_folder(name: str) -> bool:
    return "/" in name or "\\" in name or name in {".", ".."}


def _check_boxes(limits: dict[str, Any]) -> None:
    """Hold an MP4's own claims against the limits, though the demuxer would go by the packets."""
    at = os.lseek(0, 0, os.SEEK_CUR)
    try:
        with open(0, "rb", closefd=False) as file:
            claims = boxes.read(file, limits["size_bytes"])
    except boxes.TooManyBoxes as error:
        raise _over("boxes", boxes.MAX_BOXES + 1, boxes.MAX_BOXES) from error
    finally:
        os.lseek(0, at, os.SEEK_SET)  # some systems share it with the demuxer
    if any(t.is_external for t in claims.tracks):
        raise Refusal("media_unsupported", "This file refers to another file.")
    if claims.tracks and claims.carries_file:
        raise Refusal("media_unsupported", "This file carries another file along.")
    for track in claims.tracks:
        if track.handler == "vide" and track.pixels > limits["max_pixels"]:
            raise _over("pixels", track.pixels, limits["max_pixels"])
        # One sample alone may take no time: a still, or a cover.
        if track.handler in {"vide", "soun"} and (track.timescale == 0 or (track.samples > 1 and not track.has_ticks)):
            raise Refusal("media_unreadable", "The clock of a track in this file does not run.")
    if claims.movie_s is not None and claims.movie_s > limits["max_duration_s"]:
        raise _over("duration_s", round(claims.movie_s, 1), limits["max_duration_s"])


def _over(limit: str, value: float, most: float) -> Refusal:
    words = {
        "streams": "This file has more tracks than are allowed.",
        "pixels": "The picture of this video is larger than is allowed.",
        "fps": "The frame rate of this video is higher than is allowed.",
        "duration_s": "This video is longer than is allowed.",
        "boxes": "This file is made of more parts than are allowed.",
    }
    return Refusal("media_limits", words[limit], limit=limit, value=value, max=most)


def _demux(container: InputContainer) -> dict[int, _Track]:
    import av.error

    tracks = {stream.index: _Track() for stream in container.streams}
    try:
        for packet in container.demux():
            if packet.size <= 0 and packet.pts is None and packet.dts is None:
                continue  # the flush mark at the end of a stream
            stream = packet.stream
            track = tracks.setdefault(stream.index, _Track())
            track.packets += 1
            _time(packet, stream.type == "audio", track)
            if stream.type == "audio" and not track.is_decoded and track.tries < _DECODE_TRIES:
                _try_decode(packet, track)
    except av.error.MemoryError as error:
        raise MemoryError from error
    except av.error.FFmpegError as error:
        if not any(t.packets for t in tracks.values()):
            raise Refusal("media_unreadable", "This file is damaged: nothing in it can be read.") from error
        raise Refusal("media_unreadable", "This file is damaged or cut off in the middle.") from error
    return tracks


def _time(packet: Any, is_audio: bool, track: _Track) -> None:
    base = packet.time_base
    unit_s = float(base) if base else 0.0
    length_s = max(0.0, (packet.duration or 0) * unit_s)
    if is_audio:
        length_s = min(length_s, _LONGEST_AUDIO_PACKET_S)
    track.packets_s += min(length_s, _LONGEST_FRAME_S)
    ticks = packet.pts if packet.pts is not None else packet.dts
    if ticks is None:
        return
    track.timed += 1
    if packet.is_discard:
        return  # before the first edit: decoded for its successors, never shown
    at_s = ticks * unit_s
    track.first_s = min(track.first_s, at_s)
    if at_s >= track.last_s:
        track.last_s, track.last_length_s = at_s, min(length_s, _LONGEST_FRAME_S)
    track.end_s = max(track.end_s, at_s + min(length_s, _LONGEST_FRAME_S))


def _try_decode(packet: Any, track: _Track) -> None:
    import av.error

    if packet.is_discard and track.discarded < _MOST_DISCARDED:
        track.discarded += 1
    else:
        track.tries += 1
    try:
        track.is_decoded = bool(packet.decode())
    except (av.error.FFmpegError, ValueError):
        return  # the next packets may do better; the count of tries is bounded


def _describe(container: InputContainer, tracks: dict[int, _Track], limits: dict[str, Any]) -> dict[str, Any]:
    _check_whole(container, tracks, limits["size_bytes"])
    zero_s = _zero(container, tracks)
    rows = [_stream(stream, tracks[stream.index], zero_s) for stream in container.streams]
    shown = [r for r in rows if r["kind"] in ("video", "audio") and not r["is_attached_picture"] and r["packets"]]
    if not shown:
        raise Refusal("media_unreadable", "This file holds no sound and no picture.")
    _bound_last_frames(shown, tracks)
    duration_s = max(r["start_s"] + r["duration_s"] for r in shown)
    if duration_s > limits["max_duration_s"]:
        raise _over("duration_s", round(duration_s, 1), limits["max_duration_s"])
    for row in shown:
        # Frames in the whole are what costs; a short burst in a slow video does not matter.
        rate = row["packets"] / max(1.0, duration_s)
        if row["kind"] == "video" and rate > limits["max_fps"]:
            raise _over("fps", round(rate, 1), limits["max_fps"])
    return {
        "container": container.format.name,
        "size_bytes": limits["size_bytes"],
        "duration_s": round(duration_s, 6),
        "start_s": round(zero_s, 6),
        "streams": rows,
    }


def _bound_last_frames(shown: list[dict[str, Any]], tracks: dict[int, _Track]) -> None:
    """A picture that stands for long at the end stands as long as the sound: its own length is easily forged."""
    sound_s = max((r["start_s"] + r["duration_s"] for r in shown if r["kind"] == "audio"), default=0.0)
    for row in shown:
        last_s = tracks[row["index"]].last_length_s
        if row["kind"] == "video" and last_s > _LONG_FRAME_S:
            end_s = row["start_s"] + row["duration_s"]
            row["duration_s"] = max(min(end_s, sound_s), end_s - last_s + _LONG_FRAME_S) - row["start_s"]


def _check_whole(container: InputContainer, tracks: dict[int, _Track], size_bytes: int) -> None:
    """Refuse an MP4 whose index points beyond the file's end; other containers may rightly stop anywhere."""
    if not any(t.packets for t in tracks.values()):
        raise Refusal("media_unreadable", "This file holds no sound and no picture.")
    if "mp4" not in container.format.name:
        return
    for stream in container.streams:
        entries = getattr(stream, "index_entries", None)
        if stream.type not in ("video", "audio") or entries is None or tracks[stream.index].packets >= len(entries):
            continue
        missing = sum(1 for e in entries if e.pos + e.size > size_bytes)
        if missing > 1:
            raise Refusal("media_unreadable", "This file is cut off: part of it is missing.", missing_packets=missing)


def _zero(container: InputContainer, tracks: dict[int, _Track]) -> float:
    """Raw time that a player shows as 0:00, in seconds; ffmpeg shifts its inputs by the same."""
    if container.start_time is not None and abs(container.start_time) < 1 << 60:
        return container.start_time / 1e6
    starts = [tracks[s.index].first_s for s in container.streams if s.type in ("video", "audio")]
    return min((s for s in starts if s != float("inf")), default=0.0)


def _stream(stream: Stream, track: _Track, zero_s: float) -> dict[str, Any]:
    import av.stream

    context = stream.codec_context
    unit_s = float(stream.time_base) if stream.time_base else 0.0
    kind = stream.type if stream.type in _STREAM_KINDS else "data"
    row: dict[str, Any] = {
        "index": stream.index,
        "kind": kind,
        "codec": context.codec.canonical_name if context is not None else "unknown",
        "language": _language(stream.metadata.get("language")),
        "is_default": bool(stream.disposition & av.stream.Disposition.default),
        "is_attached_picture": bool(
            stream.disposition & (av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails)
        ),
        "packets": track.packets,
        "has_timestamps": track.timed > 0,
        "fps": 0.0,
        "is_decodable": context is not None,
    }
    start_s, length_s = _span(stream, track, unit_s)
    row["start_s"] = round(max(0.0, start_s - zero_s), 6) if track.timed else 0.0
    # What lies before zero (the decoder's run-in) is not shown.
    row["duration_s"] = round(max(0.0, length_s + min(0.0, start_s - zero_s)), 6) if track.timed else length_s
    if kind == "video" and context is not None:
        _video(stream, context, track, row)
    if kind == "audio":
        row["is_decodable"] = track.is_decoded
        if context is not None:  # that of a sound, as above
            row["sample_rate_hz"] = context.sample_rate or 0  # type: ignore[attr-defined]
            row["channels"] = context.layout.nb_channels  # type: ignore[attr-defined]
            row["channel_layout"] = context.layout.name  # type: ignore[attr-defined]
    return row


def _span(stream: Stream, track: _Track, unit_s: float) -> tuple[float, float]:
    """Start and length in raw seconds. The header is believed where it agrees with the packets to a frame."""
    if not track.timed or track.first_s == float("inf"):
        return 0.0, track.packets_s
    start_s, end_s = track.first_s, track.end_s
    told_s = stream.start_time * unit_s if stream.start_time is not None else start_s
    if abs(told_s - start_s) < _ROUNDING_S:
        start_s = told_s  # knows the encoder's delay, which packets do not
    if stream.duration is not None and abs(start_s + stream.duration * unit_s - end_s) < _ROUNDING_S:
        end_s = start_s + stream.duration * unit_s
    return start_s, max(0.0, end_s - start_s)


def _video(stream: Any, context: Any, track: _Track, row: dict[str, Any]) -> None:
    row["width"], row["height"] = context.width or 0, context.height or 0
    row["pixel_format"] = context.pix_fmt or ""
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    span_s = track.last_s - track.first_s if track.timed > 1 else 0.0
    measured = (track.timed - 1) / span_s if span_s > 0 else 0.0
    row["fps"] = round(rate if 0 < rate < 1000 and (not measured or rate < 2 * measured) else measured, 4)
    if not track.timed:
        row["duration_s"] = round(track.packets / rate, 6) if rate else track.packets_s


def _language(tag: str | None) -> str | None:
    text = (tag or "").strip()
    return text if text.isascii() and text.replace("-", "").isalnum() and len(text) <= 35 and text != "und" else None


if __name__ == "__main__":
    main()
