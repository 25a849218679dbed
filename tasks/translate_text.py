"""translate: utterances into lines of the target language; a person's edits come after, and are cheap."""

from __future__ import annotations

from dubline.models import ArtifactRef, EngineChoice, Line, LineEdit, Lines
from dubline.stages.translate import translate
from dubline.timing.edits import apply_edits
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, save, stage_task
from tasks._progress import TRACKER
from tasks.segment_speech import Utterances


class TranslateRequest(StageRequest):
    utterances: ArtifactRef
    source: str
    target: str
    glossary: dict[str, str]
    choice: EngineChoice | None


class LinesResult(StageResult):
    lines: ArtifactRef


@stage_task("translate", 4, name="translate text")
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
    media_s: float


class EditResult(LinesResult):
    utterances: ArtifactRef


@stage_task("translate", 2, name="apply edits")
def apply_line_edits(request: EditRequest) -> EditResult:
    """Put a person's edits in: they change what is said, and which lines there are.

    Raises:
        InputError: `line_unknown` or `edit_invalid`.
    """
    rows = apply_edits(load(request.lines, Lines).rows, request.edits, media_s=request.media_s)
    utterances = save(Utterances(rows=tuple(r.utterance for r in rows)))
    return EditResult(**_result(rows).model_dump(), utterances=utterances)


def _result(rows: tuple[Line, ...]) -> LinesResult:
    return LinesResult(lines=save(Lines(rows=rows)))
