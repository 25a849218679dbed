"""The dub of one video: each stage a cached, retriable task; only references travel between them."""

from __future__ import annotations

from typing import Any

from prefect import flow

from dubline.contract import Artifact, JobResult, TranslateVideoParams
from dubline.engines.registry import choose_mt, choose_stt, choose_tts, find_diarizer, settle_separator
from dubline.languages import canonical
from dubline.models import Speakers, StageStats
from dubline.settings import get_settings
from dubline.stages.ingest import choose_audio
from dubline.stages.separate import has_background
from flows._ahead import Ahead
from flows._hearing import agreed, listen, recognise, understand
from flows._job import JOB_FLOW, job_run
from flows._speaking import Speaking
from tasks._engines import release
from tasks._policies import load
from tasks._progress import TRACKER
from tasks._run import finish, is_done, run, start
from tasks.build_report import ReportRequest, build_report
from tasks.extract_audio import BedRequest, extract_bed_audio
from tasks.fit_speech import FitRequest, fit_speech
from tasks.ingest_video import IngestRequest, ingest_video
from tasks.judge_translation import JudgeRequest, judge_translation
from tasks.mix_audio import MixRequest, mix_audio
from tasks.mux_video import MuxRequest, mux_video
from tasks.preview_picture import PictureRequest, PictureResult, preview_picture
from tasks.preview_sound import SoundRequest, preview_sound
from tasks.publish_result import PublishRequest, publish_result
from tasks.separate_sound import SeparateRequest, separate_sound
from tasks.subtitle_video import SubtitleRequest, subtitle_video
from tasks.translate_text import EditRequest, Lines, TranslateRequest, apply_line_edits, translate_text
from tasks.write_texts import TranscriptRequest, TranslationRequest, write_transcript, write_translation


@flow(name="translate_video", **JOB_FLOW)
async def translate_video(params: TranslateVideoParams) -> JobResult:
    """Dub one video.

    Args:
        params: Source, target language and options; nothing secret, since Prefect stores them in clear.

    Raises:
        DublineError: The typed reason why the video cannot be dubbed.
    """
    with job_run(params.job_id):
        return await _dub(params)


async def _dub(params: TranslateVideoParams) -> JobResult:
    settings, options = get_settings(), params.options
    target = canonical(options.target_language)
    wanted = canonical(options.source_language) if options.source_language else None
    common: dict[str, Any] = {"scope": params.scope}
    fresh: dict[str, Any] = {"refresh": params.refresh, "edited": bool(options.edits)}
    stt = choose_stt(settings, engine=options.stt_engine, model=options.stt_model, language=wanted)
    tts = choose_tts(settings, engine=options.tts_engine, language=target, voice=options.tts_voice)
    separator = settle_separator(settings, background=options.background, is_simulated=stt.engine == "simulated")
    diarizer, one_voice = find_diarizer(settings, options.speakers, beside=stt)

    source = await run(ingest_video, IngestRequest(source_uri=params.source_uri, **common), **fresh)
    media = source.media
    audio_index = choose_audio(media, source_language=wanted, target_language=target)
    # Beside the finding of speech, which needs none of it.
    bedding = start(
        extract_bed_audio, BedRequest(source=source.source, media=media, audio_index=audio_index, **common), **fresh
    )
    listening = await listen(
        source,
        audio_index=audio_index,
        stt=stt,
        wanted=wanted,
        scope=params.scope,
        fresh=fresh,
        diarizer=diarizer,
        speakers=options.speakers if isinstance(options.speakers, int) else None,
    )
    sound = await finish(bedding)
    speakers = load(listening.speakers, Speakers).speakers if listening.speakers else ()
    speaking = Speaking(
        tts, target, options, speakers or (listening.everybody,), settings, common=common, refresh=params.refresh
    )

    if one_voice and speaking.is_cast_by_pitch:
        one_voice += f" The voice was chosen by the pitch of the speech, {listening.plan.pitch_hz:.0f} Hz."

    # What a person edits has been watched before, and most of it is made: nothing is gained ahead.
    ahead = None
    if listening.plan.head and not options.edits:
        ahead = Ahead(listening, sound, speaking, target=target, options=options, settings=settings)
        results = await ahead.recognise(params.job_id)
    else:
        results = [await finish(future) for future in recognise(listening, listening.plan.chunks)]
    heard = await understand(listening, await agreed(listening, results))
    language = heard.language

    background = None
    # Where there is nothing to hear but the voice, ducking it does the same for nothing.
    has_more = has_background(listening.detected.pause_level_db)
    if separator and heard.words and (options.background == "separate" or has_more):
        request = SeparateRequest(bed=sound.bed, plan=listening.detected.plan, choice=separator, **common)
        background = await run(separate_sound, request, **fresh)

    mt = None
    if heard.words:
        mt = choose_mt(
            settings, engine=options.translation_engine, model=options.translation_model, source=language, target=target
        )
    base = await run(
        translate_text,
        TranslateRequest(
            utterances=heard.utterances,
            source=language,
            target=target,
            glossary=options.glossary,
            choice=mt,
            **common,
        ),
        **fresh,
    )
    lines, utterances = base, heard.utterances
    if options.edits:
        edits = EditRequest(lines=base.lines, edits=options.edits, media_s=media.duration_s, **common)
        lines = await run(apply_line_edits, edits, **fresh)
        utterances = lines.utterances

    rows = load(lines.lines, Lines).rows
    judge = JudgeRequest(
        base=base.lines,
        lines=lines.lines,
        source_language=language,
        target_language=target,
        glossary=options.glossary,
        used=mt,
        refresh=params.refresh,
        **common,
    )
    # A changed line leaves a core idle while it is spoken, all lines of a dub do not.
    judging = start(judge_translation, judge, **fresh) if options.edits else None
    speaking.add_voices(rows)
    held = ahead.holds(rows) if ahead else {}
    known = speaking.stored(rows) if options.edits else []
    left = [row for row in rows if row.utterance.id not in held.keys() | {s.utterance_id for s in known}]
    TRACKER.reach("synthesize")
    speaking_on = speaking.start(left, share=1.0 - ahead.share if ahead else 1.0)
    spoken_ahead = await ahead.spoken(held) if ahead else []
    made = [await finish(future) for future in speaking_on]
    release("tts")
    spoken = tuple(sorted((*known, *spoken_ahead, *(s for m in made for s in m.spoken)), key=lambda s: s.utterance_id))

    timeline = await run(
        fit_speech,
        FitRequest(
            utterances=utterances,
            transcript=heard.transcript,
            spoken=spoken,
            total_samples=sound.samples,
            rate_hz=sound.rate_hz,
            profile=options.profile,
            **common,
        ),
        **fresh,
    )
    # Texts take no time worth waiting for: they are made beside the sound.
    subtitling = start(
        subtitle_video,
        SubtitleRequest(
            lines=lines.lines,
            timeline=timeline.timeline,
            transcript=heard.transcript,
            target=target,
            fps=media.video.fps if media.video else 0.0,
            **common,
        ),
        **fresh,
    )
    writing = start(
        write_transcript,
        TranscriptRequest(
            transcript=heard.transcript,
            utterances=utterances,
            language=language,
            duration_s=media.duration_s,
            fps=media.video.fps if media.video else 0.0,
            **common,
        ),
        **fresh,
    )
    translating = start(
        write_translation,
        TranslationRequest(
            lines=lines.lines,
            timeline=timeline.timeline,
            spoken=spoken,
            source=language,
            target=target,
            **common,
        ),
        **fresh,
    )
    # So is what needs no finished sound: texts translated back, and stills of a picture that stays as it is.
    looking = None
    if options.subtitles != "burned":
        looking = start(preview_picture, PictureRequest(video=source.source, media=media, **common), **fresh)
    judging = judging or start(judge_translation, judge, **fresh)
    mixed = await run(
        mix_audio,
        MixRequest(
            bed=sound.bed,
            levels=sound.levels,
            separated=background.background if background else None,
            separated_levels=background.levels if background else None,
            transcript=heard.transcript,
            timeline=timeline.timeline,
            spoken=spoken,
            background=options.background,
            target_language=target,
            refresh=params.refresh,
            **common,
        ),
        **fresh,
    )
    subtitles = await finish(subtitling)

    def heard_with(seen: PictureResult) -> SoundRequest:
        return SoundRequest(audio=mixed.audio, clip=seen.clip, clip_at_s=seen.clip_at_s, **common)

    picture = previewing = None
    if looking is not None and is_done(looking):  # as after an edit; else it waits for the video, too
        picture = await finish(looking)
        previewing = start(preview_sound, heard_with(picture), **fresh)
    muxed = await run(  # in the flow's own thread: the others may all be taken
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
            refresh=params.refresh,
            **common,
        ),
        **fresh,
    )
    if looking is None:
        looking = start(preview_picture, PictureRequest(video=muxed.video, media=None, **common), **fresh)
    picture = picture or await finish(looking)
    previewing = previewing or start(preview_sound, heard_with(picture), **fresh)
    texts, translation, judged = await finish(writing), await finish(translating), await finish(judging)
    parts = (
        sound,
        base,
        *((lines,) if options.edits else ()),
        *made,
        timeline,
        mixed,
        subtitles,
        muxed,
        texts,
        translation,
        judged,
    )
    if background:
        parts = (background, *parts)
    stats = (*heard.stats, *(ahead.stats if ahead else ()), *(part.stats for part in parts))
    if known:
        stats = (*stats, StageStats(stage="synthesize", reused=len(known)))
    report = await run(
        build_report,
        ReportRequest(
            source=source.source,
            media=media,
            video=muxed.video,
            video_copied=muxed.video_copied,
            transcript=heard.transcript,
            lines=lines.lines,
            translation=judged.translation,
            timeline=timeline.timeline,
            cues=subtitles.cues,
            spoken=spoken,
            mix=mixed.facts,
            bed=sound.bed,
            measured_bed=sound.measured,
            background=background.background if background else None,
            choices=tuple(
                c for c in (stt, diarizer, mt, *speaking.voices, separator if background else None) if c is not None
            ),
            speakers=speakers,
            casting=speaking.casting,
            one_voice=one_voice,
            source_language=language,
            options=options,
            stats=stats,
            refresh=params.refresh,
            **common,
        ),
        **fresh,
    )
    preview = await finish(previewing)
    # Where nobody speaks, the language that was named may be the target: no two files may have one name.
    original = language if language != target else f"{language}.source"
    stems: tuple[Artifact, ...] = ()
    if background:
        stems = (Artifact(name="audio_background", suffix=f"{original}.background.wav", ref=background.background),)
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
            Artifact(name="subtitles_source_srt", suffix=f"{original}.srt", ref=subtitles.source_srt),
            Artifact(name="subtitles_source_vtt", suffix=f"{original}.vtt", ref=subtitles.source_vtt),
            Artifact(name="subtitles_bilingual_srt", suffix=f"{target}.bilingual.srt", ref=subtitles.bilingual_srt),
            Artifact(name="report", suffix=f"{target}.report.json", ref=report.report),
            Artifact(name="transcript_json", suffix=f"{original}.transcript.json", ref=texts.document),
            Artifact(name="transcript_txt", suffix=f"{original}.transcript.txt", ref=texts.text),
            Artifact(name="translation_json", suffix=f"{target}.translation.json", ref=translation.document),
            Artifact(name="translation_txt", suffix=f"{target}.translation.txt", ref=translation.text),
            Artifact(name="lines_json", suffix=f"{target}.lines.json", ref=base.lines),
            Artifact(name="audio_dubbed", suffix=f"{target}.audio.wav", ref=mixed.audio),
            Artifact(name="audio_source", suffix=f"{original}.audio.wav", ref=sound.bed),
            *stems,
            *preview.artifacts,
            *picture.artifacts,
        ),
        stats=(*stats, picture.stats, preview.stats, report.stats),
        revision=params.revision,
    )
    done = await run(publish_result, PublishRequest(result=result, attempt=params.attempt, **common), **fresh)
    return done.result
