"""fit: when each line is spoken, and how fast."""

from __future__ import annotations

from itertools import pairwise

from dubline.models import ArtifactRef, Profile, Span, Spoken, Transcript, Utterance
from dubline.timing.pauses import tie
from dubline.timing.planner import FitItem, FitPhrase, plan
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


@stage_task("fit", 3, name="fit speech")
def fit_speech(request: FitRequest) -> FitResult:
    """Plan the timeline, exact to the sample."""
    spoken = {s.utterance_id: s for s in request.spoken}
    rows: tuple[Utterance, ...] = load(request.utterances, Utterances).rows
    speech = load(request.transcript, Transcript).speech
    items = [
        FitItem(
            utterance_id=u.id,
            start_s=u.start_s,
            end_s=u.end_s,
            slot_end_s=u.slot_end_s,
            samples=spoken[u.id].samples,
            rate_hz=spoken[u.id].sample_rate_hz,
            phrases=_phrases(u, speech, spoken[u.id]),
        )
        for u in rows
    ]
    timeline = plan(items, total_samples=request.total_samples, rate_hz=request.rate_hz, profile=request.profile)
    TRACKER.set("fit", 1.0, "Fitting the lines")
    return FitResult(timeline=save(timeline))


def _phrases(utterance: Utterance, speech: tuple[Span, ...], spoken: Spoken) -> tuple[FitPhrase, ...]:
    """The line's phrases in its own samples."""
    tied = tie(utterance, speech, spoken.phrases)
    rate_hz = spoken.sample_rate_hz
    firsts = [*(round(t.first_s * rate_hz) for t in tied), spoken.samples]
    return tuple(
        FitPhrase(
            start_s=t.source.start_s,
            end_s=t.source.end_s,
            first=first,
            samples=end - first,
            pause=round(t.pause_s * rate_hz),
        )
        for t, (first, end) in zip(tied, pairwise(firsts), strict=True)
    )
