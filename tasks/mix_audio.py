"""mix: the dub's sound."""

from __future__ import annotations

from dubline.models import ArtifactRef, Background, Spoken, Timeline, Transcript
from dubline.settings import get_settings
from dubline.stages.mix import Ground, KeptMix, MixFacts, mix
from tasks._earlier import Kept, find, keep, record_of
from tasks._policies import StageRequest, StageResult, load, stage_task, store, workspace
from tasks._progress import TRACKER
from tasks.extract_audio import levels_of

_VERSION = 8  # of the stage, and of what it remembers: parts made another way are made anew


class MixRequest(StageRequest):
    bed: ArtifactRef
    levels: ArtifactRef
    separated: ArtifactRef | None
    separated_levels: ArtifactRef | None
    transcript: ArtifactRef
    timeline: ArtifactRef
    spoken: tuple[Spoken, ...]
    background: Background
    target_language: str
    refresh: bool = False

    def identity(self):
        return self.model_dump(mode="json", exclude={"target_language", "refresh"})


class MixResult(StageResult):
    audio: ArtifactRef
    facts: MixFacts


class MixBefore(Kept):
    """The sound as it was mixed last, and what is known of it: see `KeptMix`."""

    parts: dict[str, tuple[int, int]]
    levels: dict[str, tuple[float, ...]]
    gain_db: float
    lift_db: float


@stage_task("mix", _VERSION, name="mix audio")
def mix_audio(request: MixRequest) -> MixResult:
    """Lay the lines on the bed."""
    with workspace() as work:
        output = work / "mix.wav"
        identities = {
            store().fetch(ref): ref.sha256
            for ref in (request.bed, request.separated, *(s.audio for s in request.spoken))
            if ref is not None
        }
        separated = None
        if request.separated is not None and request.separated_levels is not None:
            separated = Ground(store().fetch(request.separated), levels_of(request.separated_levels))
        done = mix(
            Ground(store().fetch(request.bed), levels_of(request.levels)),
            load(request.timeline, Timeline),
            {s.utterance_id: store().fetch(s.audio) for s in request.spoken if s.audio is not None},
            load(request.transcript, Transcript).speech,
            background=request.background,
            separated=separated,
            output=output,
            work=work,
            threads=get_settings().cpu_threads,
            identities=identities,
            kept=_kept(request),
            on_progress=lambda share: TRACKER.set("mix", share, "Mixing"),
        )
        audio = store().put_file(output, "audio/wav")
        before = MixBefore(
            file=audio,
            parts=done.parts,
            levels=done.levels,
            gain_db=done.facts.voice_gain_db,
            lift_db=done.facts.voice_lift_db,
        )
        keep(_record(request), before)
        return MixResult(audio=audio, facts=done.facts)


def _record(request: MixRequest) -> str:
    return record_of("mixes", _VERSION, request.bed.sha256, request.target_language)


def _kept(request: MixRequest) -> KeptMix | None:
    before = find(_record(request), MixBefore, refresh=request.refresh)
    if before is None:
        return None
    return KeptMix(store().fetch(before.file), before.parts, before.levels, before.gain_db, before.lift_db)
