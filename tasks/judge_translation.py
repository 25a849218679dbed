"""report: what the translation lost, from texts alone; so it need not wait for the finished file."""

from __future__ import annotations

from contextlib import ExitStack

from dubline.engines.registry import choose_mt
from dubline.errors import EngineError, InputError
from dubline.models import ArtifactRef, EngineChoice, Lines
from dubline.quality.translation import measure_translation
from dubline.settings import get_settings
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, save, stage_task


class JudgeRequest(StageRequest):
    lines: ArtifactRef
    source_language: str
    target_language: str
    glossary: dict[str, str]
    used: EngineChoice | None


class JudgeResult(StageResult):
    translation: ArtifactRef


@stage_task("report", 1, name="judge translation")
def judge_translation(request: JudgeRequest) -> JudgeResult:
    """Translate the lines back, and count what was kept."""
    mt, reason = None, ""
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
            mt = held.enter_context(engine(reverse))
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
    return JudgeResult(translation=save(judged))
