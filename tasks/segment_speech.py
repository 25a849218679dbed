"""segment: words into utterances."""

from __future__ import annotations

from dubline.models import ArtifactRef, Frozen, Speakers, Transcript, Utterance
from dubline.timing.segmentation import segment
from tasks._policies import StageRequest, StageResult, load, save, stage_task
from tasks._progress import TRACKER


class Utterances(Frozen):
    rows: tuple[Utterance, ...]


class SegmentRequest(StageRequest):
    transcript: ArtifactRef
    duration_s: float
    speakers: ArtifactRef | None = None

    def identity(self):
        return self.model_dump(mode="json", exclude_none=True)


class SegmentResult(StageResult):
    utterances: ArtifactRef
    count: int


@stage_task("segment", 3, name="segment speech")
def segment_speech(request: SegmentRequest) -> SegmentResult:
    """Whole sentences, each with the slot it may fill."""
    transcript = load(request.transcript, Transcript)
    rows = segment(
        transcript.words,
        media_duration_s=request.duration_s,
        language=transcript.language,
        speakers=load(request.speakers, Speakers).turns if request.speakers else None,
    )
    TRACKER.set("segment", 1.0, "Finding sentences")
    return SegmentResult(utterances=save(Utterances(rows=tuple(rows))), count=len(rows))
