"""subtitle: cues of the target, the source and both, as SRT and WebVTT."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from dubline.models import Cue, Frozen, Line, Placement, Span, Timeline, Transcript, Utterance, Word
from dubline.subtitles import CueSource, make_cues

_LIKE_ITS_WORDS = 0.2  # of its letters may an edited text differ and still be timed by what was recognised
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
        source=source_cues(utterances, transcript, duration_s=duration_s, fps=fps),
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


def source_cues(
    utterances: Sequence[Utterance], transcript: Transcript, *, duration_s: float, fps: float
) -> tuple[Cue, ...]:
    """Cues of what is said in the source, when it is said. `fps` 0 means unknown."""
    words = sorted((w for w in transcript.words if w.text.strip()), key=_middle_s)
    rows: list[CueSource] = []
    for row in utterances:
        own = words[bisect_left(words, row.start_s, key=_middle_s) : bisect_right(words, row.end_s, key=_middle_s)]
        pauses = _between_words(row.text, own)
        rows.append(CueSource(text=row.text, start_s=row.start_s, end_s=row.end_s, pauses=pauses, speaker=row.speaker))
    return tuple(make_cues(rows, media_duration_s=duration_s, fps=fps or _FPS, language=transcript.language))


def _middle_s(word: Word) -> float:
    return (word.start_s + word.end_s) / 2


def _between_words(text: str, words: Sequence[Word]) -> tuple[tuple[float, Span], ...]:
    """The time between each two words of a text, with the share of its letters before it.

    Empty where the text is no longer what was recognised.
    """
    lengths = [len(w.text.strip()) + 1 for w in words]
    total = sum(lengths) - 1
    if not words or abs(total - len(text)) > _LIKE_ITS_WORDS * len(text):
        return ()
    before = accumulate(lengths)
    return tuple(
        ((letters - 0.5) / total, Span(start_s=a.end_s, end_s=max(a.end_s, b.start_s)))
        for letters, (a, b) in zip(before, pairwise(words), strict=False)
    )
