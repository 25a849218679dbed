"""separate: the background without the voice."""

from __future__ import annotations

from dubline.media.loudness import momentary
from dubline.models import ArtifactRef, EngineChoice
from dubline.stages.separate import separate
from dubline.stages.transcribe import SpeechPlan
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, stage_task, store, workspace
from tasks._progress import TRACKER
from tasks.extract_audio import put_levels


class SeparateRequest(StageRequest):
    bed: ArtifactRef
    plan: ArtifactRef
    choice: EngineChoice


class SeparateResult(StageResult):
    background: ArtifactRef
    levels: ArtifactRef


@stage_task("separate", 2, name="separate sound")
def separate_sound(request: SeparateRequest) -> SeparateResult:
    """Take the voice out of the bed where somebody speaks."""
    with engine(request.choice) as separator, workspace() as work:
        output = work / "background.wav"
        separate(
            store().fetch(request.bed),
            load(request.plan, SpeechPlan).speech,
            separator,
            output=output,
            work=work,
            on_progress=lambda share: TRACKER.set("separate", share, "Separating the background"),
        )
        return SeparateResult(
            background=store().put_file(output, "audio/wav"), levels=put_levels(momentary(output, work_dir=work))
        )
