"""The lines of a result with a person's edits in them, and what it would take to render those. Makes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from api.problems import Problem
from dubline.contract import JobResult
from dubline.models import ArtifactRef, DubOptions, Line, LineEdit, Lines
from dubline.stages.texts import TranscriptDocument, TranslationDocument, TranslationRow
from dubline.storage.base import ArtifactStore
from dubline.timing.edits import apply_edits
from dubline.timing.forecast import Forecast, foresee, learn_rate, shorter_text

_ALWAYS = "publish"
_IN_PARTS = frozenset({"mix", "mux", "preview", "report"})
_LEAST_SHARE = 0.3  # of what these took for the whole, when one line of a 4 minute talk was changed (`make bench-edit`)


class Segment(BaseModel):
    """A line. Times in seconds; `start_s` … `slot_s` are of the source, `spoken_*` of the result rendered last.

    What is not known is null: `spoken_*` of a line that the result does not hold as it now stands, and all that belongs
    to a dub when the job is none.
    """

    id: str
    start_s: float
    end_s: float
    source_text: str
    text: str
    speaker: str | None = None
    voice: str | None = None
    edited: bool = False
    spoken_start_s: float | None = None
    spoken_end_s: float | None = None
    pace: float | None = None
    fits: bool | None = None
    estimated_s: float | None = None
    slot_s: float | None = None
    flags: list[str] = []
    words: list[dict[str, Any]] | None = None


class LineWarning(BaseModel):
    """A line that will not fit, and a shorter wording of the translator's when there is one that does."""

    id: str
    message: str
    proposal: str | None = None


class Plan(BaseModel):
    """What rendering would do. `seconds_expected` is work, without the wait for a worker."""

    stages_again: list[str]
    lines_again: list[str]
    seconds_expected: float
    warnings: list[LineWarning]


@dataclass(frozen=True)
class Made:
    """What the result rendered last consists of: the lines before any edit, those it was rendered with, as spoken.

    `base` is None for a result of a version that did not keep it; such lines can be read and not edited.
    """

    result: JobResult
    options: DubOptions
    base: tuple[Line, ...] | None
    rendered: tuple[Line, ...]
    rows: Mapping[str, TranslationRow]

    def lines(self, edits: Sequence[LineEdit], *, check_times: bool = False) -> tuple[Line, ...]:
        """The lines with these edits.

        Raises:
            InputError: an edit does not fit them.
            Problem: 409, when the result did not keep its lines.
        """
        if self.base is None:
            raise Problem(
                409,
                "This result did not keep what its lines were made of.",
                code="transcript_not_kept",
                hint="Create the job again; what its stages made is not made anew.",
            )
        return apply_edits(self.base, edits, media_s=self.result.media_s, check_times=check_times)


def read_made(store: ArtifactStore, result: JobResult, options: DubOptions, rendered_edits: Sequence[LineEdit]) -> Made:
    """Read a dub's lines.

    Raises:
        ArtifactMissing: a document of the result is gone.
    """
    refs = {a.name: a.ref for a in result.artifacts}
    document = TranslationDocument.model_validate_json(store.read_bytes(refs["translation_json"]))
    base: tuple[Line, ...] | None = None
    rendered: tuple[Line, ...] = ()
    if "lines_json" in refs:
        base = Lines.model_validate_json(store.read_bytes(refs["lines_json"])).rows
        rendered = apply_edits(base, rendered_edits, media_s=result.media_s)
    return Made(result, options, base, rendered, {row.id: row for row in document.rows})


def read_transcription(store: ArtifactStore, ref: ArtifactRef) -> list[Segment]:
    """The recognised segments of a job that does not dub."""
    document = TranscriptDocument.model_validate_json(store.read_bytes(ref))
    return [
        Segment(
            id=s.id,
            start_s=s.start_s,
            end_s=s.end_s,
            source_text=s.text,
            text=s.text,
            words=[w.model_dump(mode="json") for w in s.words],
        )
        for s in document.segments
    ]


def segments(made: Made, lines: Sequence[Line]) -> list[Segment]:
    """The lines as they now stand; where the result holds a line so, with when it is heard."""
    if made.base is None:
        return [_row_as_made(row) for row in made.rows.values()]
    base = {line.utterance.id: line for line in made.base}
    said = {line.utterance.id: (line.text, line.voice) for line in made.rendered}
    voices = own_voices(made)
    forecasts = _forecasts(made, lines)
    out: list[Segment] = []
    for line in lines:
        name, told = line.utterance.id, forecasts[line.utterance.id]
        row = made.rows[name] if said.get(name) == (line.text, line.voice) else None
        out.append(
            Segment(
                id=name,
                start_s=line.utterance.start_s,
                end_s=line.utterance.end_s,
                source_text=line.utterance.text,
                text=line.text,
                speaker=line.utterance.speaker,
                voice=line.voice or (row.voice if row else voices.get(line.utterance.speaker)),
                edited=name not in base or _content(line) != _content(base[name]),
                spoken_start_s=row.spoken_start_s if row else None,
                spoken_end_s=row.spoken_end_s if row else None,
                pace=round(told.pace, 4),
                fits=told.fits,
                estimated_s=round(told.natural_s, 3),
                slot_s=round(told.slot_s, 3),
                flags=list(line.flags),
            )
        )
    return out


def own_voices(made: Made) -> dict[str, str]:
    """The voice of each speaker's label: that of most lines which nobody gave another (a fallback speaks few)."""
    heard: dict[str, Counter[str]] = {}
    for line in made.rendered:
        row = made.rows[line.utterance.id]
        if not line.voice and row.voice:
            heard.setdefault(line.utterance.speaker, Counter())[row.voice] += 1
    return {speaker: voices.most_common(1)[0][0] for speaker, voices in heard.items()}


def make_plan(
    made: Made, lines: Sequence[Line], *, is_new: bool, is_spoken: Callable[[Line], bool], cores: int
) -> Plan:
    """What rendering these lines would do beside what the result has.

    Args:
        made: The result rendered last.
        lines: What is to be rendered.
        is_new: Whether these edits were never rendered; otherwise everything is there.
        is_spoken: Whether the store has a line's speech.
        cores: As many lines are spoken side by side.
    """
    said = {(line.text, line.voice) for line in made.rendered}
    fresh = [line for line in lines if (line.text, line.voice) not in said]
    again = [line for line in fresh if is_new and not is_spoken(line)]
    stages = ["synthesize"] if again else []
    if is_new:
        if _contents(lines) != _contents(made.rendered):
            is_moved = [_sound(line) for line in lines] != [_sound(line) for line in made.rendered]
            stages += ["fit", *(["mix"] if is_moved else []), "subtitle", "mux", "preview"]
        stages.append("report")
    stages.append(_ALWAYS)
    before, after = _forecasts(made, made.rendered), _forecasts(made, lines)
    changed = {line.utterance.id for line in fresh}
    rate = _rate(made)
    by_id = {line.utterance.id: line for line in made.base or ()}
    warnings: list[LineWarning] = []
    for line in lines:
        name = line.utterance.id
        told = after[name]
        if not told.fits and (name in changed or name not in before or before[name].fits):
            others = (*line.candidates, *((by_id[name].text,) if name in by_id else ()))
            proposal = shorter_text(line, others, told, rate) or None
            warnings.append(LineWarning(id=name, message=told.message, proposal=proposal))
    return Plan(
        stages_again=stages,
        lines_again=[line.utterance.id for line in again],
        seconds_expected=_seconds(made, stages, again, cores),
        warnings=warnings,
    )


def _row_as_made(row: TranslationRow) -> Segment:
    return Segment(
        id=row.id,
        start_s=row.start_s,
        end_s=row.end_s,
        source_text=row.source,
        text=row.text,
        speaker=row.speaker,
        voice=row.voice,
        spoken_start_s=row.spoken_start_s,
        spoken_end_s=row.spoken_end_s,
        pace=row.stretch,
        flags=list(row.flags),
    )


def _content(line: Line) -> tuple[Any, ...]:
    said = line.utterance
    return line.text, line.voice, said.text, said.start_s, said.end_s


def _contents(lines: Sequence[Line]) -> list[tuple[Any, ...]]:
    return [(line.utterance.id, *_content(line)) for line in lines]


def _sound(line: Line) -> tuple[Any, ...]:
    said = line.utterance
    return line.text, line.voice, said.start_s, said.end_s, said.slot_end_s


def _naturals(made: Made) -> dict[tuple[str, str], float]:
    """Seconds of every text that the result speaks, by text and voice asked for."""
    out: dict[tuple[str, str], float] = {}
    for line in made.rendered:
        seconds = made.rows[line.utterance.id].natural_s
        if seconds is not None:
            out[line.text, line.voice] = seconds
    return out


def _rate(made: Made):
    return learn_rate([(text, seconds) for (text, _), seconds in _naturals(made).items()])


def _forecasts(made: Made, lines: Sequence[Line]) -> dict[str, Forecast]:
    known = _naturals(made)
    natural_s = {line.utterance.id: known[line.text, line.voice] for line in lines if (line.text, line.voice) in known}
    return foresee(lines, natural_s, _rate(made), media_s=made.result.media_s, profile=made.options.profile)


def _seconds(made: Made, stages: Sequence[str], again: Sequence[Line], cores: int) -> float:
    """What the job's own stages took, and for the lines what its lines took on the average for a character.

    Of what a whole dub took, an edit takes a share: parts of the sound that stay are not made again.
    """
    spent: dict[str, float] = {}
    spoken = [row for row in made.result.stats if row.stage == "synthesize" and row.made]
    for row in made.result.stats:
        spent[row.stage] = spent.get(row.stage, 0.0) + row.seconds
    chars, all_chars = (sum(len(line.text) for line in lines) for lines in (again, made.rendered))
    is_whole = made.result.revision == 0
    if is_whole:
        share = min(1.0, _LEAST_SHARE + (1 - _LEAST_SHARE) * chars / max(1, all_chars))
        spent |= {stage: share * spent[stage] for stage in _IN_PARTS & spent.keys()}
    beside = min(spent.get("preview", 0.0), spent.get("report", 0.0)) if {"preview", "report"} <= set(stages) else 0.0
    total_s = sum(spent.get(stage, 0.0) for stage in stages if stage != "synthesize") - beside
    if spoken and all_chars:
        mean_chars = all_chars / len(made.rendered)
        side_by_side = min(len(spoken), cores) if is_whole else 1
        total_s += (
            chars / mean_chars * sum(row.seconds for row in spoken) / sum(row.made for row in spoken) / side_by_side
        )
    else:  # nothing of this job was ever spoken by it: as long as it will sound
        rate = _rate(made)
        total_s += sum(rate.seconds(line.text) for line in again)
    return round(total_s, 2)
