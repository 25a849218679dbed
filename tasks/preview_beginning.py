"""preview: the first minute of the dub, while the rest is made."""

from __future__ import annotations

from dubline.contract import FIRST_MINUTE, Artifact
from dubline.models import ArtifactRef, Background, MediaInfo, Profile, Spoken, Transcript, Utterance
from dubline.settings import get_settings
from dubline.stages.beginning import make_beginning
from tasks._policies import StageRequest, StageResult, load, stage_task, store, workspace
from tasks.extract_audio import levels_of


class BeginningRequest(StageRequest):
    source: ArtifactRef
    media: MediaInfo
    bed: ArtifactRef
    levels: ArtifactRef
    transcript: ArtifactRef
    utterances: tuple[Utterance, ...]
    spoken: tuple[Spoken, ...]
    rate_hz: int
    profile: Profile
    background: Background
    target: str


class BeginningResult(StageResult):
    artifact: Artifact


@stage_task("preview", 9, name="preview beginning")
def preview_beginning(request: BeginningRequest) -> BeginningResult:
    """The first minute, to be watched long before the whole is done."""
    with workspace() as work:
        made = make_beginning(
            store().fetch(request.source),
            request.media,
            store().fetch(request.bed),
            levels_of(request.levels),
            request.utterances,
            {s.utterance_id: s for s in request.spoken},
            {s.utterance_id: store().fetch(s.audio) for s in request.spoken if s.audio is not None},
            load(request.transcript, Transcript).speech,
            rate_hz=request.rate_hz,
            profile=request.profile,
            background=request.background,
            target_language=request.target,
            threads=get_settings().cpu_threads,
            work=work,
        )
        ref = store().put_file(made.path, made.media_type)
    return BeginningResult(
        artifact=Artifact(name=FIRST_MINUTE, suffix=f"{request.target}.first-minute.{made.suffix}", ref=ref)
    )
