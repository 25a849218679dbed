"""The dub of one video: thirteen stages, each a cached, retriable task; only references travel between them."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from dubline.cancel import STOP
from dubline.contract import Artifact, JobResult, TranslateVideoParams
from dubline.engines.registry import choose_fallback_tts, choose_mt, choose_stt, choose_tts
from dubline.languages import canonical
from dubline.settings import get_settings
from dubline.stages.ingest import choose_audio
from dubline.stages.synthesize import plan_batches
from dubline.stages.transcribe import SpeechPlan
from tasks._policies import load
from tasks._progress import TRACKER
from tasks._run import OUTCOMES, finish, run, run_all, start
from tasks.build_report import ReportRequest, build_report
from tasks.extract_audio import ExtractRequest, extract_audio
from tasks.fit_speech import FitRequest, fit_speech
from tasks.ingest_video import IngestRequest, ingest_video
from tasks.mix_audio import MixRequest, mix_audio
from tasks.mux_video import MuxRequest, mux_video
from tasks.preview_video import PreviewRequest, preview_video
from tasks.publish_result import PublishRequest, publish_result
from tasks.result_store import SLUG
from tasks.segment_speech import SegmentRequest, segment_speech
from tasks.subtitle_video import SubtitleRequest, subtitle_video
from tasks.synthesize_speech import SynthesizeRequest, synthesize_speech
from tasks.transcribe_speech import (
    DetectRequest,
    JoinRequest,
    RecogniseRequest,
    find_speech_spans,
    join_transcript,
    recognise_chunk,
)
from tasks.translate_text import EditRequest, Lines, TranslateRequest, apply_line_edits, translate_text

_RUNNER: Any = ThreadPoolTaskRunner(max_workers=get_settings().cpu_threads)


@flow(
    name="translate_video",
    retries=0,
    persist_result=True,
    result_storage=SLUG,
    result_serializer="json",
    task_runner=_RUNNER,
)
async def translate_video(params: TranslateVideoParams) -> JobResult:
    """Dub one video.

    Args:
        params: Source, target language and options; nothing secret, since Prefect stores them in clear.

    Raises:
        DublineError: The typed reason why the video cannot be dubbed.
    """
    STOP.clear()
    OUTCOMES.begin()
    TRACKER.begin(params.job_id)
    try:
        return await _dub(params)
    except BaseException:
        STOP.set()  # mapped tasks poll it; without it the engine waits for them
        raise


async def _dub(params: TranslateVideoParams) -> JobResult:
    settings, options = get_settings(), params.options
    target = canonical(options.target_language)
    wanted = canonical(options.source_language) if options.source_language else None
    common: dict[str, Any] = {"scope": params.scope}
    fresh: dict[str, Any] = {"refresh": params.refresh}
    stt = choose_stt(settings, engine=options.stt_engine, model=options.stt_model, language=wanted)
    tts = choose_tts(settings, engine=options.tts_engine, language=target, voice=options.tts_voice)

    source = await run(ingest_video, IngestRequest(source_uri=params.source_uri, **common), **fresh)
    media = source.media
    audio_index = choose_audio(media, source_language=wanted, target_language=target)
    sound = await run(
        extract_audio,
        ExtractRequest(source=source.source, media=media, audio_index=audio_index, **common),
        **fresh,
    )

    detected = await run(find_speech_spans, DetectRequest(stt=sound.stt, **common), **fresh)
    plan: SpeechPlan = load(detected.plan, SpeechPlan)
    spoken_s = sum(c.speech_s for c in plan.chunks) or 1.0
    chunks = await run_all(
        recognise_chunk,
        [
            RecogniseRequest(stt=sound.stt, chunk=c, language=wanted, choice=stt, share=c.speech_s / spoken_s, **common)
            for c in plan.chunks
        ],
        **fresh,
    )
    transcript = await run(
        join_transcript,
        JoinRequest(plan=detected.plan, chunks=tuple(c.result for c in chunks), **common),
        **fresh,
    )
    language = wanted or (canonical(transcript.language) if transcript.words else "und")

    utterances = await run(
        segment_speech, SegmentRequest(transcript=transcript.transcript, duration_s=media.duration_s, **common), **fresh
    )
    mt = None
    if transcript.words:
        mt = choose_mt(
            settings, engine=options.translation_engine, model=options.translation_model, source=language, target=target
        )
    lines = await run(
        translate_text,
        TranslateRequest(
            utterances=utterances.utterances,
            source=language,
            target=target,
            glossary=options.glossary,
            choice=mt,
            **common,
        ),
        **fresh,
    )
    if options.edits:
        lines = await run(apply_line_edits, EditRequest(lines=lines.lines, edits=options.edits, **common))

    rows = load(lines.lines, Lines).rows
    batches = plan_batches(rows, workers=settings.cpu_threads)
    made = await run_all(
        synthesize_speech,
        [
            SynthesizeRequest(
                lines=tuple(rows[p] for p in batch),
                language=target,
                choice=tts,
                fallback=choose_fallback_tts(settings, chosen=tts, language=target),
                share_per_character=1.0 / max(1, lines.characters),
                refresh=params.refresh,
                **common,
            )
            for batch in batches
        ],
        **fresh,
    )
    spoken = tuple(sorted((s for m in made for s in m.spoken), key=lambda s: s.utterance_id))

    timeline = await run(
        fit_speech,
        FitRequest(
            utterances=utterances.utterances,
            spoken=spoken,
            total_samples=sound.samples,
            rate_hz=sound.rate_hz,
            profile=options.profile,
            **common,
        ),
        **fresh,
    )
    mixed = await run(
        mix_audio,
        MixRequest(
            bed=sound.bed,
            transcript=transcript.transcript,
            timeline=timeline.timeline,
            spoken=spoken,
            background=options.background,
            **common,
        ),
        **fresh,
    )
    subtitles = await run(
        subtitle_video,
        SubtitleRequest(
            lines=lines.lines,
            timeline=timeline.timeline,
            transcript=transcript.transcript,
            target=target,
            fps=media.video.fps if media.video else 0.0,
            **common,
        ),
        **fresh,
    )
    muxed = await run(
        mux_video,
        MuxRequest(
            source=source.source,
            media=media,
            audio_index=audio_index,
            audio=mixed.audio,
            target_srt=subtitles.target_srt,
            source_srt=subtitles.source_srt,
            source_language=language,
            target_language=target,
            subtitles=options.subtitles,
            keep_original_audio=options.keep_original_audio,
            **common,
        ),
        **fresh,
    )
    looking = start(preview_video, PreviewRequest(video=muxed.video, audio=mixed.audio, **common), **fresh)
    stats = tuple(
        r.stats
        for r in (
            source,
            sound,
            detected,
            *chunks,
            transcript,
            utterances,
            lines,
            *made,
            timeline,
            mixed,
            subtitles,
            muxed,
        )
    )
    report = await run(
        build_report,
        ReportRequest(
            source=source.source,
            media=media,
            video=muxed.video,
            video_copied=muxed.video_copied,
            transcript=transcript.transcript,
            lines=lines.lines,
            timeline=timeline.timeline,
            cues=subtitles.cues,
            spoken=spoken,
            mix=mixed.facts,
            choices=tuple(c for c in (stt, mt, tts) if c is not None),
            source_language=language,
            options=options,
            stats=stats,
            **common,
        ),
        **fresh,
    )
    preview = await finish(looking)
    result = JobResult(
        job_id=params.job_id,
        source_language=language,
        target_language=target,
        media_s=media.duration_s,
        verdict=report.verdict,
        message=report.message,
        artifacts=(
            Artifact(name="video", suffix=f"{target}.{muxed.suffix}", ref=muxed.video),
            Artifact(name="subtitles_target_srt", suffix=f"{target}.srt", ref=subtitles.target_srt),
            Artifact(name="subtitles_target_vtt", suffix=f"{target}.vtt", ref=subtitles.target_vtt),
            Artifact(name="subtitles_source_srt", suffix=f"{language}.srt", ref=subtitles.source_srt),
            Artifact(name="subtitles_source_vtt", suffix=f"{language}.vtt", ref=subtitles.source_vtt),
            Artifact(name="subtitles_bilingual_srt", suffix=f"{target}.bilingual.srt", ref=subtitles.bilingual_srt),
            Artifact(name="report", suffix=f"{target}.report.json", ref=report.report),
            *preview.artifacts,
        ),
        stats=(*stats, preview.stats, report.stats),
    )
    done = await run(publish_result, PublishRequest(result=result, **common), **fresh)
    return done.result
