"""preview: thumbnails and a silent clip; what a person edits in the dub leaves them as they are."""

from __future__ import annotations

from dubline.contract import Artifact
from dubline.media.preview import look
from dubline.media.probe import probe
from dubline.models import ArtifactRef, MediaInfo
from dubline.settings import get_settings
from tasks._policies import StageRequest, StageResult, stage_task, store, workspace


class PictureRequest(StageRequest):
    video: ArtifactRef
    media: MediaInfo | None


class PictureResult(StageResult):
    artifacts: tuple[Artifact, ...]
    clip: ArtifactRef | None
    clip_at_s: float


@stage_task("preview", 4, name="preview picture")
def preview_picture(request: PictureRequest) -> PictureResult:
    """Cheap things to look at before the whole is fetched. `media` is what is known of the video, None to probe it."""
    with workspace() as work:
        path = store().fetch(request.video)
        seen = look(path, request.media or probe(path, get_settings()), work_dir=work)
        return PictureResult(
            artifacts=tuple(
                Artifact(name=item.name, suffix=item.suffix, ref=store().put_file(item.path, item.media_type))
                for item in seen.thumbnails
            ),
            clip=store().put_file(seen.clip, "video/mp4") if seen.clip else None,
            clip_at_s=seen.clip_at_s,
        )
