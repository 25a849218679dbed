"""synthesize: a batch of lines spoken; each line is stored by content as soon as it is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dubline.engines.base import TtsEngine
from dubline.models import EngineChoice, Line, Spoken, StageStats
from dubline.stages.synthesize import speak_lines
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, stage_task, store
from tasks._progress import TRACKER


class SynthesizeRequest(StageRequest):
    lines: tuple[Line, ...]
    language: str
    choice: EngineChoice
    fallback: EngineChoice | None
    share_per_character: float
    refresh: bool = False

    def identity(self):
        return {
            "scope": self.scope,
            "texts": [[line.utterance.id, line.text] for line in self.lines],
            "language": self.language,
            "choice": self.choice.model_dump(mode="json"),
        }


class SynthesizeResult(StageResult):
    spoken: tuple[Spoken, ...]


@stage_task("synthesize", 2, name="synthesize speech")
def synthesize_speech(request: SynthesizeRequest) -> SynthesizeResult:
    """Speak a batch; what an earlier attempt finished is taken from the store."""
    made = 0

    def on_line(line: Line, is_new: bool) -> None:
        nonlocal made
        made += is_new
        TRACKER.add("synthesize", len(line.text) * request.share_per_character, "Speaking")

    @contextmanager
    def fallback() -> Iterator[tuple[TtsEngine, EngineChoice]]:
        assert request.fallback is not None
        with engine(request.fallback) as second:
            yield second, request.fallback

    with engine(request.choice) as tts:
        spoken = speak_lines(
            request.lines,
            tts,
            request.choice,
            store(),
            language=request.language,
            refresh=request.refresh,
            fallback=fallback if request.fallback else None,
            on_line=on_line,
        )
    return SynthesizeResult(spoken=spoken, stats=StageStats(stage="synthesize", made=made, reused=len(spoken) - made))
