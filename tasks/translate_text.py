"""translate: utterances into lines of the target language; a person's edits come after, and are cheap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from dubline.engines.base import MtEngine, MtResult
from dubline.errors import EngineOutputInvalid
from dubline.models import ArtifactRef, EngineChoice, Line, LineEdit, Lines
from dubline.stages.translate import translate
from dubline.timing.edits import apply_edits
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, save, stage_task
from tasks._progress import TRACKER
from tasks.segment_speech import Utterances

_MOST_SENTENCES = 5000


class TranslateRequest(StageRequest):
    utterances: ArtifactRef
    source: str
    target: str
    glossary: dict[str, str]
    choice: EngineChoice | None


class LinesResult(StageResult):
    lines: ArtifactRef


@stage_task("translate", 6, name="translate text")
def translate_text(request: TranslateRequest) -> LinesResult:
    """Sentence by sentence, checked; one line for each utterance."""
    utterances = load(request.utterances, Utterances).rows
    if request.choice is None:
        return _result(())
    with engine(request.choice) as mt:
        rows = translate(
            utterances,
            _Once(mt, request.choice),
            source=request.source,
            target=request.target,
            glossary=request.glossary,
            on_progress=lambda share: TRACKER.set("translate", share, "Translating"),
        )
    return _result(rows)


class _Once:
    """Translates no sentence twice in this process: those of a chunk that was translated ahead come again in the whole.

    Every engine here takes a sentence by itself, so what it said of one holds wherever that sentence stands.
    """

    _known: ClassVar[dict[tuple[str, str, str, str], MtResult]] = {}

    def __init__(self, engine: MtEngine, choice: EngineChoice) -> None:
        if len(self._known) > _MOST_SENTENCES:
            self._known.clear()
        self._engine = engine
        self._mark = choice.model_dump_json()

    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        """As the engine does.

        Raises:
            EngineOutputInvalid: it answered another number of sentences.
        """
        unknown = [s for s in dict.fromkeys(sentences) if (self._mark, source, target, s) not in self._known]
        results = self._engine.translate(unknown, source=source, target=target) if unknown else []
        if len(results) != len(unknown):
            raise EngineOutputInvalid("The translator answered another number of sentences.")
        self._known.update({(self._mark, source, target, s): r for s, r in zip(unknown, results, strict=True)})
        return [self._known[self._mark, source, target, s] for s in sentences]

    def close(self) -> None:
        """Nothing: whoever loaded the engine lets go of it."""


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
