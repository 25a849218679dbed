"""subtitle: cues of the target, the source and both, as SRT and WebVTT."""

from __future__ import annotations

from collections.abc import Sequence

from dubline.models import Cue, Frozen, Line, Timeline, Transcript
from dubline.subtitles import CueSource, make_cues


class CueSets(Frozen):
    """Cues by what they hold."""

    target: tuple[Cue, ...]
    source: tuple[Cue, ...]
    bilingual: tuple[Cue, ...]


def build_cues(
    lines: Sequence[Line], timeline: Timeline, transcript: Transcript, *, target_language: str, fps: float
) -> CueSets:
    """Target cues follow the dub's own placement, source cues the speech of the source."""
    duration_s = timeline.total_samples / timeline.sample_rate_hz
    by_id = {p.utterance_id: p for p in timeline.placements}
    target: list[CueSource] = []
    second: list[str] = []
    for line in lines:
        place = by_id.get(line.utterance.id)
        if place is None or place.length_samples == 0:
            continue
        start_s = place.start_sample / timeline.sample_rate_hz
        end_s = start_s + place.length_samples / timeline.sample_rate_hz
        target.append(CueSource(text=line.text, start_s=start_s, end_s=end_s))
        second.append(line.utterance.text)
    source = [
        CueSource(text=line.utterance.text, start_s=line.utterance.start_s, end_s=line.utterance.end_s)
        for line in lines
    ]
    frame_rate = fps or 25.0
    return CueSets(
        target=tuple(make_cues(target, media_duration_s=duration_s, fps=frame_rate, language=target_language)),
        source=tuple(make_cues(source, media_duration_s=duration_s, fps=frame_rate, language=transcript.language)),
        bilingual=tuple(
            make_cues(target, media_duration_s=duration_s, fps=frame_rate, language=target_language, second=second)
        ),
    )
