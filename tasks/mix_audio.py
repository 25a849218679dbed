"""mix: the dub's sound."""

from __future__ import annotations

from dubline.models import ArtifactRef, Background, Spoken, Timeline, Transcript
from dubline.settings import get_settings
from dubline.stages.mix import MixFacts, mix
from tasks._policies import StageRequest, StageResult, load, stage_task, store, workspace
from tasks._progress import TRACKER
from tasks.extract_audio import levels_of


class MixRequest(StageRequest):
    bed: ArtifactRef
    levels: ArtifactRef
    separated: ArtifactRef | None
    transcript: ArtifactRef
    timeline: ArtifactRef
    spoken: tuple[Spoken, ...]
    background: Background


class MixResult(StageResult):
    audio: ArtifactRef
    facts: MixFacts


@stage_task("mix", 5, name="mix audio")
def mix_audio(request: MixRequest) -> MixResult:
    """Lay the lines on the bed."""
    with workspace() as work:
        output = work / "mix.wav"
        facts = mix(
            store().fetch(request.bed),
            load(request.timeline, Timeline),
            {s.utterance_id: store().fetch(s.audio) for s in request.spoken if s.audio is not None},
            load(request.transcript, Transcript).speech,
            background=request.background,
            bed_lufs=levels_of(request.levels),
            separated=store().fetch(request.separated) if request.separated else None,
            output=output,
            work=work,
            threads=get_settings().cpu_threads,
            on_progress=lambda share: TRACKER.set("mix", share, "Mixing"),
        )
        return MixResult(audio=store().put_file(output, "audio/wav"), facts=facts)
