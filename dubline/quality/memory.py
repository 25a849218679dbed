"""What listening found, kept from one render of a dub to the next: only lines that changed are listened to again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from pydantic import Field

from dubline.models import ArtifactRef, EngineChoice, Frozen, Line, Spoken, Timeline
from dubline.quality.listen import LineHeard

_MOST = 2000
_WAY = 2  # of listening: what was counted in another way is not mixed with what is counted now


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
