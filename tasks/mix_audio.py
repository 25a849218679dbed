"""mix: the dub's sound."""

from __future__ import annotations

import hashlib

from dubline.models import ArtifactRef, Background, Frozen, Spoken, Timeline, Transcript
from dubline.settings import get_settings
from dubline.stages.mix import Ground, KeptMix, MixFacts, mix
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


class MixBefore(Frozen):
    """The sound as it was mixed last, and what is known of it: see `KeptMix`."""

    sound: ArtifactRef
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
            sound=audio,
            parts=done.parts,
            levels=done.levels,
            gain_db=done.facts.voice_gain_db,
            lift_db=done.facts.voice_lift_db,
        )
        store().put_record(_record(request), before.model_dump_json().encode())
        return MixResult(audio=audio, facts=done.facts)


def _record(request: MixRequest) -> str:
    """Where the mix of one source and language is remembered from one render to the next."""
    text = f"{_VERSION} {request.bed.sha256} {request.target_language}"
    return f"mixes/{hashlib.sha256(text.encode()).hexdigest()}.json"


def _kept(request: MixRequest) -> KeptMix | None:
    stored = None if request.refresh else store().get_record(_record(request))
    if stored is None:
        return None
    before = MixBefore.model_validate_json(stored)
    if not store().holds(before.sound):
        return None
    return KeptMix(store().fetch(before.sound), before.parts, before.levels, before.gain_db, before.lift_db)
