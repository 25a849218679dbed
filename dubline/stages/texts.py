"""texts: what was said, and what it became, as JSON for programs and as plain text for people."""

from __future__ import annotations

from collections.abc import Sequence

from dubline.models import Frozen, Line, Spoken, Timeline, Transcript, Utterance, Word
from dubline.subtitles import clean


class TranscriptSegment(Frozen):
    """A run of words as recognised; times in seconds on the media's timeline."""

    id: str
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...]


class TranscriptDocument(Frozen):
    """`transcript_json`."""

    language: str
    duration_s: float
    segments: tuple[TranscriptSegment, ...]


class TranslationRow(Frozen):
    """One line of a dub; times in seconds are those of its source, `stretch` > 1 means faster than it was spoken.

    A line that is not heard (nothing in it can be spoken) has no `stretch` and no spoken times. `natural_s` is how long
    the voice took, before the pace was changed.
    """

    id: str
    start_s: float
    end_s: float
    source: str
    text: str
    speaker: str
    voice: str
    engine: str
    stretch: float | None
    flags: tuple[str, ...]
    spoken_start_s: float | None = None
    spoken_end_s: float | None = None
    natural_s: float | None = None


class TranslationDocument(Frozen):
    """`translation_json`."""

    source_language: str
    target_language: str
    rows: tuple[TranslationRow, ...]


def transcript_document(transcript: Transcript, *, language: str) -> TranscriptDocument:
    """The believed segments with their words; `language` is the one that the job settled on."""
    segments = tuple(
        TranscriptSegment(id=f"s{n}", start_s=s.start_s, end_s=s.end_s, text=clean(s.text), words=s.words)
        for n, s in enumerate(transcript.segments, 1)
    )
    return TranscriptDocument(language=language, duration_s=transcript.duration_s, segments=segments)


def transcript_text(utterances: Sequence[Utterance]) -> str:
    """One sentence or so a row."""
    return _rows([u.text for u in utterances])


def translation_document(
    lines: Sequence[Line],
    spoken: Sequence[Spoken],
    timeline: Timeline,
    *,
    source_language: str,
    target_language: str,
) -> TranslationDocument:
    """Every line with who spoke it and how fast."""
    voices = {s.utterance_id: s for s in spoken}
    places = {p.utterance_id: p for p in timeline.placements if p.length_samples > 0}
    rate_hz = timeline.sample_rate_hz
    rows: list[TranslationRow] = []
    for line in lines:
        said, voice, place = line.utterance, voices[line.utterance.id], places.get(line.utterance.id)
        rows.append(
            TranslationRow(
                id=said.id,
                start_s=said.start_s,
                end_s=said.end_s,
                source=said.text,
                text=line.text,
                speaker=said.speaker,
                voice=voice.voice,
                engine=voice.engine,
                stretch=place.stretch if place is not None else None,
                flags=line.flags,
                spoken_start_s=round(place.start_sample / rate_hz, 4) if place is not None else None,
                spoken_end_s=round((place.start_sample + place.length_samples) / rate_hz, 4) if place else None,
                natural_s=round(voice.duration_s, 4),
            )
        )
    return TranslationDocument(source_language=source_language, target_language=target_language, rows=tuple(rows))


def translation_text(lines: Sequence[Line]) -> str:
    """One line of the dub a row."""
    return _rows([line.text for line in lines])


def _rows(texts: Sequence[str]) -> str:
    return "".join(f"{row}\n" for row in map(clean, texts) if row)
