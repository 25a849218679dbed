"""How the flows come from a source to its sentences. The tasks are pretended: this proves their order, not hearing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dubline.models import ArtifactRef, EngineChoice, MediaInfo, Span, StageStats
from dubline.stages.transcribe import Chunk, SpeechPlan
from flows import _hearing
from tasks.ingest_video import IngestResult
from tasks.transcribe_speech import RecogniseRequest, recognise_chunk

REF = ArtifactRef(uri="artifact:blobs/aa/aa", sha256="aa", size_bytes=1, media_type="audio/wav")
STT = EngineChoice(kind="stt", engine="e", version="1", fingerprint="f")
CHUNKS = tuple(Chunk(spans=(Span(start_s=100.0 * n, end_s=100.0 * n + 60),)) for n in range(4))


class Tasks:
    """Answers for tasks: each chunk is heard in the language it is asked for, else in the one it is taken for."""

    def __init__(self, taken_for: list[str]) -> None:
        self.taken_for = taken_for
        self.asked: list[tuple[int, str | None]] = []

    async def run(self, task: Any, request: Any, *, refresh: bool = False) -> Any:
        if task is recognise_chunk:
            return self._hear(request)
        refs = dict.fromkeys(("stt", "plan", "transcript", "utterances"), REF)
        return SimpleNamespace(stats=StageStats(stage="s"), pause_level_db=None, words=9, language="en", **refs)

    def start(self, task: Any, request: Any, *, refresh: bool = False) -> Any:
        assert task is recognise_chunk
        return self._hear(request)

    async def finish(self, future: Any) -> Any:
        return future

    def _hear(self, request: RecogniseRequest) -> Any:
        number = CHUNKS.index(request.chunk)
        self.asked.append((number, request.language))
        language = request.language or self.taken_for[number]
        return SimpleNamespace(stats=StageStats(stage="s"), result=REF, language=language, certainty=0.8)


def hear(tasks: Tasks, monkeypatch: pytest.MonkeyPatch, *, wanted: str | None, refresh: bool = False) -> None:
    monkeypatch.setattr(_hearing, "run", tasks.run)
    monkeypatch.setattr(_hearing, "start", tasks.start)
    monkeypatch.setattr(_hearing, "finish", tasks.finish)
    monkeypatch.setattr(_hearing, "load", lambda _ref, _model: SpeechPlan(duration_s=400, speech=(), chunks=CHUNKS))
    media = MediaInfo(container="mp4", size_bytes=1, duration_s=400)
    source = IngestResult(source=REF, media=media)

    async def all_of_it() -> None:
        listening = await _hearing.listen(
            source, audio_index=0, stt=STT, wanted=wanted, scope="global", fresh={"refresh": refresh}
        )
        await _hearing.hear(listening)

    asyncio.run(all_of_it())


def test_a_chunk_taken_for_another_language_is_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks(["en", "cy", "en", "en"])
    hear(tasks, monkeypatch, wanted=None)
    assert tasks.asked == [(0, None), (1, None), (2, None), (3, None), (1, "en")]


@pytest.mark.parametrize("wanted", [None, "pt-BR"])
def test_chunks_that_agree_are_heard_once(wanted: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks(["en"] * 4)
    hear(tasks, monkeypatch, wanted=wanted)
    assert tasks.asked == [(n, wanted) for n in range(4)]


@pytest.mark.parametrize(("is_known", "refresh", "loads"), [(False, False, 1), (True, False, 0), (True, True, 1)])
def test_the_recogniser_loads_beside_the_extraction_where_there_is_one(
    is_known: bool, refresh: bool, loads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[EngineChoice] = []
    monkeypatch.setattr(_hearing, "load_ahead", loaded.append)
    monkeypatch.setattr(_hearing, "recall", lambda task, request: SimpleNamespace() if is_known else None)
    hear(Tasks(["en"] * 4), monkeypatch, wanted=None, refresh=refresh)
    assert loaded == [STT] * loads
