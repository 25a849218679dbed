"""report: everything measured on the finished file, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dubline import __version__
from dubline.engines.base import DiarizeEngine, SttEngine
from dubline.media.finished import FinishedSound, decode_excerpts, decode_finished, decode_stereo
from dubline.media.kept_sound import KeptSound
from dubline.media.loudness import gated_lufs
from dubline.media.probe import probe
from dubline.media.true_peak import Peaks, of_all
from dubline.models import (
    ArtifactRef,
    DubOptions,
    EngineChoice,
    Frozen,
    Line,
    MediaInfo,
    Span,
    Speaker,
    Spoken,
    StageStats,
    Timeline,
    Transcript,
)
from dubline.quality.container import compare_picture, measure_container
from dubline.quality.leak import Leak, measure_leak
from dubline.quality.listen import Heard, LineHeard, SpokenLine, listen
from dubline.quality.matching import match_lines
from dubline.quality.models import (
    FileFacts,
    LineReport,
    MixQuality,
    Provenance,
    Report,
    Timing,
    Translation,
    Verdict,
    VoiceQuality,
)
from dubline.quality.sound import SoundFacts, envelope, line_mask, measure_sound, read_pcm
from dubline.quality.timing import laid, measure_timing, spans_of
from dubline.quality.translation import measure_recognition
from dubline.quality.verdict import is_clipped, is_leaking, is_misheard, is_unlike, judge, worst_lines
from dubline.quality.voices import measure_speakers
from dubline.settings import Settings
from dubline.stages.mix import MixFacts
from dubline.stages.subtitle import CueSets

LISTEN_BUDGET_S = 45.0


class ReportInputs(Frozen):
    """What the measures start from: the two files, and the plan that the second one is held against.

    `bed` is the source's sound as raw 16 kHz stereo, 16 bit; `background` the same without its voice, a sound file.
    """

    source: Path
    source_ref: ArtifactRef
    media: MediaInfo
    output: Path
    output_ref: ArtifactRef
    video_copied: bool
    transcript: Transcript
    lines: tuple[Line, ...]
    spoken: tuple[Spoken, ...]
    timeline: Timeline
    cues: CueSets
    translation: Translation
    mix: MixFacts
    spoken_audio: dict[str, Path] = Field(default_factory=dict)
    bed: Path | None = None
    background: Path | None = None
    choices: tuple[EngineChoice, ...]
    stats: tuple[StageStats, ...]
    options: DubOptions
    source_language: str
    speakers: tuple[Speaker, ...] = ()
    casting: dict[str, str] = Field(default_factory=dict)
    one_voice: str = ""
    last_resort: str = ""
    heard_before: dict[str, LineHeard] = Field(default_factory=dict)
    sound_before: KeptSound | None = None


def build_report(
    inputs: ReportInputs,
    work_dir: Path,
    settings: Settings,
    stt: SttEngine | None,
    *,
    diarizer: DiarizeEngine | None = None,
    stt_reason: str = "",
    on_heard: Callable[[dict[str, LineHeard]], None] = lambda _: None,
    on_sound: Callable[[FinishedSound, Sequence[Peaks]], None] = lambda _, __: None,
) -> Report:
    """Measure a finished dub.

    Args:
        inputs: Files and plan.
        work_dir: Folder for the decoded sound: about half a megabyte a second of media.
        settings: Limits of the probe.
        stt: Recogniser for the target language; None leaves WER and CER out.
        diarizer: Judges whether each line is in its speaker's voice; None leaves that out.
        stt_reason: Why there is no recogniser.
        on_heard: Told what listening counted, by line id.
        on_sound: Told what was decoded and its peaks, if that is worth keeping and was not kept. It may take time.

    Raises:
        InputError: the finished file cannot be probed.
        MediaError: the finished file cannot be decoded.
    """
    target, media_s = inputs.options.target_language, inputs.media.duration_s
    placements = laid(inputs.timeline)
    spans = spans_of(placements, inputs.timeline.sample_rate_hz)
    texts = {line.utterance.id: line.text for line in inputs.lines}
    edited = {line.utterance.id for line in inputs.lines if "edited" in line.flags or line.voice}
    spoken_lines = [
        SpokenLine(
            utterance_id=p.utterance_id,
            span=s,
            text=texts[p.utterance_id],
            pace=p.stretch,
            is_edited=p.utterance_id in edited,
        )
        for p, s in zip(placements, spans, strict=True)
    ]
    with ThreadPoolExecutor(4) as beside:  # all that waits for nothing, or only for the finished sound
        decoding = beside.submit(
            decode_finished, inputs.output, work_dir=work_dir, media_s=media_s, kept=inputs.sound_before
        )

        def excerpts(wanted: Sequence[Span]) -> list[NDArray[np.float32]]:
            if inputs.options.listen == "all":
                return [read_pcm(decoding.result().mono, span) for span in wanted]
            return decode_excerpts(inputs.output, wanted, work_dir=work_dir, media_s=media_s)

        listening = beside.submit(
            listen,
            excerpts,
            spoken_lines,
            stt,
            language=target,
            mode=inputs.options.listen,
            budget_s=LISTEN_BUDGET_S,
            reason=stt_reason,
            known=inputs.heard_before,
        )
        looking = beside.submit(_look, inputs, settings, work_dir)
        without = beside.submit(_background, inputs, work_dir) if inputs.background and spans else None
        recognition = measure_recognition(inputs.transcript)
        sound = decoding.result()
        pcm = sound.mono
        measuring = beside.submit(sound.peaks)
        leaking = None
        if inputs.bed is not None and spans:
            background = without.result() if without is not None else None
            leaking = beside.submit(measure_leak, sound.stereo, inputs.bed, background, inputs.transcript.speech, spans)
        matches = match_lines(envelope(pcm), placements, inputs.timeline.sample_rate_hz, inputs.spoken_audio)
        facts = measure_sound(pcm, sound.momentary_lufs, spans, voice_lufs=inputs.mix.source_voice_lufs)
        parts = measuring.result()
        peaks = of_all(parts)
        keeping = beside.submit(on_sound, sound, parts) if sound.marks and sound.halved is not None else None
        leak = leaking.result() if leaking is not None else Leak(None, (None,) * len(spans))
        output_media, picture = looking.result()
        heard = listening.result()
        if keeping is not None:
            keeping.result()
    on_heard(heard.by_line)
    timing = measure_timing(
        inputs.timeline,
        inputs.lines,
        inputs.spoken,
        inputs.transcript,
        facts,
        heard.line_wer,
        matches,
        leak.lines_db,
        media_s=media_s,
        output=output_media,
    )
    voice = _voice(inputs, heard, peaks, timing.lines)
    mix = _mix(inputs.mix, sound.momentary_lufs, peaks, facts, spans, leak.whole_db, timing.lines)
    speakers = measure_speakers(
        inputs.speakers,
        inputs.casting,
        inputs.lines,
        {
            p.utterance_id: s
            for p, s, silent in zip(placements, spans, facts.silent, strict=True)
            if not silent and p.utterance_id not in voice.fallback_lines
        },
        lambda span: read_pcm(pcm, span),
        diarizer,
        one_voice=inputs.one_voice,
        is_asked=inputs.options.speakers not in ("one", 1),
    )
    container = measure_container(
        output_media,
        picture,
        [
            ("target", target, inputs.cues.target),
            ("source", inputs.source_language, inputs.cues.source),
        ],
        fps=inputs.media.video.fps if inputs.media.video is not None and inputs.media.video.fps > 0 else 25.0,
        media_s=media_s,
    )
    verdict, reasons = judge(recognition, inputs.translation, timing, voice, mix, container, speakers)
    sound.close()
    return Report(
        verdict=verdict,
        message=_message(inputs, verdict, reasons),
        reasons=reasons,
        provenance=_provenance(inputs),
        recognition=recognition,
        translation=inputs.translation,
        timing=timing,
        voice=voice,
        speakers=speakers,
        mix=mix,
        container=container,
        worst_lines=worst_lines(
            timing.lines, inputs.lines, inputs.translation, target, _sound_faults(timing, voice, mix), speakers
        ),
    )


def _provenance(inputs: ReportInputs) -> Provenance:
    media_s = inputs.media.duration_s
    seconds: dict[str, float] = {}
    for row in inputs.stats:
        seconds[row.stage] = seconds.get(row.stage, 0.0) + row.seconds
    return Provenance(
        dubline_version=__version__,
        source=FileFacts(sha256=inputs.source_ref.sha256, size_bytes=inputs.source_ref.size_bytes),
        output=FileFacts(sha256=inputs.output_ref.sha256, size_bytes=inputs.output_ref.size_bytes),
        media_s=media_s,
        engines=inputs.choices,
        stages=inputs.stats,
        rtf={k: round(v / media_s, 5) for k, v in seconds.items()} if media_s > 0 else {},
    )


def _look(inputs: ReportInputs, settings: Settings, work_dir: Path) -> tuple[MediaInfo, tuple[bool | None, str]]:
    """What the finished file is, and whether its picture is the source's."""
    media = probe(inputs.output, settings)
    return media, compare_picture(
        inputs.source, inputs.media, inputs.output, media, is_copied=inputs.video_copied, work_dir=work_dir
    )


def _background(inputs: ReportInputs, work_dir: Path) -> Path:
    """The separated background, decoded as the finished sound is."""
    assert inputs.background is not None
    return decode_stereo(
        inputs.background, work_dir / "background.s16", work_dir=work_dir, media_s=inputs.media.duration_s
    )


def _sound_faults(timing: Timing, voice: VoiceQuality, mix: MixQuality) -> list[tuple[tuple[str, ...], float, str]]:
    """Lines with a fault of their sound: the ids, how grave it is, and what it is called."""
    return [
        (timing.displaced_lines, 8.0, "Not where it was laid."),
        (voice.unlike_lines, 7.5, "Another sound is in its place."),
        (voice.clipped_lines, 7.0, "Its peaks are cut flat."),
        (mix.leaking_lines, 6.5, "The original voice can be heard under it."),
    ]


def _voice(inputs: ReportInputs, heard: Heard, peaks: Peaks, rows: tuple[LineReport, ...]) -> VoiceQuality:
    target = inputs.options.target_language
    return VoiceQuality(
        listened_s=heard.seconds,
        listened_lines=heard.lines,
        remembered_lines=heard.remembered,
        words=heard.words,
        wer=heard.wer,
        cer=heard.cer,
        reason=heard.reason,
        last_resort=inputs.last_resort,
        fallback_lines=tuple(s.utterance_id for s in inputs.spoken if s.is_fallback),
        silent_lines=tuple(r.utterance_id for r in rows if r.is_silent),
        misheard_lines=tuple(r.utterance_id for r in rows if is_misheard(r, target)),
        unlike_lines=tuple(r.utterance_id for r in rows if is_unlike(r)),
        clipped_lines=tuple(r.utterance_id for r in rows if is_clipped(r)),
        unspoken_lines=tuple(s.utterance_id for s in inputs.spoken if s.audio is None),
        clipped_share=round(peaks.clipped_share, 7),
    )


def _mix(
    planned: MixFacts,
    levels: NDArray[np.float64],
    peaks: Peaks,
    facts: SoundFacts,
    spans: list[Span],
    original_db: float | None,
    rows: tuple[LineReport, ...],
) -> MixQuality:
    dub_lufs = gated_lufs(levels, line_mask(spans, len(levels))) if spans else None
    source_lufs = planned.source_voice_lufs
    return MixQuality(
        bed=planned.bed,
        duck_db=planned.duck_db,
        original_voice_db=original_db,
        leaking_lines=tuple(r.utterance_id for r in rows if is_leaking(r)) if planned.bed != "kept" else (),
        integrated_lufs=gated_lufs(levels),
        source_voice_lufs=source_lufs,
        dub_voice_lufs=dub_lufs,
        loudness_error_lu=round(dub_lufs - source_lufs, 2)
        if dub_lufs is not None and source_lufs is not None
        else None,
        true_peak_dbtp=round(20 * math.log10(peaks.true_peak), 2) if peaks.true_peak > 0 else None,
        bed_below_voice_db=facts.bed_below_voice_db,
        limited_share=planned.limited_share,
    )


def _message(inputs: ReportInputs, verdict: Verdict, reasons: tuple[str, ...]) -> str:
    if not inputs.lines:
        return "No speech that can be dubbed was found; the original sound was kept."
    if verdict == "pass":
        paces = [p.stretch for p in inputs.timeline.placements if p.length_samples > 0]
        pace = f", median pace {median(paces):.2f}" if paces else ""
        return f"{_count(inputs)} dubbed{pace}; nothing to mend was found."
    return f"{_count(inputs)} dubbed. {reasons[0]}"


def _count(inputs: ReportInputs) -> str:
    count = len(inputs.lines)
    return f"{count} line" if count == 1 else f"{count} lines"
