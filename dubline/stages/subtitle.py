"""subtitle: cues of the target, the source and both, as SRT and WebVTT."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dubline.models import Cue, Frozen, Line, Placement, Span, Timeline, Transcript, Utterance
from dubline.subtitles import CueSource, make_cues

_FPS = 25.0  # of a picture whose rate is not known, or of none


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
        pauses = _pauses(place, timeline.sample_rate_hz)
        speaker = line.utterance.speaker
        target.append(CueSource(text=line.text, start_s=start_s, end_s=end_s, pauses=pauses, speaker=speaker))
        second.append(line.utterance.text)
    utterances = [line.utterance for line in lines]
    frame_rate = fps or _FPS
    return CueSets(
        target=tuple(make_cues(target, media_duration_s=duration_s, fps=frame_rate, language=target_language)),
        source=source_cues(utterances, language=transcript.language, duration_s=duration_s, fps=fps),
        bilingual=tuple(
            make_cues(target, media_duration_s=duration_s, fps=frame_rate, language=target_language, second=second)
        ),
    )


def _pauses(place: Placement, rate_hz: int) -> tuple[tuple[float, Span], ...]:
    """Silence laid between the phrases of a line, with the share of the line's speech before it."""
    spoken = [part.length_samples * part.stretch for part in place.parts]
    return tuple(
        (
            sum(spoken[:number]) / sum(spoken),
            Span(start_s=(before.start_sample + before.length_samples) / rate_hz, end_s=after.start_sample / rate_hz),
        )
        for number, (before, after) in enumerate(pairwise(place.parts), 1)
    )


def source_cues(utterances: Sequence[Utterance], *, language: str, duration_s: float, fps: float) -> tuple[Cue, ...]:
    """Cues of what is said in the source, when it is said. `fps` 0 means unknown."""
    rows = [CueSource(text=u.text, start_s=u.start_s, end_s=u.end_s, speaker=u.speaker) for u in utterances]
    return tuple(make_cues(rows, media_duration_s=duration_s, fps=fps or _FPS, language=language))
