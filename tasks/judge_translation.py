"""report: what the translation lost, from texts alone; so it need not wait for the finished file."""

from __future__ import annotations

from contextlib import ExitStack

from dubline.engines.registry import choose_mt
from dubline.errors import EngineError, InputError
from dubline.models import ArtifactRef, EngineChoice, Lines
from dubline.quality.memory import RememberingMt, TranslatedBefore, back_record_name
from dubline.quality.translation import measure_translation
from dubline.settings import get_settings
from dubline.storage.recall import recall
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, save, stage_task, store


class JudgeRequest(StageRequest):
    base: ArtifactRef
    lines: ArtifactRef
    source_language: str
    target_language: str
    glossary: dict[str, str]
    used: EngineChoice | None
    refresh: bool = False

    def identity(self):
        return self.model_dump(mode="json", exclude={"base", "refresh"})


class JudgeResult(StageResult):
    translation: ArtifactRef


@stage_task("report", 3, name="judge translation")
def judge_translation(request: JudgeRequest) -> JudgeResult:
    """Translate the lines back, and count what was kept; sentences of an earlier render are known."""
    mt, name, reason = None, "", ""
    is_simulated = request.used is not None and request.used.engine == "simulated"
    with ExitStack() as held:
        try:
            reverse = choose_mt(
                get_settings(),
                engine="simulated" if is_simulated else "auto",  # a pretended dub loads no real model
                model=None,
                source=request.target_language,
                target=request.source_language,
            )
            name = back_record_name(request.base, reverse, (request.target_language, request.source_language))
            known = None if request.refresh else recall(store(), name, TranslatedBefore)
            mt = RememberingMt(lambda: held.enter_context(engine(reverse)), known or TranslatedBefore())
        except (InputError, EngineError) as error:
            reason = error.message
        judged = measure_translation(
            load(request.lines, Lines).rows,
            source_language=request.source_language,
            target_language=request.target_language,
            glossary=request.glossary,
            mt_reverse=mt,
            reverse_reason=reason,
        )
        if mt is not None and mt.learnt:
            store().put_record(name, mt.rows.model_dump_json().encode())
    return JudgeResult(translation=save(judged))
