"""What judging a dub found, kept from one of its renders to the next: only what changed is judged again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from pydantic import Field

from dubline.engines.base import MtEngine, MtResult
from dubline.models import ArtifactRef, EngineChoice, Frozen, Line, Spoken, Timeline
from dubline.quality.listen import LineHeard

_MOST = 2000
_WAY = 3  # of listening: what was heard in another is heard anew
_MOST_SENTENCES = 5000


class HeardBefore(Frozen):
    """Counts by a line's mark, the newest last."""

    rows: dict[str, LineHeard] = Field(default_factory=dict)

    def of(self, marks: Mapping[str, str]) -> dict[str, LineHeard]:
        """What is known of lines, by id, given their marks."""
        return {name: self.rows[mark] for name, mark in marks.items() if mark in self.rows}

    def with_heard(self, marks: Mapping[str, str], heard: Mapping[str, LineHeard]) -> HeardBefore:
        """With what was heard now; the oldest go when there are too many."""
        added = {marks[name]: row for name, row in heard.items() if name in marks}
        rows = {**{k: v for k, v in self.rows.items() if k not in added}, **added}
        return HeardBefore(rows=dict(list(rows.items())[-_MOST:]))


def record_name(bed: ArtifactRef, language: str, listener: EngineChoice) -> str:
    """Where the memory of one source, language and recogniser is kept."""
    parts = [bed.sha256, language, listener.engine, listener.version, listener.fingerprint, _WAY]
    return f"heard/{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.json"


def line_marks(
    lines: Sequence[Line], spoken: Sequence[Spoken], timeline: Timeline, background: Sequence[str]
) -> dict[str, str]:
    """A mark for each line that can be heard: the same only where text, sound, place, pace and background are.

    The level of all lines together is not part of it: it moves by tenths of a decibel when one of them changes.
    """
    texts = {line.utterance.id: line.text for line in lines}
    sounds = {s.utterance_id: s.audio.sha256 for s in spoken if s.audio is not None}
    out: dict[str, str] = {}
    for place in timeline.placements:
        name = place.utterance_id
        if name in sounds and place.length_samples > 0:
            laid = [p.model_dump() for p in place.parts]
            parts = [texts[name], sounds[name], laid, *background]
            out[name] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return out


class TranslatedBefore(Frozen):
    """Sentences of the dub translated back, the newest last."""

    rows: dict[str, str] = Field(default_factory=dict)


class RememberingMt:
    """Translates what is not remembered, by an engine that is loaded for no less."""

    def __init__(self, load: Callable[[], MtEngine], known: TranslatedBefore) -> None:
        self._load = load
        self._rows = dict(known.rows)
        self.learnt = False

    @property
    def rows(self) -> TranslatedBefore:
        """What is remembered now; the oldest go when there are too many."""
        return TranslatedBefore(rows=dict(list(self._rows.items())[-_MOST_SENTENCES:]))

    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        """As the engine does, for one pair of languages."""
        unknown = [s for s in dict.fromkeys(sentences) if s not in self._rows]
        if unknown:
            results = self._load().translate(unknown, source=source, target=target)
            self._rows |= {s: r.text for s, r in zip(unknown, results, strict=True)}
            self.learnt = True
        return [MtResult(candidates=(self._rows[s],)) for s in sentences]

    def close(self) -> None:
        """Nothing: whoever loaded the engine lets go of it."""


def back_record_name(base: ArtifactRef, reverse: EngineChoice, languages: tuple[str, str]) -> str:
    """Where the sentences of one translation and of its edits are kept, as one engine translates them back."""
    parts = [base.sha256, reverse.engine, reverse.model, reverse.version, reverse.fingerprint, *languages]
    return f"back/{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.json"
