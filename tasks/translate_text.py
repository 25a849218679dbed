"""translate: utterances into lines of the target language; a person's edits come after, and are cheap."""

from __future__ import annotations

from dubline.errors import InputError
from dubline.models import ArtifactRef, EngineChoice, Frozen, Line, LineEdit
from dubline.stages.translate import apply_edits, translate
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, save, stage_task
from tasks._progress import TRACKER
from tasks.segment_speech import Utterances


class Lines(Frozen):
    rows: tuple[Line, ...]


class TranslateRequest(StageRequest):
    utterances: ArtifactRef
    source: str
    target: str
    glossary: dict[str, str]
    choice: EngineChoice | None


class LinesResult(StageResult):
    lines: ArtifactRef
    characters: int


@stage_task("translate", 1, name="translate text")
def translate_text(request: TranslateRequest) -> LinesResult:
    """Sentence by sentence, checked; one line for each utterance."""
    utterances = load(request.utterances, Utterances).rows
    if request.choice is None:
        return _result(())
    with engine(request.choice) as mt:
        rows = translate(
            utterances,
            mt,
            source=request.source,
            target=request.target,
            glossary=request.glossary,
            on_progress=lambda share: TRACKER.set("translate", share, "Translating"),
        )
    return _result(rows)


class EditRequest(StageRequest):
    lines: ArtifactRef
    edits: tuple[LineEdit, ...]


@stage_task("translate", 1, name="apply edits")
def apply_line_edits(request: EditRequest) -> LinesResult:
    """Put a person's words in.

    Raises:
        InputError: `line_unknown`, when an edit names a line that is not there.
    """
    rows = load(request.lines, Lines).rows
    known = {r.utterance.id for r in rows}
    strangers = [e.utterance_id for e in request.edits if e.utterance_id not in known]
    if strangers:
        raise InputError(
            f"No line is called {strangers[0]}.",
            code="line_unknown",
            hint="Line ids stand in the report.",
            details={"lines": sorted(known)},
        )
    return _result(apply_edits(rows, request.edits))


def _result(rows: tuple[Line, ...]) -> LinesResult:
    return LinesResult(lines=save(Lines(rows=rows)), characters=sum(len(r.text) for r in rows))
