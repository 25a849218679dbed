"""Opens a container in a process of its own, under limits: demuxes everything, decodes a few packets of sound.

Reads the path and the limits as JSON from standard input, prints `MediaInfo` or `{"error": …}` as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

_DECODE_PACKETS = 24
_FAR_S = 400_000.0  # a time beyond this is a trick, not a video


class Refused(Exception):
    """Why the container is not let in: code and sentence."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message, "details": details}


def main() -> None:
    request = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_s"], request["cpu_s"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    import av
    import av.error
    import av.logging

    resource.setrlimit(resource.RLIMIT_AS, (request["memory_bytes"], request["memory_bytes"]))
    av.logging.set_level(None)
    try:
        answer = _probe(av, request)
    except Refused as refused:
        answer = {"error": refused.body}
    except (av.error.FFmpegError, ValueError, OverflowError, MemoryError, EOFError) as error:
        answer = {"error": {"code": "media_unreadable", "message": "", "details": {"kind": type(error).__name__}}}
    json.dump(answer, sys.stdout)


def _probe(av: Any, request: dict[str, Any]) -> dict[str, Any]:
    options = {"protocol_whitelist": "file", "format_whitelist": request["formats"], "max_streams": "64"}
    with av.open(f"file:{request['path']}", options=options) as container:
        limits = request["limits"]
        if len(container.streams) > limits["max_streams"]:
            raise Refused(
                "media_limits",
                f"The file holds {len(container.streams)} streams; {limits['max_streams']} are allowed.",
                limit="max_streams",
            )
        rows = [_describe(av, s, limits) for s in container.streams]
        start_s = container.start_time / 1e6 if container.start_time is not None else 0.0
        encrypted = "encrypted" in str(container.metadata).lower()
        _demux(av, container, rows, limits)
    for row in rows:
        row.pop("_packets", None)
        encrypted = encrypted or row.pop("_encrypted", False)
    timed = [r for r in rows if r["kind"] in ("video", "audio") and r["packets"] and not r["is_attached_picture"]]
    if encrypted:
        raise Refused("media_encrypted", "The file is protected (DRM) and cannot be opened.")
    if not timed:
        raise Refused("media_unreadable", "The file holds no picture and no sound that can be read.")
    known = [r for r in timed if r["has_timestamps"]]
    first_s = min((r["start_s"] for r in known), default=0.0)
    # What players call 0:00 is the demuxer's start; a start far from any packet is not believed.
    start_s = start_s if abs(start_s - first_s) < 1.0 else first_s
    end_s = max(r["start_s"] + r["duration_s"] for r in timed)
    duration_s = end_s - (start_s if known else 0.0)
    if not 0 <= duration_s < _FAR_S:
        raise Refused("media_unreadable", "The times in the file make no sense.")
    return {
        "container": container.format.name,
        "size_bytes": request["size_bytes"],
        "duration_s": round(duration_s, 6),
        "start_s": round(start_s, 6),
        "streams": rows,
    }


def _describe(av: Any, stream: Any, limits: dict[str, Any]) -> dict[str, Any]:
    """What the header says of a stream, checked against the limits before anything is decoded."""
    kind = stream.type if stream.type in ("video", "audio", "subtitle", "attachment") else "data"
    disposition = stream.disposition
    tag = getattr(stream.codec_context, "codec_tag", "") if stream.codec_context else ""
    row: dict[str, Any] = {
        "index": stream.index,
        "kind": kind,
        "codec": stream.codec_context.name if stream.codec_context else "unknown",
        "language": stream.metadata.get("language"),
        "is_default": bool(disposition & av.stream.Disposition.default),
        "is_attached_picture": bool(disposition & av.stream.Disposition.attached_pic),
        "is_decodable": stream.codec_context is not None,
        "start_s": 0.0,
        "duration_s": 0.0,
        "packets": 0,
        "has_timestamps": True,
        "_encrypted": str(tag) in ("encv", "enca"),
        "_packets": [],
    }
    if kind == "video" and stream.codec_context is not None:
        width, height = stream.codec_context.width, stream.codec_context.height
        fps = float(stream.average_rate or stream.base_rate or 0)
        if width * height > limits["max_pixels"]:
            raise Refused(
                "media_limits",
                f"The picture is {width} x {height}; {limits['max_pixels'] // 1_000_000} million pixels are allowed.",
                limit="max_pixels",
            )
        if fps > limits["max_fps"] and not row["is_attached_picture"]:
            fps = float(stream.guessed_rate or 0)
        row |= {
            "width": width,
            "height": height,
            "fps": round(min(fps, limits["max_fps"]), 4),
            "pixel_format": stream.codec_context.pix_fmt or "",
        }
    if kind == "audio" and stream.codec_context is not None:
        context = stream.codec_context
        rate, channels = context.sample_rate or 0, context.channels or 0
        if channels > 64 or rate > 768_000:
            raise Refused("media_limits", "The sound has more channels or a higher rate than is possible.", limit="audio")
        row |= {"sample_rate_hz": rate, "channels": channels, "channel_layout": context.layout.name if channels else ""}
    return row


def _demux(av: Any, container: Any, rows: list[dict[str, Any]], limits: dict[str, Any]) -> None:
    """Measure every stream from its packets: a header's word for the duration is not taken."""
    spans: dict[int, list[float]] = {}
    by_index = {r["index"]: r for r in rows}
    seen = 0
    try:
        for packet in container.demux():
            row = by_index.get(packet.stream.index)
            if row is None or packet.size == 0:
                continue
            seen += 1
            row["packets"] += 1
            time = packet.pts if packet.pts is not None else packet.dts
            base = float(packet.time_base or 0)
            length_s = float(packet.duration or 0) * base
            if time is None or base <= 0:
                row["has_timestamps"] = False
                row["duration_s"] += length_s
            else:
                at_s = float(time) * base
                span = spans.setdefault(row["index"], [at_s, at_s + length_s])
                span[0], span[1] = min(span[0], at_s), max(span[1], at_s + length_s)
                if span[1] - span[0] > limits["max_duration_s"] * 1.01 + 10 and span[1] - span[0] < _FAR_S:
                    raise Refused(
                        "media_limits",
                        f"The media is longer than {limits['max_duration_s'] / 3600:.1f} hours.",
                        limit="max_duration_s",
                    )
            if row["kind"] == "audio" and len(row["_packets"]) < _DECODE_PACKETS:
                row["_packets"].append(packet)
                if len(row["_packets"]) == _DECODE_PACKETS:
                    _try_decode(av, row)
    except av.error.FFmpegError:
        # A file cut short still plays to where it was cut; one that gave nothing is refused by the caller.
        if seen < 2:
            raise
    for row in rows:
        if row["kind"] == "audio" and 0 < row["packets"] < _DECODE_PACKETS:
            _try_decode(av, row)
        if row["index"] in spans and row["has_timestamps"]:
            low, high = spans[row["index"]]
            row["start_s"], row["duration_s"] = round(low, 6), round(high - low, 6)
        elif row["index"] in spans:
            low, high = spans[row["index"]]
            row["start_s"] = round(low, 6)
            row["duration_s"] = round(max(high - low, row["duration_s"]), 6)


def _try_decode(av: Any, row: dict[str, Any]) -> None:
    """Whether the sound can be decoded at all, from its first packets."""
    decoded = 0
    for packet in row["_packets"]:
        try:
            decoded += sum(f.samples for f in packet.decode())
        except (av.error.FFmpegError, ValueError):
            continue
    row["is_decodable"] = decoded > 0


if __name__ == "__main__":
    main()
