"""fit: when each line is spoken, and how fast."""

from __future__ import annotations

from dubline.models import ArtifactRef, Profile, Spoken, Utterance
from dubline.timing.planner import FitItem, plan
from tasks._policies import StageRequest, StageResult, load, save, stage_task
from tasks._progress import TRACKER
from tasks.segment_speech import Utterances


class FitRequest(StageRequest):
    utterances: ArtifactRef
    spoken: tuple[Spoken, ...]
    total_samples: int
    rate_hz: int
    profile: Profile


class FitResult(StageResult):
    timeline: ArtifactRef


@stage_task("fit", 2, name="fit speech")
def fit_speech(request: FitRequest) -> FitResult:
    """Plan the timeline, exact to the sample."""
    spoken = {s.utterance_id: s for s in request.spoken}
    rows: tuple[Utterance, ...] = load(request.utterances, Utterances).rows
    items = [
        FitItem(
            utterance_id=u.id,
            start_s=u.start_s,
            end_s=u.end_s,
            slot_end_s=u.slot_end_s,
            samples=spoken[u.id].samples,
            rate_hz=spoken[u.id].sample_rate_hz,
        )
        for u in rows
    ]
    timeline = plan(items, total_samples=request.total_samples, rate_hz=request.rate_hz, profile=request.profile)
    TRACKER.set("fit", 1.0, "Fitting the lines")
    return FitResult(timeline=save(timeline))
