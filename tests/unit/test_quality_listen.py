from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dubline.engines.base import SttResult
from dubline.errors import EngineError
from dubline.models import Segment, Span
from dubline.quality.listen import WINDOW_S, SpokenLine, choose, listen, pack


def row(number: int, text: str = "uma linha falada aqui", *, pace: float = 1.0, length_s: float = 4.0) -> SpokenLine:
    start_s = number * 5.0
    return SpokenLine(f"u{number}", Span(start_s=start_s, end_s=start_s + length_s), text, pace)


class Says:
    """A recogniser that hears given texts, one a call, and keeps the audio it got."""

    parallel = 1

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self.seconds: list[float] = []

    def transcribe(self, audio, *, language):
        self.seconds.append(len(audio) / 16_000)
        text = self.texts.pop(0)
        return SttResult(language, 1.0, (Segment(start_s=0, end_s=1, text=text),))

    def detect_language(self, audio):
        raise AssertionError("the language is known")

    def close(self) -> None: ...


def read(span: Span):
    return np.zeros(round(span.duration_s * 16_000), np.float32)


def test_a_sample_holds_the_fastest_lines_and_the_whole_length() -> None:
    lines = [row(i, pace=1.3 if i in (50, 51) else 1.0) for i in range(100)]
    chosen = choose(lines, "sample", 45.0)
    assert {50, 51} <= set(chosen)
    assert sum(lines[i].span.duration_s for i in chosen) <= 45.0
    assert min(chosen) < 20
    assert max(chosen) > 80
    assert choose(lines, "all", 45.0) == list(range(100))
    assert choose(lines, "off", 45.0) == []
    assert len(choose([row(0, length_s=60.0), row(30, length_s=50.0)], "sample", 45.0)) == 1


def test_what_a_person_edited_is_heard_first() -> None:
    lines = [replace(row(i, pace=1.3 if i < 20 else 1.0), is_edited=i in (37, 71)) for i in range(100)]
    chosen = choose(lines, "sample", 45.0)
    assert {37, 71} <= set(chosen)
    assert sum(lines[i].span.duration_s for i in chosen) <= 45.0
    assert {37, 71} == set(choose(lines, "sample", 8.0))


def test_pieces_fill_one_window_each() -> None:
    lines = [row(i) for i in range(20)]
    pieces = pack(lines, range(20))
    assert [i for p in pieces for i in p] == list(range(20))
    engine = Says([" ".join([lines[0].text] * len(p)) for p in pieces])
    heard = listen(read, lines, engine, language="pt-BR", mode="all")
    assert heard.wer == 0
    assert max(engine.seconds) <= WINDOW_S
    assert len(engine.seconds) == 4


def test_errors_fall_on_the_line_that_has_them() -> None:
    lines = [row(0, "primeira linha certa"), row(1, "segunda linha muda"), row(2, "terceira em 1455")]
    engine = Says(["Primeira linha certa. Terceira em mil quatrocentos e cinquenta e cinco!"])
    heard = listen(read, lines, engine, language="pt-BR")
    assert heard.line_wer == {"u0": 0.0, "u1": 1.0, "u2": 0.0}
    assert heard.words == 3 + 3 + 8
    assert heard.wer == round(3 / 14, 4)
    assert heard.cer is not None
    assert 0 < heard.cer < 0.5


def test_a_deaf_recogniser_is_a_reason_not_a_crash() -> None:
    class Deaf(Says):
        def transcribe(self, audio, *, language):
            raise EngineError("It does not hear.")

    heard = listen(read, [row(0)], Deaf([]), language="pt-BR")
    assert heard.wer is None
    assert "does not hear" in heard.reason
    assert listen(read, [row(0)], None, language="pt-BR", reason="none here").reason == "none here"
    nothing = listen(read, [row(0)], Says([""]), language="pt-BR")
    assert nothing.wer == 1.0
