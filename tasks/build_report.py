"""report: measured on the finished file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from dubline.engines.registry import choose_stt, last_resort
from dubline.errors import EngineError, InputError
from dubline.media.finished import FinishedSound
from dubline.media.kept_sound import KeptSound
from dubline.media.true_peak import Peaks
from dubline.models import (
    ArtifactRef,
    DubOptions,
    EngineChoice,
    Lines,
    MediaInfo,
    Speaker,
    Spoken,
    StageStats,
    Timeline,
    Transcript,
)
from dubline.quality.listen import LineHeard
from dubline.quality.memory import HeardBefore, line_marks, record_name
from dubline.quality.models import Translation
from dubline.settings import get_settings
from dubline.stages.mix import MixFacts
from dubline.stages.report import ReportInputs
from dubline.stages.report import build_report as build
from dubline.stages.subtitle import CueSets
from dubline.storage.recall import recall
from tasks._earlier import Kept, find, keep, record_of
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, save, stage_task, store, workspace
from tasks._progress import TRACKER


class ReportRequest(StageRequest):
    source: ArtifactRef
    media: MediaInfo
    video: ArtifactRef
    video_copied: bool
    transcript: ArtifactRef
    lines: ArtifactRef
    translation: ArtifactRef
    timeline: ArtifactRef
    cues: ArtifactRef
    spoken: tuple[Spoken, ...]
    mix: MixFacts
    bed: ArtifactRef
    measured_bed: ArtifactRef
    background: ArtifactRef | None
    choices: tuple[EngineChoice, ...]
    source_language: str
    options: DubOptions
    speakers: tuple[Speaker, ...] = ()
    casting: dict[str, str]
    one_voice: str = ""
    stats: tuple[StageStats, ...]
    refresh: bool = False

    def identity(self):
        return self.model_dump(mode="json", exclude={"stats", "refresh"})


class ReportResult(StageResult):
    report: ArtifactRef
    verdict: str
    message: str


@stage_task("report", 11, name="build report")
def build_report(request: ReportRequest) -> ReportResult:
    """Listen to the finished file, read it, measure it, and say how good it is."""
    with ExitStack() as held, workspace() as work:
        stt = diarizer = memory = None
        stt_reason = ""
        if request.options.listen == "off":
            stt_reason = "Listening was turned off."
        else:
            listener, stt_reason = _listener(request)
            if listener is not None:
                stt = held.enter_context(engine(listener))
                memory = _Memory(request, listener)
        used = next((c for c in request.choices if c.kind == "diarize"), None)
        if used is not None and used.engine != "simulated" and request.options.listen != "off":
            diarizer = held.enter_context(engine(used))
        report = build(
            ReportInputs(
                source=store().fetch(request.source),
                source_ref=request.source,
                media=request.media,
                output=store().fetch(request.video),
                output_ref=request.video,
                video_copied=request.video_copied,
                transcript=load(request.transcript, Transcript),
                lines=load(request.lines, Lines).rows,
                spoken=request.spoken,
                timeline=load(request.timeline, Timeline),
                cues=load(request.cues, CueSets),
                translation=load(request.translation, Translation),
                mix=request.mix,
                spoken_audio={s.utterance_id: store().fetch(s.audio) for s in request.spoken if s.audio is not None},
                bed=store().fetch(request.measured_bed),
                background=store().fetch(request.background) if request.background else None,
                choices=request.choices,
                stats=request.stats,
                options=request.options,
                source_language=request.source_language,
                speakers=request.speakers,
                casting=request.casting,
                one_voice=request.one_voice,
                last_resort=_last_resort(request),
                heard_before=memory.known() if memory else {},
                sound_before=_kept_sound(request),
            ),
            work,
            get_settings(),
            stt,
            diarizer=diarizer,
            stt_reason=stt_reason,
            on_heard=memory.learn if memory else lambda _: None,
            on_sound=lambda sound, peaks: _keep_sound(request, sound, peaks),
        )
    TRACKER.set("report", 1.0, "Checking the dub")
    return ReportResult(report=save(report), verdict=report.verdict, message=report.message)


def _last_resort(request: ReportRequest) -> str:
    """Why a voice that nobody named is a mechanical one."""
    used = next((c for c in request.choices if c.kind == "tts"), None)
    if used is None or request.options.tts_engine != "auto" or request.options.tts_voice is not None:
        return ""
    return last_resort(get_settings(), used, request.options.target_language)


class StoredSound(Kept):
    """The finished sound in stereo, as it was measured last; see `KeptSound`."""

    channels: int
    marks: tuple[str, ...]
    momentary_lufs: tuple[float, ...]
    peaks: tuple[Peaks, ...]


def _sound_record(request: ReportRequest) -> str:
    return record_of("sounds", request.bed.sha256, request.options.target_language)


def _kept_sound(request: ReportRequest) -> KeptSound | None:
    row = find(_sound_record(request), StoredSound, refresh=request.refresh)
    if row is None:
        return None
    return KeptSound(store().fetch(row.file), row.channels, row.marks, row.momentary_lufs, row.peaks)


def _keep_sound(request: ReportRequest, sound: FinishedSound, peaks: Sequence[Peaks]) -> None:
    row = StoredSound(
        file=store().put_file(sound.stereo, "application/octet-stream"),
        channels=sound.channels,
        marks=sound.marks,
        momentary_lufs=tuple(sound.momentary_lufs.round(3).tolist()),
        peaks=tuple(peaks),
    )
    keep(_sound_record(request), row)


def _listener(request: ReportRequest) -> tuple[EngineChoice | None, str]:
    """The recogniser that listens: the one that heard the source if it knows the target language, else the default."""
    used = next(c for c in request.choices if c.kind == "stt")
    try:
        return choose_stt(
            get_settings(), engine=used.engine, model=used.model, language=request.options.target_language
        ), ""
    except (InputError, EngineError):
        try:
            return choose_stt(get_settings(), engine="auto", model="base", language=request.options.target_language), ""
        except (InputError, EngineError) as error:
            return None, error.message


class _Memory:
    """What is remembered of listening to other renders of the same source."""

    def __init__(self, request: ReportRequest, listener: EngineChoice) -> None:
        background = [request.options.background, request.background.sha256 if request.background else ""]
        self._marks = line_marks(
            load(request.lines, Lines).rows, request.spoken, load(request.timeline, Timeline), background
        )
        self._name = record_name(request.bed, request.options.target_language, listener)
        self._refresh = request.refresh

    def _stored(self) -> HeardBefore:
        return recall(store(), self._name, HeardBefore) or HeardBefore()

    def known(self) -> dict[str, LineHeard]:
        return {} if self._refresh else self._stored().of(self._marks)

    def learn(self, heard: dict[str, LineHeard]) -> None:
        # Two renders at once may each lose what the other learnt; it is heard again then.
        store().put_record(self._name, self._stored().with_heard(self._marks, heard).model_dump_json().encode())
