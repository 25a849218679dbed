"""report: everything measured on the finished file, and a verdict."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from pydantic import Field

from dubline import __version__
from dubline.engines.base import DiarizeEngine, MtEngine, SttEngine
from dubline.media.finished import FinishedSound, decode_finished
from dubline.media.loudness import gated_lufs
from dubline.media.probe import probe
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
from dubline.quality.listen import Heard, SpokenLine, listen
from dubline.quality.models import FileFacts, MixQuality, Provenance, Report, Verdict, VoiceQuality
from dubline.quality.sound import SoundFacts, line_mask, measure_sound, read_pcm
from dubline.quality.timing import laid, measure_timing, spans_of
from dubline.quality.translation import measure_recognition, measure_translation
from dubline.quality.verdict import judge, worst_lines
from dubline.quality.voices import measure_speakers
from dubline.settings import Settings
from dubline.stages.mix import MixFacts
from dubline.stages.subtitle import CueSets

LISTEN_BUDGET_S = 45.0


class ReportInputs(Frozen):
    """What the measures start from: the two files, and the plan that the second one is held against."""

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
    mix: MixFacts
    choices: tuple[EngineChoice, ...]
    stats: tuple[StageStats, ...]
    options: DubOptions
    source_language: str
    speakers: tuple[Speaker, ...] = ()
    casting: dict[str, str] = Field(default_factory=dict)
    one_voice: str = ""


def build_report(
    inputs: ReportInputs,
    work_dir: Path,
    settings: Settings,
    stt: SttEngine | None,
    mt_reverse: MtEngine | None,
    *,
    diarizer: DiarizeEngine | None = None,
    stt_reason: str = "",
    mt_reason: str = "",
) -> Report:
    """Measure a finished dub.

    Args:
        inputs: Files and plan.
        work_dir: Folder for the decoded sound: 32 kB a second of media.
        settings: Limits of the probe.
        stt: Recogniser for the target language; None leaves WER and CER out.
        mt_reverse: Translates target to source; None leaves the back-translation out.
        diarizer: Judges whether each line is in its speaker's voice; None leaves that out.
        stt_reason: Why there is no recogniser.
        mt_reason: Why there is no reverse translation.

    Raises:
        InputError: the finished file cannot be probed.
        MediaError: the finished file cannot be decoded.
    """
    target = inputs.options.target_language
    output_media = probe(inputs.output, settings)
    media_s = inputs.media.duration_s
    sound = decode_finished(inputs.output, work_dir=work_dir, media_s=media_s)
    placements = laid(inputs.timeline)
    spans = spans_of(placements, inputs.timeline.sample_rate_hz)
    facts = measure_sound(sound.pcm, sound.momentary_lufs, spans, voice_lufs=inputs.mix.source_voice_lufs)
    texts = {line.utterance.id: line.text for line in inputs.lines}
    spoken_lines = [
        SpokenLine(utterance_id=p.utterance_id, span=s, text=texts[p.utterance_id], pace=p.stretch)
        for p, s in zip(placements, spans, strict=True)
    ]
    heard = listen(
        lambda span: read_pcm(sound.pcm, span),
        spoken_lines,
        stt,
        language=target,
        mode=inputs.options.listen,
        budget_s=LISTEN_BUDGET_S,
        reason=stt_reason,
    )
    recognition = measure_recognition(inputs.transcript)
    translation = measure_translation(
        inputs.lines,
        source_language=inputs.source_language,
        target_language=target,
        glossary=inputs.options.glossary,
        mt_reverse=mt_reverse,
        reverse_reason=mt_reason,
    )
    timing = measure_timing(
        inputs.timeline,
        inputs.lines,
        inputs.spoken,
        inputs.transcript,
        facts,
        heard.line_wer,
        media_s=media_s,
        output=output_media,
    )
    voice = _voice(inputs, heard, facts, sound, [p.utterance_id for p in placements])
    mix = _mix(inputs.mix, sound, facts, spans)
    speakers = measure_speakers(
        inputs.speakers,
        inputs.casting,
        inputs.lines,
        {
            p.utterance_id: s
            for p, s, silent in zip(placements, spans, facts.silent, strict=True)
            if not silent and p.utterance_id not in voice.fallback_lines
        },
        lambda span: read_pcm(sound.pcm, span),
        diarizer,
        one_voice=inputs.one_voice,
        is_asked=inputs.options.speakers not in ("one", 1),
    )
    picture = compare_picture(
        inputs.source, inputs.media, inputs.output, output_media, is_copied=inputs.video_copied, work_dir=work_dir
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
    verdict, reasons = judge(recognition, translation, timing, voice, mix, container, speakers)
    sound.pcm.unlink(missing_ok=True)
    return Report(
        verdict=verdict,
        message=_message(inputs, verdict, reasons),
        reasons=reasons,
        provenance=_provenance(inputs),
        recognition=recognition,
        translation=translation,
        timing=timing,
        voice=voice,
        speakers=speakers,
        mix=mix,
        container=container,
        worst_lines=worst_lines(timing.lines, inputs.lines, translation, speakers),
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


def _voice(
    inputs: ReportInputs, heard: Heard, facts: SoundFacts, sound: FinishedSound, order: list[str]
) -> VoiceQuality:
    return VoiceQuality(
        listened_s=heard.seconds,
        listened_lines=heard.lines,
        words=heard.words,
        wer=heard.wer,
        cer=heard.cer,
        reason=heard.reason,
        fallback_lines=tuple(s.utterance_id for s in inputs.spoken if s.is_fallback),
        silent_lines=tuple(name for name, silent in zip(order, facts.silent, strict=True) if silent),
        unspoken_lines=tuple(s.utterance_id for s in inputs.spoken if s.audio is None),
        clipped_share=round(sound.clipped_share, 7),
    )


def _mix(planned: MixFacts, sound: FinishedSound, facts: SoundFacts, spans: list[Span]) -> MixQuality:
    levels = sound.momentary_lufs
    dub_lufs = gated_lufs(levels, line_mask(spans, len(levels))) if spans else None
    source_lufs = planned.source_voice_lufs
    return MixQuality(
        integrated_lufs=gated_lufs(levels),
        source_voice_lufs=source_lufs,
        dub_voice_lufs=dub_lufs,
        loudness_error_lu=round(dub_lufs - source_lufs, 2)
        if dub_lufs is not None and source_lufs is not None
        else None,
        true_peak_dbtp=sound.true_peak_dbtp,
        bed_below_voice_db=facts.bed_below_voice_db,
        limited_share=planned.limited_share,
    )


def _message(inputs: ReportInputs, verdict: Verdict, reasons: tuple[str, ...]) -> str:
    if not inputs.lines:
        return "Nobody speaks in this video; the original sound was kept."
    if verdict == "pass":
        paces = [p.stretch for p in inputs.timeline.placements if p.length_samples > 0]
        pace = f", median pace {median(paces):.2f}" if paces else ""
        return f"{_count(inputs)} dubbed{pace}; nothing to mend was found."
    return f"{_count(inputs)} dubbed. {reasons[0]}"


def _count(inputs: ReportInputs) -> str:
    count = len(inputs.lines)
    return f"{count} line" if count == 1 else f"{count} lines"
