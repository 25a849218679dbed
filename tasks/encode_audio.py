"""extract: one audio track as a file that a person asked for."""

from __future__ import annotations

from dubline.media.encode import AudioFormat
from dubline.media.encode import encode_audio as encode
from dubline.models import ArtifactRef, MediaInfo
from tasks._policies import StageRequest, StageResult, stage_task, store, workspace
from tasks._progress import TRACKER


class EncodeRequest(StageRequest):
    source: ArtifactRef
    media: MediaInfo
    audio_index: int
    audio_format: AudioFormat


class EncodeResult(StageResult):
    audio: ArtifactRef


@stage_task("extract", 1, name="encode audio")
def encode_audio(request: EncodeRequest) -> EncodeResult:
    """Write the chosen track in the format that was asked for."""
    with workspace() as work:
        done = encode(
            store().fetch(request.source),
            request.media,
            request.audio_index,
            request.audio_format,
            work_dir=work,
            on_progress=lambda at_s: TRACKER.set("extract", at_s / request.media.duration_s, "Extracting the sound"),
        )
        audio = store().put_file(done.path, done.media_type)
    TRACKER.set("extract", 1.0, "Extracting the sound")
    return EncodeResult(audio=audio)
