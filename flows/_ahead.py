"""Parts of a dub made before the whole is understood: the first minute to be watched, and no core waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dubline.engines.registry import choose_mt
from dubline.errors import EngineError, InputError, MediaError
from dubline.models import ArtifactRef, DubOptions, Line, Spoken, StageStats
from dubline.settings import Settings
from dubline.stages.beginning import is_early
from dubline.stages.transcribe import Chunk
from flows._hearing import Listening, are_known, recognise, understand
from flows._job import offer_first_minute
from flows._speaking import Speaking
from tasks._engines import load_ahead
from tasks._policies import load
from tasks._progress import TRACKER
from tasks._run import Started, finish, recall, run
from tasks.extract_audio import BedResult
from tasks.preview_beginning import BeginningRequest, preview_beginning
from tasks.synthesize_speech import SynthesizeResult
from tasks.transcribe_speech import RecogniseResult
from tasks.translate_text import Lines, LinesResult, TranslateRequest, translate_text

_LINES_A_CORE = 2


@dataclass(frozen=True)
class _Part:
    """What single chunks say: lines that may be spoken before the rest is known, and the share of all speech."""

    transcript: ArtifactRef
    lines: tuple[Line, ...]
    share: float


class Ahead:
    """Recognises, translates and speaks chunk by chunk.

    What is understood of a chunk alone may differ from what the whole makes of it, at its end above all: its last line
    is left to the whole, and a line that comes out otherwise there is spoken again.
    """

    def __init__(
        self,
        listening: Listening,
        bed: BedResult,
        speaking: Speaking,
        *,
        target: str,
        options: DubOptions,
        settings: Settings,
    ) -> None:
        self._listening, self._bed, self._speaking = listening, bed, speaking
        self._target, self._options, self._settings = target, options, settings
        self._language = ""
        self._lines: list[Line] = []
        self._futures: list[Started[SynthesizeResult]] = []
        self._spoken: dict[str, Spoken] = {}
        self.share = 0.0
        self.stats: tuple[StageStats, ...] = ()

    async def recognise(self, job_id: str) -> list[RecogniseResult]:
        """Recognise all chunks; speak those before the last as they come, the first minute first, and show it.

        Raises:
            DublineError: the reason why a stage failed.
        """
        chunks, count = self._listening.plan.chunks, self._listening.plan.head
        results: list[RecogniseResult] = []
        minute: list[Started[SynthesizeResult]] = []
        for number, future in enumerate(recognise(self._listening, chunks[:count]), 1):
            results.append(await finish(future))
            if number < count:  # the next one leaves a core free
                first = await self._understood(chunks[:number], results)
                minute += self._start(first.lines[:-1] if first else (), first)
        beginning = await self._understood(chunks[:count], results)
        early = [line for line in beginning.lines if is_early(line.utterance)] if beginning else []
        minute += self._start(early, beginning)
        is_rest_known = are_known(self._listening, chunks[count:])
        # Both take all cores: the last line is spoken by every one, and the sound is encoded by every one.
        if beginning and not is_rest_known:
            await self._show(job_id, beginning, early, minute)
        others = recognise(self._listening, chunks[count:])
        if beginning:
            self._start([line for line in beginning.lines[:-1] if not is_early(line.utterance)], beginning)
        for number, future in enumerate(others, count + 1):
            results.append(await finish(future))
            if number < len(chunks) and beginning:
                part = await self._understood(chunks[number - 1 : number], results[-1:])
                # As many as keep the cores busy until the whole is translated, which shares out the others best.
                longest = sorted(part.lines[:-1] if part else (), key=lambda line: -len(line.text))
                self._start(longest[: _LINES_A_CORE * self._settings.cpu_threads], part)
        # With nothing left to recognise, as in another language, speaking goes on while it is put together.
        if beginning and is_rest_known:
            await self._show(job_id, beginning, early, minute)
        return results

    def holds(self, lines: Sequence[Line]) -> dict[str, str]:
        """Which lines of the whole are among those spoken ahead, with the same text in the same voice: id by id."""
        known = {(line.text, self._speaking.voice_of(line)): line.utterance.id for line in self._lines}
        found = {line.utterance.id: known.get((line.text, self._speaking.voice_of(line))) for line in lines}
        return {whole: own for whole, own in found.items() if own is not None}

    async def spoken(self, held: Mapping[str, str]) -> list[Spoken]:
        """Wait for what is spoken ahead, and give what `holds` found.

        Raises:
            DublineError: a line could not be spoken.
        """
        await self._finish(self._futures)
        return [self._held(whole, own) for whole, own in held.items()]

    def _held(self, whole: str, own: str) -> Spoken:
        return self._spoken[own].model_copy(update={"utterance_id": whole})

    async def _understood(self, chunks: Sequence[Chunk], results: Sequence[RecogniseResult]) -> _Part | None:
        """What the chunks say in the target language; None when only the whole can tell."""
        languages = {r.language for r in results} | ({self._language} if self._language else set())
        if len(languages) > 1:
            return None
        with suppress(InputError, EngineError), TRACKER.ahead():  # whatever is wrong, the whole says so
            heard = await understand(self._listening, results)
            if not heard.words:
                return None
            mt = choose_mt(
                self._settings,
                engine=self._options.translation_engine,
                model=self._options.translation_model,
                source=heard.language,
                target=self._target,
            )
            request = TranslateRequest(
                utterances=heard.utterances,
                source=heard.language,
                target=self._target,
                glossary=self._options.glossary,
                choice=mt,
                **self._listening.common,
            )
            if self._listening.fresh["refresh"] or recall(translate_text, request) is None:
                load_ahead(self._speaking.tts)  # what is new will be spoken next
            translated: LinesResult = await run(translate_text, request, **self._listening.fresh)
            self._language = results[0].language
            self.stats += (translated.stats,)
            spoken_s = sum(c.speech_s for c in self._listening.plan.chunks)
            share = sum(c.speech_s for c in chunks) / spoken_s
            return _Part(heard.transcript, load(translated.lines, Lines).rows, share)
        return None

    def _start(self, lines: Sequence[Line], part: _Part | None) -> list[Started[SynthesizeResult]]:
        held = self.holds(lines)
        lines = [line for line in lines if line.utterance.id not in held]
        if part is None or not lines:
            return []
        share = part.share * len(lines) / len(part.lines)
        futures = self._speaking.start(lines, share=share)
        self.share += share
        self._lines += lines
        self._futures += futures
        return futures

    async def _finish(self, futures: Sequence[Started[SynthesizeResult]]) -> None:
        for future in futures:
            made = await finish(future)
            self._spoken |= {s.utterance_id: s for s in made.spoken}
            self.stats += (made.stats,)
        self._futures = [f for f in self._futures if f not in futures]

    async def _show(
        self, job_id: str, part: _Part, early: Sequence[Line], speaking: Sequence[Started[SynthesizeResult]]
    ) -> None:
        """Put the first minute together, when its lines are spoken, and offer it."""
        if not early:
            return
        await self._finish(speaking)
        source = self._listening.source
        held = self.holds(early)
        request = BeginningRequest(
            source=source.source,
            media=source.media,
            bed=self._bed.bed,
            levels=self._bed.levels,
            transcript=part.transcript,
            utterances=tuple(line.utterance for line in early),
            spoken=tuple(self._held(whole, own) for whole, own in held.items()),
            rate_hz=self._bed.rate_hz,
            profile=self._options.profile,
            background=self._options.background,
            target=self._target,
            **self._listening.common,
        )
        with suppress(MediaError):  # the whole does not need it; its own task run shows what went wrong
            shown = await run(preview_beginning, request, **self._listening.fresh)
            offer_first_minute(job_id, shown.artifact)
            self.stats += (shown.stats,)
