"""transcribe: find speech, recognise chunks (mapped), join them."""

from __future__ import annotations

from dubline.models import ArtifactRef, EngineChoice
from dubline.stages.transcribe import Chunk, ChunkResult, SpeechPlan, find_speech, join, recognise
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, save, stage_task, store
from tasks._progress import TRACKER


class DetectRequest(StageRequest):
    stt: ArtifactRef


class DetectResult(StageResult):
    plan: ArtifactRef
    chunks: int
    pause_level_db: float | None


@stage_task("transcribe", 6, name="find speech")
def find_speech_spans(request: DetectRequest) -> DetectResult:
    """Voice activity over the whole sound, cut into chunks at silences."""
    plan = find_speech(store().fetch(request.stt))
    TRACKER.set("transcribe", 0.08, "Finding speech")
    return DetectResult(plan=save(plan), chunks=len(plan.chunks), pause_level_db=plan.pause_level_db)


class RecogniseRequest(StageRequest):
    stt: ArtifactRef
    chunk: Chunk
    language: str | None
    choice: EngineChoice
    share: float

    def identity(self):
        return self.model_dump(mode="json", exclude={"share"})


class RecogniseResult(StageResult):
    result: ArtifactRef
    language: str
    certainty: float


@stage_task("transcribe", 5, name="recognise chunk")
def recognise_chunk(request: RecogniseRequest) -> RecogniseResult:
    """Words of one chunk of speech, on the media's timeline."""
    with engine(request.choice) as stt:
        result = recognise(store().fetch(request.stt), request.chunk, stt, language=request.language)
    TRACKER.add("transcribe", 0.9 * request.share, "Recognising speech")
    return RecogniseResult(result=save(result), language=result.language, certainty=result.language_probability)


class JoinRequest(StageRequest):
    plan: ArtifactRef
    chunks: tuple[ArtifactRef, ...]


class JoinResult(StageResult):
    transcript: ArtifactRef
    language: str
    words: int


@stage_task("transcribe", 5, name="join transcript")
def join_transcript(request: JoinRequest) -> JoinResult:
    """One transcript, less what is not believed."""
    plan = load(request.plan, SpeechPlan)
    transcript = join(plan, [load(c, ChunkResult) for c in request.chunks])
    TRACKER.set("transcribe", 1.0, "Recognising speech")
    return JoinResult(transcript=save(transcript), language=transcript.language, words=len(transcript.words))
