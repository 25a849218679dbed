"""From a source to its sentences: what a dub and a transcription have in common, so each finds the other's cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dubline.languages import canonical
from dubline.models import ArtifactRef, EngineChoice, Speaker, StageStats
from dubline.stages.transcribe import Chunk, SpeechPlan, agreed_language
from tasks._engines import load_ahead
from tasks._policies import load
from tasks._run import Started, finish, recall, run, start
from tasks.diarize_speakers import DiarizeRequest, DiarizeResult, diarize_speakers
from tasks.extract_audio import SpeechRequest, SpeechResult, extract_speech_audio
from tasks.ingest_video import IngestResult
from tasks.segment_speech import SegmentRequest, SegmentResult, segment_speech
from tasks.transcribe_speech import (
    DetectRequest,
    DetectResult,
    JoinRequest,
    JoinResult,
    RecogniseRequest,
    RecogniseResult,
    find_speech_spans,
    join_transcript,
    recognise_chunk,
)


@dataclass(frozen=True)
class Listening:
    """What is known before a word is: the sound, where and, with a diarizer, who speaks; and how to go on."""

    source: IngestResult
    sound: SpeechResult
    detected: DetectResult
    plan: SpeechPlan
    told_apart: DiarizeResult | None
    stt: EngineChoice
    wanted: str | None
    common: dict[str, Any]
    fresh: dict[str, Any]

    @property
    def everybody(self) -> Speaker:
        """All who speak, taken for one."""
        return Speaker(label="S1", pitch_hz=self.plan.pitch_hz, speech_s=sum(s.duration_s for s in self.plan.speech))

    @property
    def speakers(self) -> ArtifactRef | None:
        return self.told_apart.speakers if self.told_apart else None


@dataclass(frozen=True)
class Hearing:
    """What was heard. `language` is the one asked for, else the one recognised, else `und`."""

    transcript: ArtifactRef
    utterances: ArtifactRef
    language: str
    words: int
    stats: tuple[StageStats, ...]


async def listen(
    source: IngestResult,
    *,
    audio_index: int,
    stt: EngineChoice,
    wanted: str | None,
    scope: str,
    fresh: dict[str, Any],
    diarizer: EngineChoice | None = None,
    speakers: int | None = None,
) -> Listening:
    """Extract the sound for the recogniser, find the speech, and with a diarizer who speaks.

    Args:
        source: What ingest gave.
        audio_index: Stream to listen to.
        stt: The recogniser.
        wanted: Language that is spoken, canonical; None detects it.
        scope: Scope of the cache.
        fresh: Whether everything is made anew, and whether most is known from before an edit (as `run` takes them).
        diarizer: Tells voices apart; None takes everybody for one speaker.
        speakers: How many speak; None finds it out.

    Raises:
        DublineError: the reason why a stage failed.
    """
    common = {"scope": scope}
    asked = SpeechRequest(source=source.source, media=source.media, audio_index=audio_index, **common)
    if fresh["refresh"] or recall(extract_speech_audio, asked) is None:
        load_ahead(stt)
    sound = await run(extract_speech_audio, asked, **fresh)
    detected = await run(find_speech_spans, DetectRequest(stt=sound.stt, **common), **fresh)
    told_apart = None
    if diarizer is not None:
        request = DiarizeRequest(stt=sound.stt, plan=detected.plan, choice=diarizer, speakers=speakers, **common)
        told_apart = await run(diarize_speakers, request, **fresh)
    plan = load(detected.plan, SpeechPlan)
    return Listening(source, sound, detected, plan, told_apart, stt, wanted, common, fresh)


def recognise(listening: Listening, chunks: Sequence[Chunk]) -> list[Started[RecogniseResult]]:
    """Start to recognise chunks, both cores at once."""
    return [start(recognise_chunk, _asked(listening, c, listening.wanted), **listening.fresh) for c in chunks]


def are_known(listening: Listening, chunks: Sequence[Chunk]) -> bool:
    """Whether there are any, and all were recognised before and are not to be again."""
    if listening.fresh["refresh"] or not chunks:
        return False
    return all(recall(recognise_chunk, _asked(listening, c, listening.wanted)) is not None for c in chunks)


async def agreed(listening: Listening, results: Sequence[RecogniseResult]) -> list[RecogniseResult]:
    """All chunks in one language: one alone may take its own for another, and is heard again in that of all."""
    chunks = listening.plan.chunks
    if len({r.language for r in results}) <= 1:
        return list(results)
    language = agreed_language(chunks, [(r.language, r.certainty) for r in results])
    again = [_asked(listening, c, language, is_counted=True) for c in chunks]
    return [
        r if r.language == language else await run(recognise_chunk, a, **listening.fresh)
        for r, a in zip(results, again, strict=True)
    ]


def _asked(listening: Listening, chunk: Chunk, language: str | None, *, is_counted: bool = False) -> RecogniseRequest:
    spoken_s = sum(c.speech_s for c in listening.plan.chunks) or 1.0
    return RecogniseRequest(
        stt=listening.sound.stt,
        chunk=chunk,
        language=language,
        choice=listening.stt,
        share=0.0 if is_counted else chunk.speech_s / spoken_s,
        **listening.common,
    )


async def understand(listening: Listening, chunks: Sequence[RecogniseResult]) -> Hearing:
    """Join what was recognised and cut its words into sentences; none is two speakers'.

    Raises:
        InputError: `transcript_unusable`.
        DublineError: any other reason why a stage failed.
    """
    request = JoinRequest(plan=listening.detected.plan, chunks=tuple(c.result for c in chunks), **listening.common)
    transcript: JoinResult = await run(join_transcript, request, **listening.fresh)
    utterances: SegmentResult = await run(
        segment_speech,
        SegmentRequest(
            transcript=transcript.transcript,
            duration_s=listening.source.media.duration_s,
            speakers=listening.speakers,
            **listening.common,
        ),
        **listening.fresh,
    )
    made = (
        listening.source,
        listening.sound,
        listening.detected,
        *((listening.told_apart,) if listening.told_apart else ()),
        *chunks,
        transcript,
        utterances,
    )
    return Hearing(
        transcript=transcript.transcript,
        utterances=utterances.utterances,
        language=listening.wanted or (canonical(transcript.language) if transcript.words else "und"),
        words=transcript.words,
        stats=tuple(part.stats for part in made),
    )


async def hear(listening: Listening) -> Hearing:
    """Recognise all of it, and understand it.

    Raises:
        DublineError: as `understand`.
    """
    results = [await finish(f) for f in recognise(listening, listening.plan.chunks)]
    return await understand(listening, await agreed(listening, results))
