"""Work on one file that does not dub it: its sound as a file, or what is said in it."""

from __future__ import annotations

from typing import Any

from prefect import flow

from dubline.contract import MEDIA_STAGES, Artifact, JobResult, ProcessMediaParams
from dubline.engines.registry import choose_stt
from dubline.languages import canonical, from_tag, name
from dubline.settings import get_settings
from dubline.stages.ingest import choose_audio
from flows._hearing import hear, listen
from flows._job import JOB_FLOW, job_run
from tasks._run import run
from tasks.encode_audio import EncodeRequest, encode_audio
from tasks.ingest_video import IngestRequest, IngestResult, ingest_video
from tasks.publish_result import PublishRequest, publish_result
from tasks.write_texts import TranscriptRequest, write_transcript

_DONE = "done"


@flow(name="process_media", **JOB_FLOW)
async def process_media(params: ProcessMediaParams) -> JobResult:
    """Extract the sound of one file, or write down what is said in it.

    Args:
        params: Source, kind of job and options; nothing secret, since Prefect stores them in clear.

    Raises:
        DublineError: The typed reason why it cannot be done.
    """
    with job_run(params.job_id, MEDIA_STAGES[params.job_type]):
        work = {"audio_extraction": _extract, "transcription": _transcribe}[params.job_type]
        result = await work(params)
        done = await run(publish_result, PublishRequest(result=result, attempt=params.attempt, scope=params.scope))
        return done.result


async def _ingest(params: ProcessMediaParams) -> tuple[IngestResult, int, str | None]:
    """The source, the stream to listen to, and the language that was named."""
    wanted = canonical(params.options.source_language) if params.options.source_language else None
    source = await run(
        ingest_video, IngestRequest(source_uri=params.source_uri, scope=params.scope), refresh=params.refresh
    )
    return source, choose_audio(source.media, source_language=wanted, target_language=None), wanted


async def _extract(params: ProcessMediaParams) -> JobResult:
    source, audio_index, wanted = await _ingest(params)
    audio_format = params.options.audio_format
    encoded = await run(
        encode_audio,
        EncodeRequest(
            source=source.source,
            media=source.media,
            audio_index=audio_index,
            audio_format=audio_format,
            scope=params.scope,
        ),
        refresh=params.refresh,
    )
    language = wanted or from_tag(source.media.stream(audio_index).language) or "und"
    return JobResult(
        job_id=params.job_id,
        source_language=language,
        target_language="",
        media_s=source.media.duration_s,
        verdict=_DONE,
        message=f"The sound was extracted as {audio_format.upper()}.",
        artifacts=(Artifact(name="audio", suffix=f"audio.{audio_format}", ref=encoded.audio),),
        stats=(source.stats, encoded.stats),
    )


async def _transcribe(params: ProcessMediaParams) -> JobResult:
    options = params.options
    # Settled before any work: an engine that is not here is a reason known at once.
    stt = choose_stt(
        get_settings(),
        engine=options.stt_engine,
        model=options.stt_model,
        language=canonical(options.source_language) if options.source_language else None,
    )
    common: dict[str, Any] = {"scope": params.scope}
    source, audio_index, wanted = await _ingest(params)
    heard = await hear(
        await listen(
            source, audio_index=audio_index, stt=stt, wanted=wanted, fresh={"refresh": params.refresh}, **common
        )
    )
    texts = await run(
        write_transcript,
        TranscriptRequest(
            transcript=heard.transcript,
            utterances=heard.utterances,
            language=heard.language,
            duration_s=source.media.duration_s,
            fps=source.media.video.fps if source.media.video else 0.0,
            **common,
        ),
        refresh=params.refresh,
    )
    language = heard.language
    return JobResult(
        job_id=params.job_id,
        source_language=language,
        target_language="",
        media_s=source.media.duration_s,
        verdict=_DONE,
        message=f"{heard.words} words of {name(language)} were recognised." if heard.words else "Nobody speaks.",
        artifacts=(
            Artifact(name="transcript_json", suffix=f"{language}.transcript.json", ref=texts.document),
            Artifact(name="transcript_txt", suffix=f"{language}.transcript.txt", ref=texts.text),
            Artifact(name="subtitles_source_srt", suffix=f"{language}.srt", ref=texts.srt),
            Artifact(name="subtitles_source_vtt", suffix=f"{language}.vtt", ref=texts.vtt),
        ),
        stats=(*heard.stats, texts.stats),
    )
