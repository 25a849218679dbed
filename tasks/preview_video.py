"""preview: thumbnails, a clip, the waveform's peaks."""

from __future__ import annotations

from dubline.contract import Artifact
from dubline.media.preview import preview
from dubline.media.probe import probe
from dubline.models import ArtifactRef, MediaInfo
from dubline.settings import get_settings
from tasks._policies import StageRequest, StageResult, stage_task, store, workspace
from tasks._progress import TRACKER


class PreviewRequest(StageRequest):
    video: ArtifactRef
    media: MediaInfo | None
    audio: ArtifactRef


class PreviewResult(StageResult):
    artifacts: tuple[Artifact, ...]


@stage_task("preview", 2, name="preview video")
def preview_video(request: PreviewRequest) -> PreviewResult:
    """Cheap things to look at before the whole is fetched. `media` is what is known of the video, None to probe it."""
    with workspace() as work:
        path = store().fetch(request.video)
        media = request.media or probe(path, get_settings())
        made = preview(path, media, store().fetch(request.audio), work_dir=work)
        artifacts = [
            Artifact(name=item.name, suffix=item.suffix, ref=store().put_file(item.path, item.media_type))
            for item in made
        ]
    TRACKER.set("preview", 1.0, "Making a preview")
    return PreviewResult(artifacts=tuple(artifacts))
