"""The finished container: its streams, the picture's packets, and the subtitles' rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dubline.errors import MediaError
from dubline.languages import from_tag
from dubline.media.mux import stream_hash
from dubline.models import Cue, MediaInfo, StreamInfo
from dubline.quality.models import Container, SubtitleBreak, TrackReport
from dubline.subtitles import rule_breaks

_SHOWN_BREAKS = 10
_FRAMED_ANEW = frozenset({"mpegts", "mpeg", "avi", "asf", "flv"})
_HASHED_IN_ONE_FORM = frozenset({"h264", "hevc"})


def track(stream: StreamInfo) -> TrackReport:
    """A stream as the report shows it."""
    if stream.kind == "video":
        size = f"{stream.width}x{stream.height}, {stream.fps:g} fps"
    elif stream.kind == "audio":
        size = f"{stream.sample_rate_hz} Hz, {stream.channel_layout or f'{stream.channels} channels'}"
    else:
        size = ""
    return TrackReport(
        kind=stream.kind,
        codec=stream.codec,
        language=from_tag(stream.language),
        is_default=stream.is_default,
        duration_s=round(stream.duration_s, 3),
        size=size,
    )


def compare_picture(
    source: Path,
    source_media: MediaInfo,
    output: Path,
    output_media: MediaInfo,
    *,
    is_copied: bool,
    work_dir: Path,
) -> tuple[bool | None, str]:
    """Whether the packets of the picture are the source's own, by hash; None, with the reason, if unknown."""
    if source_media.video is None:
        return None, "The source has no moving picture."
    if not is_copied:
        return None, "The picture was encoded anew."
    if output_media.video is None:
        return False, "The result has no moving picture."
    try:
        before = stream_hash(source, "video", index=_place(source_media), work_dir=work_dir)
        after = stream_hash(output, "video", index=_place(output_media), work_dir=work_dir)
    except MediaError as error:
        return None, f"The picture's packets could not be read: {error.message}"
    if before == after:
        return True, ""
    if source_media.video.codec not in _HASHED_IN_ONE_FORM and _FRAMED_ANEW & set(source_media.container.split(",")):
        return None, "The source's container frames packets in another way, so copied packets differ in their bytes."
    return False, "The picture's packets are not those of the source."


def _place(media: MediaInfo) -> int:
    """Number of the moving picture among the video streams, covers included."""
    rows = [s.index for s in media.streams if s.kind == "video"]
    return rows.index(media.video.index) if media.video is not None else 0


def measure_container(
    output_media: MediaInfo,
    picture: tuple[bool | None, str],
    cues: Sequence[tuple[str, str, Sequence[Cue]]],
    *,
    fps: float,
    media_s: float,
) -> Container:
    """Streams and subtitle rules. `cues` holds (`target` or `source`, language, cues)."""
    counts: Counter[str] = Counter()
    away_s = [
        abs(c.start_s - c.spoken_s)
        for name, _, rows in cues
        for c in rows
        if name == "target" and c.spoken_s is not None
    ]
    shown: list[SubtitleBreak] = []
    for name, language, rows in cues:
        for found in rule_breaks(rows, fps=fps, language=language, media_duration_s=media_s):
            counts[found.rule] += 1
            cue = rows[found.cue]
            if len(shown) < _SHOWN_BREAKS:
                side = "target" if name == "target" else "source"
                shown.append(SubtitleBreak(track=side, rule=found.rule, start_s=cue.start_s, text=cue.text))
    return Container(
        container=output_media.container,
        streams=tuple(track(s) for s in output_media.streams),
        video_stream_hash_equal=picture[0],
        video_stream_hash_reason=picture[1],
        subtitle_cues=sum(len(rows) for _, _, rows in cues),
        subtitle_rule_breaks=dict(sorted(counts.items())),
        subtitle_breaks=tuple(shown),
        subtitle_distance_s=round(float(np.percentile(away_s, 90)), 3) if away_s else None,
    )
