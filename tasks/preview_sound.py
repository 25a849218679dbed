"""preview: the waveform's peaks, and the clip with the dub's sound."""

from __future__ import annotations

from dubline.contract import Artifact
from dubline.media.preview import listen
from dubline.models import ArtifactRef
from tasks._policies import StageRequest, StageResult, stage_task, store, workspace
from tasks._progress import TRACKER


class SoundRequest(StageRequest):
    audio: ArtifactRef
    clip: ArtifactRef | None
    clip_at_s: float


class SoundResult(StageResult):
    artifacts: tuple[Artifact, ...]


@stage_task("preview", 2, name="preview sound")
def preview_sound(request: SoundRequest) -> SoundResult:
    """What the dub sounds like, to be looked at and heard at once."""
    with workspace() as work:
        made = listen(
            store().fetch(request.audio),
            store().fetch(request.clip) if request.clip else None,
            request.clip_at_s,
            work_dir=work,
        )
        artifacts = tuple(
            Artifact(name=item.name, suffix=item.suffix, ref=store().put_file(item.path, item.media_type))
            for item in made
        )
    TRACKER.set("preview", 1.0, "Making a preview")
    return SoundResult(artifacts=artifacts)
