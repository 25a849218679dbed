"""A dub is begun before all of it is heard, and no sentence is translated twice for that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from dubline.engines.base import MtResult
from dubline.errors import EngineOutputInvalid
from dubline.models import ArtifactRef, DubOptions, EngineChoice, Span
from dubline.settings import Settings
from dubline.stages.transcribe import Chunk
from flows import _ahead
from tasks.translate_text import _Once

REF = ArtifactRef(uri="artifact:blobs/00/0", sha256="0" * 64, size_bytes=1, media_type="application/json")
CHUNK = Chunk(spans=(Span(start_s=0, end_s=9),))
CHOICE = EngineChoice(kind="mt", engine="counting", version="1", fingerprint="")


class _Counting:
    """Says each sentence in capitals, and remembers what it was asked."""

    def __init__(self, *, loses: int = 0) -> None:
        self.asked: list[str] = []
        self._loses = loses

    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        self.asked += sentences
        rows = [MtResult(candidates=(s.upper(), source, target)) for s in sentences]
        return rows[: len(rows) - self._loses]

    def close(self) -> None:
        return


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Once, "_known", {})


def test_a_sentence_that_was_translated_ahead_is_not_translated_again() -> None:
    engine = _Counting()
    ahead = _Once(engine, CHOICE).translate(["one", "two", "one"], source="en", target="es")
    whole = _Once(engine, CHOICE).translate(["one", "two", "three"], source="en", target="es")
    assert engine.asked == ["one", "two", "three"]
    assert [r.candidates for r in ahead] == [(s, "en", "es") for s in ("ONE", "TWO", "ONE")]
    assert [r.text for r in whole] == ["ONE", "TWO", "THREE"]


def test_what_another_engine_or_language_made_of_it_is_not_taken() -> None:
    engine = _Counting()
    _Once(engine, CHOICE).translate(["one"], source="en", target="es")
    assert _Once(engine, CHOICE).translate(["one"], source="en", target="fr")[0].candidates[2] == "fr"
    _Once(engine, CHOICE.model_copy(update={"version": "2"})).translate(["one"], source="en", target="es")
    assert engine.asked == ["one"] * 3


def test_too_few_answers_are_refused_and_not_remembered() -> None:
    with pytest.raises(EngineOutputInvalid):
        _Once(_Counting(loses=1), CHOICE).translate(["one", "two"], source="en", target="es")
    engine = _Counting()
    assert len(_Once(engine, CHOICE).translate(["one", "two"], source="en", target="es")) == 2
    assert engine.asked == ["one", "two"]


@pytest.mark.parametrize(("is_known", "refresh", "loads"), [(False, False, 1), (True, False, 0), (True, True, 1)])
def test_the_voice_loads_beside_a_translation_that_is_new(
    is_known: bool, refresh: bool, loads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = CHOICE.model_copy(update={"kind": "tts"})
    asked, loaded = [], []

    async def understand(listening: Any, results: Any) -> Any:
        return SimpleNamespace(words=1, language="en", utterances=REF, transcript=REF)

    async def run(task: Any, request: Any, **_: Any) -> Any:
        asked.append((request.choice, list(loaded)))
        return SimpleNamespace(lines=REF, stats=None)

    monkeypatch.setattr(_ahead, "understand", understand)
    monkeypatch.setattr(_ahead, "run", run)
    monkeypatch.setattr(_ahead, "choose_mt", lambda *_, **__: CHOICE)
    monkeypatch.setattr(_ahead, "load", lambda *_: SimpleNamespace(rows=()))
    monkeypatch.setattr(_ahead, "recall", lambda task, request: SimpleNamespace() if is_known else None)
    monkeypatch.setattr(_ahead, "load_ahead", loaded.append)
    plan: Any = SimpleNamespace(common={"scope": ""}, fresh={"refresh": refresh}, plan=SimpleNamespace(chunks=[CHUNK]))
    speaking: Any = SimpleNamespace(tts=voice)
    options = DubOptions(target_language="es")
    ahead = _ahead.Ahead(plan, SimpleNamespace(), speaking, target="es", options=options, settings=Settings())  # pyright: ignore[reportArgumentType]
    asyncio.run(ahead._understood([CHUNK], [SimpleNamespace(language="en")]))  # pyright: ignore[reportArgumentType]
    assert asked == [(CHOICE, [voice] * loads)]
