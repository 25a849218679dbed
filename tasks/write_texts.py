"""subtitle: the texts of a job as documents, plain text and, without a dub, subtitles."""

from __future__ import annotations

from dubline.models import ArtifactRef, Lines, Spoken, Timeline, Transcript
from dubline.stages.subtitle import source_cues
from dubline.stages.texts import transcript_document, transcript_text, translation_document, translation_text
from dubline.subtitles import to_srt, to_vtt
from tasks._policies import StageRequest, StageResult, load, save, stage_task, store
from tasks._progress import TRACKER
from tasks.segment_speech import Utterances


class TranscriptRequest(StageRequest):
    transcript: ArtifactRef
    utterances: ArtifactRef
    language: str
    duration_s: float
    fps: float


class TranscriptResult(StageResult):
    document: ArtifactRef
    text: ArtifactRef
    srt: ArtifactRef
    vtt: ArtifactRef


@stage_task("subtitle", 4, name="write transcript")
def write_transcript(request: TranscriptRequest) -> TranscriptResult:
    """What was said: as recognised, by sentences, and as subtitles."""
    transcript = load(request.transcript, Transcript)
    utterances = load(request.utterances, Utterances).rows
    cues = source_cues(utterances, transcript, duration_s=request.duration_s, fps=request.fps)
    TRACKER.set("subtitle", 1.0, "Writing the texts")
    return TranscriptResult(
        document=save(transcript_document(transcript, language=request.language)),
        text=_put(transcript_text(utterances), "text/plain"),
        srt=_put(to_srt(cues), "application/x-subrip"),
        vtt=_put(to_vtt(cues), "text/vtt"),
    )


class TranslationRequest(StageRequest):
    lines: ArtifactRef
    timeline: ArtifactRef
    spoken: tuple[Spoken, ...]
    source: str
    target: str


class TranslationResult(StageResult):
    document: ArtifactRef
    text: ArtifactRef


@stage_task("subtitle", 2, name="write translation")
def write_translation(request: TranslationRequest) -> TranslationResult:
    """What it became, and who said it how fast."""
    lines = load(request.lines, Lines).rows
    document = translation_document(
        lines,
        request.spoken,
        load(request.timeline, Timeline),
        source_language=request.source,
        target_language=request.target,
    )
    return TranslationResult(document=save(document), text=_put(translation_text(lines), "text/plain"))


def _put(text: str, media_type: str) -> ArtifactRef:
    return store().put_bytes(text.encode(), media_type)
