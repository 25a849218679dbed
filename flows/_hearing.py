"""From a source to its sentences: what a dub and a transcription have in common, so each finds the other's cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dubline.languages import canonical
from dubline.models import ArtifactRef, EngineChoice, StageStats
from dubline.stages.transcribe import SpeechPlan, agreed_language
from tasks._policies import load
from tasks._run import run, run_all
from tasks.diarize_speakers import DiarizeRequest, diarize_speakers
from tasks.extract_audio import ExtractRequest, ExtractResult, extract_audio
from tasks.ingest_video import IngestResult
from tasks.segment_speech import SegmentRequest, segment_speech
from tasks.transcribe_speech import (
    DetectRequest,
    JoinRequest,
    RecogniseRequest,
    find_speech_spans,
    join_transcript,
    recognise_chunk,
)


@dataclass(frozen=True)
class Hearing:
    """What was heard. `language` is the one asked for, else the one recognised, else `und`.

    `speech` says where somebody speaks; `pause_level_db` how loud the pauses are against it.
    """

    sound: ExtractResult
    speech: ArtifactRef
    pause_level_db: float | None
    transcript: ArtifactRef
    utterances: ArtifactRef
    speakers: ArtifactRef | None
    language: str
    words: int
    stats: tuple[StageStats, ...]


async def hear(
    source: IngestResult,
    *,
    audio_index: int,
    stt: EngineChoice,
    wanted: str | None,
    scope: str,
    refresh: bool,
    diarizer: EngineChoice | None = None,
    speakers: int | None = None,
) -> Hearing:
    """Extract the sound, find the speech, recognise it in chunks, join them and cut the words into sentences.

    With a diarizer, who speaks is found too, and no sentence is two speakers'.

    Args:
        source: What ingest gave.
        audio_index: Stream to listen to.
        stt: The recogniser.
        wanted: Language that is spoken, canonical; None detects it.
        scope: Scope of the cache.
        refresh: Make everything anew.
        diarizer: Tells voices apart; None takes everybody for one speaker.
        speakers: How many speak; None finds it out.

    Raises:
        InputError: `transcript_unusable`.
        DublineError: any other reason why a stage failed.
    """
    common: dict[str, Any] = {"scope": scope}
    sound = await run(
        extract_audio,
        ExtractRequest(source=source.source, media=source.media, audio_index=audio_index, **common),
        refresh=refresh,
    )
    detected = await run(find_speech_spans, DetectRequest(stt=sound.stt, **common), refresh=refresh)
    plan: SpeechPlan = load(detected.plan, SpeechPlan)
    spoken_s = sum(c.speech_s for c in plan.chunks) or 1.0
    asked = [
        RecogniseRequest(stt=sound.stt, chunk=c, language=wanted, choice=stt, share=c.speech_s / spoken_s, **common)
        for c in plan.chunks
    ]
    chunks = await run_all(recognise_chunk, asked, refresh=refresh)
    if len({c.language for c in chunks}) > 1:
        # A chunk alone may take its language for another; there is one for all, and those are heard again in it.
        language = agreed_language(plan.chunks, [(c.language, c.certainty) for c in chunks])
        again = [a.model_copy(update={"language": language, "share": 0.0}) for a in asked]  # counted already
        chunks = [
            c if c.language == language else await run(recognise_chunk, a, refresh=refresh)
            for c, a in zip(chunks, again, strict=True)
        ]
    transcript = await run(
        join_transcript,
        JoinRequest(plan=detected.plan, chunks=tuple(c.result for c in chunks), **common),
        refresh=refresh,
    )
    told_apart = None
    if diarizer is not None:
        told_apart = await run(
            diarize_speakers,
            DiarizeRequest(stt=sound.stt, plan=detected.plan, choice=diarizer, speakers=speakers, **common),
            refresh=refresh,
        )
    utterances = await run(
        segment_speech,
        SegmentRequest(
            transcript=transcript.transcript,
            duration_s=source.media.duration_s,
            speakers=told_apart.speakers if told_apart else None,
            **common,
        ),
        refresh=refresh,
    )
    return Hearing(
        sound=sound,
        speech=detected.plan,
        pause_level_db=detected.pause_level_db,
        transcript=transcript.transcript,
        utterances=utterances.utterances,
        speakers=told_apart.speakers if told_apart else None,
        language=wanted or (canonical(transcript.language) if transcript.words else "und"),
        words=transcript.words,
        stats=tuple(
            r.stats for r in (source, sound, detected, *chunks, transcript, told_apart, utterances) if r is not None
        ),
    )
