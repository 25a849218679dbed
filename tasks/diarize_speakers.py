"""diarize: who speaks when."""

from __future__ import annotations

from dubline.models import ArtifactRef, EngineChoice
from dubline.stages.diarize import find_speakers
from dubline.stages.transcribe import SpeechPlan
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, save, stage_task, store
from tasks._progress import TRACKER


class DiarizeRequest(StageRequest):
    stt: ArtifactRef
    plan: ArtifactRef
    choice: EngineChoice
    speakers: int | None


class DiarizeResult(StageResult):
    speakers: ArtifactRef


@stage_task("diarize", 1, name="diarize speakers")
def diarize_speakers(request: DiarizeRequest) -> DiarizeResult:
    """Voices told apart over the whole sound, and the pitch of each."""
    plan = load(request.plan, SpeechPlan)
    with engine(request.choice) as diarizer:
        found = find_speakers(
            store().fetch(request.stt),
            plan.speech,
            diarizer,
            speakers=request.speakers,
            on_progress=lambda share: TRACKER.set("diarize", 0.95 * share, "Telling speakers apart"),
        )
    TRACKER.set("diarize", 1.0, "Telling speakers apart")
    return DiarizeResult(speakers=save(found))
