"""The first minute of a dub, made ahead of the rest, so that it can be watched while that is made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from prefect.futures import PrefectFuture

from dubline.engines.registry import choose_mt
from dubline.errors import EngineError, InputError, MediaError
from dubline.models import ArtifactRef, DubOptions, Line, Spoken, StageStats
from dubline.settings import Settings
from dubline.stages.beginning import is_early
from flows._hearing import Listening, recognise, understand
from flows._job import offer_first_minute
from flows._speaking import Speaking
from tasks._policies import load
from tasks._progress import TRACKER
from tasks._run import finish, run
from tasks.preview_beginning import BeginningRequest, preview_beginning
from tasks.synthesize_speech import SynthesizeResult
from tasks.transcribe_speech import RecogniseResult
from tasks.translate_text import Lines, LinesResult, TranslateRequest, translate_text

_BATCH_S = 8.0  # small, so that both cores end the minute together


@dataclass
class Beginning:
    """What is said in the first minute, being spoken. `share` is how much of all speech it is."""

    chunks: list[RecogniseResult]
    share: float
    transcript: ArtifactRef | None = None
    lines: tuple[Line, ...] = ()
    spoken: tuple[Spoken, ...] = ()
    stats: tuple[StageStats, ...] = ()
    _speaking: Sequence[PrefectFuture[SynthesizeResult]] = ()

    async def show(self, job_id: str, listening: Listening, target: str, options: DubOptions) -> None:
        """Wait until it is spoken, put it together and offer it.

        Raises:
            DublineError: a line could not be spoken.
        """
        if not self.lines or self.transcript is None:
            return
        made = [await finish(future) for future in self._speaking]
        self.spoken = tuple(s for m in made for s in m.spoken)
        self.stats += tuple(m.stats for m in made)
        request = BeginningRequest(
            source=listening.source.source,
            media=listening.source.media,
            bed=listening.sound.bed,
            transcript=self.transcript,
            utterances=tuple(line.utterance for line in self.lines),
            spoken=self.spoken,
            rate_hz=listening.sound.rate_hz,
            profile=options.profile,
            background=options.background,
            target=target,
            **listening.common,
        )
        with suppress(MediaError):  # the whole does not need it; its own task run shows what went wrong
            shown = await run(preview_beginning, request, **listening.fresh)
            offer_first_minute(job_id, shown.artifact)
            self.stats += (shown.stats,)

    def taken(self, lines: Sequence[Line], speaking: Speaking) -> dict[str, Spoken]:
        """Lines of the whole that are spoken already, by utterance id: those with the same text in the same voice."""
        own = {s.utterance_id: s for s in self.spoken}
        known = {(line.text, speaking.voice_of(line)): own[line.utterance.id] for line in self.lines if own}
        found = {line.utterance.id: known.get((line.text, speaking.voice_of(line))) for line in lines}
        return {i: s.model_copy(update={"utterance_id": i}) for i, s in found.items() if s is not None}


async def begin(
    listening: Listening, speaking: Speaking, *, target: str, options: DubOptions, settings: Settings
) -> Beginning:
    """Recognise the first chunks, translate what they say and start to speak it, before the rest is listened to.

    What is understood of them alone may differ from what the whole makes of them, at its end above all; then the
    whole counts, and such a line is spoken again.
    """
    head = listening.plan.chunks[: listening.plan.head]
    chunks = [await finish(future) for future in recognise(listening, head)]
    total_s = sum(c.speech_s for c in listening.plan.chunks)
    beginning = Beginning(chunks=chunks, share=sum(c.speech_s for c in head) / total_s)
    if len({c.language for c in chunks}) > 1:
        return beginning  # the rest will tell which it is
    with suppress(InputError, EngineError), TRACKER.ahead():  # whatever is wrong, the whole says so, or does not mind
        heard = await understand(listening, chunks)
        if not heard.words:
            return beginning
        mt = choose_mt(
            settings,
            engine=options.translation_engine,
            model=options.translation_model,
            source=heard.language,
            target=target,
        )
        request = TranslateRequest(
            utterances=heard.utterances,
            source=heard.language,
            target=target,
            glossary=options.glossary,
            choice=mt,
            **listening.common,
        )
        translated: LinesResult = await run(translate_text, request, **listening.fresh)
        beginning.transcript = heard.transcript
        beginning.lines = tuple(r for r in load(translated.lines, Lines).rows if is_early(r.utterance))
        beginning.stats = (translated.stats,)
    beginning._speaking = speaking.start(beginning.lines, share=beginning.share, least_s=_BATCH_S)
    return beginning
