"""From a source to its sentences: what a dub and a transcription have in common, so each finds the other's cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dubline.languages import canonical
from dubline.models import ArtifactRef, EngineChoice, StageStats
from dubline.stages.transcribe import SpeechPlan
from tasks._policies import load
from tasks._run import run, run_all
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
    language: str
    words: int
    stats: tuple[StageStats, ...]


async def hear(
    source: IngestResult, *, audio_index: int, stt: EngineChoice, wanted: str | None, scope: str, refresh: bool
) -> Hearing:
    """Extract the sound, find the speech, recognise it in chunks, join them and cut the words into sentences.

    Args:
        source: What ingest gave.
        audio_index: Stream to listen to.
        stt: The recogniser.
        wanted: Language that is spoken, canonical; None detects it.
        scope: Scope of the cache.
        refresh: Make everything anew.

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
    chunks = await run_all(
        recognise_chunk,
        [
            RecogniseRequest(stt=sound.stt, chunk=c, language=wanted, choice=stt, share=c.speech_s / spoken_s, **common)
            for c in plan.chunks
        ],
        refresh=refresh,
    )
    transcript = await run(
        join_transcript,
        JoinRequest(plan=detected.plan, chunks=tuple(c.result for c in chunks), **common),
        refresh=refresh,
    )
    utterances = await run(
        segment_speech,
        SegmentRequest(transcript=transcript.transcript, duration_s=source.media.duration_s, **common),
        refresh=refresh,
    )
    return Hearing(
        sound=sound,
        speech=detected.plan,
        pause_level_db=detected.pause_level_db,
        transcript=transcript.transcript,
        utterances=utterances.utterances,
        language=wanted or (canonical(transcript.language) if transcript.words else "und"),
        words=transcript.words,
        stats=tuple(r.stats for r in (source, sound, detected, *chunks, transcript, utterances)),
    )
