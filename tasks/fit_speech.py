"""fit: when each line is spoken, and how fast."""

from __future__ import annotations

from dubline.models import ArtifactRef, Profile, Spoken, Transcript, Utterance
from dubline.timing.pauses import fit_item
from dubline.timing.planner import plan
from tasks._policies import StageRequest, StageResult, load, save, stage_task
from tasks._progress import TRACKER
from tasks.segment_speech import Utterances


class FitRequest(StageRequest):
    utterances: ArtifactRef
    transcript: ArtifactRef
    spoken: tuple[Spoken, ...]
    total_samples: int
    rate_hz: int
    profile: Profile


class FitResult(StageResult):
    timeline: ArtifactRef


@stage_task("fit", 7, name="fit speech")
def fit_speech(request: FitRequest) -> FitResult:
    """Plan the timeline, exact to the sample."""
    spoken = {s.utterance_id: s for s in request.spoken}
    rows: tuple[Utterance, ...] = load(request.utterances, Utterances).rows
    speech = load(request.transcript, Transcript).speech
    items = [fit_item(u, spoken[u.id], speech) for u in rows]
    timeline = plan(items, total_samples=request.total_samples, rate_hz=request.rate_hz, profile=request.profile)
    TRACKER.set("fit", 1.0, "Fitting the lines")
    return FitResult(timeline=save(timeline))
