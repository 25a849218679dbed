"""mux: the picture as it was, the new sound, the subtitles."""

from __future__ import annotations

from dubline.media.aac import KeptParts
from dubline.media.mux import SubtitleTrack, mux
from dubline.models import ArtifactRef, MediaInfo, SubtitleMode
from dubline.settings import get_settings
from tasks._earlier import Kept, find, keep, record_of
from tasks._policies import StageRequest, StageResult, stage_task, store, workspace
from tasks._progress import TRACKER


class MuxRequest(StageRequest):
    source: ArtifactRef
    media: MediaInfo
    audio_index: int
    audio: ArtifactRef
    target_srt: ArtifactRef
    source_srt: ArtifactRef
    source_language: str
    target_language: str
    subtitles: SubtitleMode
    keep_original_audio: bool
    refresh: bool = False

    def identity(self):
        return self.model_dump(mode="json", exclude={"refresh"})


class MuxResult(StageResult):
    video: ArtifactRef
    suffix: str
    video_copied: bool


class KeptTrack(Kept):
    """The dub's track as it was encoded last, and where its parts lie in it."""

    parts: dict[str, tuple[int, int]]


@stage_task("mux", 3, name="mux video")
def mux_video(request: MuxRequest) -> MuxResult:
    """One lossy encode in the whole chain: the dub's sound, here."""
    with workspace() as work:
        tracks = [
            SubtitleTrack(path=store().fetch(ref), language=language)
            for ref, language in (
                (request.target_srt, request.target_language),
                (request.source_srt, request.source_language),
            )
            if ref.size_bytes > 0
        ]
        done = mux(
            store().fetch(request.source),
            request.media,
            store().fetch(request.audio),
            work_dir=work,
            target_language=request.target_language,
            subtitles=tracks if request.subtitles == "embedded" else [],
            burn=tracks[0].path if request.subtitles == "burned" and tracks else None,
            original_audio_index=request.audio_index if request.keep_original_audio else None,
            original_language=request.source_language,
            threads=get_settings().cpu_threads,
            kept=_kept(request),
            on_progress=lambda at_s: TRACKER.set("mux", at_s / request.media.duration_s, "Writing the video"),
        )
        if done.track is not None:
            track = store().put_file(done.track.path, "audio/aac")
            keep(_record(request), KeptTrack(file=track, parts=dict(done.track.parts)))
        TRACKER.set("mux", 1.0, "Writing the video")
        return MuxResult(
            video=store().put_file(done.path, done.media_type), suffix=done.suffix, video_copied=done.video_copied
        )


def _record(request: MuxRequest) -> str:
    return record_of("tracks", request.source.sha256, request.audio_index, request.target_language)


def _kept(request: MuxRequest) -> KeptParts | None:
    kept = find(_record(request), KeptTrack, refresh=request.refresh)
    return KeptParts(store().fetch(kept.file), kept.parts) if kept is not None else None
