"""subtitle: cue files of the target, the source and both."""

from __future__ import annotations

from dubline.models import ArtifactRef, Lines, Timeline, Transcript
from dubline.stages.subtitle import build_cues
from dubline.subtitles import to_srt, to_vtt
from tasks._policies import StageRequest, StageResult, load, save, stage_task, store
from tasks._progress import TRACKER


class SubtitleRequest(StageRequest):
    lines: ArtifactRef
    timeline: ArtifactRef
    transcript: ArtifactRef
    target: str
    fps: float


class SubtitleResult(StageResult):
    cues: ArtifactRef
    target_srt: ArtifactRef
    target_vtt: ArtifactRef
    source_srt: ArtifactRef
    source_vtt: ArtifactRef
    bilingual_srt: ArtifactRef


@stage_task("subtitle", 5, name="subtitle video")
def subtitle_video(request: SubtitleRequest) -> SubtitleResult:
    """Cues by the reading rules, as SRT and WebVTT."""
    cues = build_cues(
        load(request.lines, Lines).rows,
        load(request.timeline, Timeline),
        load(request.transcript, Transcript),
        target_language=request.target,
        fps=request.fps,
    )
    TRACKER.set("subtitle", 1.0, "Writing subtitles")

    def put(text: str, media_type: str) -> ArtifactRef:
        return store().put_bytes(text.encode(), media_type)

    return SubtitleResult(
        cues=save(cues),
        target_srt=put(to_srt(cues.target), "application/x-subrip"),
        target_vtt=put(to_vtt(cues.target), "text/vtt"),
        source_srt=put(to_srt(cues.source), "application/x-subrip"),
        source_vtt=put(to_vtt(cues.source), "text/vtt"),
        bilingual_srt=put(to_srt(cues.bilingual), "application/x-subrip"),
    )
