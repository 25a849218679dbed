from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dubline.engines.base import SttResult
from dubline.errors import EngineError
from dubline.models import ArtifactRef, Line, Placement, Segment, Span, Spoken, Timeline, Utterance
from dubline.quality.listen import WINDOW_S, LineHeard, SpokenLine, choose, listen, pack
from dubline.quality.memory import HeardBefore, line_marks


def row(number: int, text: str = "uma linha falada aqui", *, pace: float = 1.0, length_s: float = 4.0) -> SpokenLine:
    start_s = number * 5.0
    return SpokenLine(f"u{number}", Span(start_s=start_s, end_s=start_s + length_s), text, pace)


class Says:
    """A recogniser that hears given texts, one a call, and keeps the audio it got."""

    parallel = 1

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self.seconds: list[float] = []

    def transcribe(self, audio, *, language, word_times=True):
        self.seconds.append(len(audio) / 16_000)
        text = self.texts.pop(0)
        return SttResult(language, 1.0, (Segment(start_s=0, end_s=1, text=text),))

    def detect_language(self, audio):
        raise AssertionError("the language is known")

    def close(self) -> None: ...


def read(spans: Sequence[Span]) -> list[np.ndarray]:
    return [np.zeros(round(span.duration_s * 16_000), np.float32) for span in spans]


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


def test_no_core_waits_for_a_longer_piece() -> None:
    lines = [row(i) for i in range(10)]
    lengths = [len(piece) for piece in pack(lines, range(10))]
    assert sum(line.span.duration_s for line in lines) > WINDOW_S
    assert lengths == [5, 5]
    assert [len(p) for p in pack(lines, range(3))] == [3]
    assert pack(lines, []) == []


def test_errors_fall_on_the_line_that_has_them() -> None:
    lines = [row(0, "primeira linha certa"), row(1, "segunda linha muda"), row(2, "terceira em 1455")]
    engine = Says(["Primeira linha certa. Terceira em mil quatrocentos e cinquenta e cinco!"])
    heard = listen(read, lines, engine, language="pt-BR")
    assert heard.line_wer == {"u0": 0.0, "u1": 1.0, "u2": 0.0}
    assert heard.words == 3 + 3 + 8
    assert heard.wer == round(3 / 14, 4)
    assert heard.cer is not None
    assert 0 < heard.cer < 0.5


def test_a_word_alone_is_heard_with_the_line_beside_it() -> None:
    lines = [row(0, "uma linha falada"), row(1, "banana", length_s=0.6), row(2, "outra linha falada")]
    counted = LineHeard(words=3, errors=0, letters=14, letter_errors=0)
    engine = Says(["uma linha errada banana"])
    heard = listen(read, lines, engine, language="pt-BR", known={"u0": counted, "u2": counted})
    assert engine.seconds[0] > lines[0].span.duration_s + 0.6, "with the line before"
    assert heard.line_wer == {"u0": 0.0, "u1": 0.0, "u2": 0.0}, "whose own errors are not counted again"
    first = [replace(row(0, "banana", length_s=0.6)), row(1, length_s=5.0), row(2)]
    engine = Says(["banana uma linha falada aqui"])
    known = {"u1": counted, "u2": counted}
    assert listen(read, first, engine, language="pt-BR", known=known).line_wer["u0"] == 0
    assert engine.seconds[0] > 5.6, "with the one behind, as there is none before"


def test_a_line_that_lies_as_it_did_is_not_listened_to_again() -> None:
    lines = [row(i, f"linha número {i} dita assim", pace=1.2 if i % 7 == 0 else 1.0) for i in range(40)]
    chosen = choose(lines, "sample", 45.0)
    first = Says([" ".join(lines[i].text for i in piece) for piece in pack(lines, chosen)])
    heard = listen(read, lines, first, language="pt-BR")
    assert (heard.wer, heard.remembered, len(heard.by_line)) == (0, 0, len(chosen))

    lines[chosen[2]] = replace(lines[chosen[2]], text="outra coisa bem diferente", is_edited=True)
    known = {name: row for name, row in heard.by_line.items() if name != lines[chosen[2]].utterance_id}
    second = Says(["outra coisa bem igual"])
    again = listen(read, lines, second, language="pt-BR", known=known)
    assert len(second.seconds) == 1
    assert second.seconds[0] < 6
    assert again.remembered == len(chosen) - 1
    assert again.line_wer[lines[chosen[2]].utterance_id] == 0.25
    assert again.words == heard.words - 1
    assert 0 < again.wer < 0.05


def test_an_edit_has_nothing_listened_to_that_was_not_before() -> None:
    lines = [row(i, length_s=4.5 if i % 4 == 0 else 1.0) for i in range(40)]
    known = {f"u{i}": LineHeard(words=1, errors=0, letters=1, letter_errors=0) for i in range(0, 36, 4)}
    lines[21] = replace(lines[21], is_edited=True)
    assert choose(lines, "sample", 45.0, known) == sorted([21, *range(0, 36, 4)])
    # Of the sample before too little is left to speak for the whole.
    few = dict(list(known.items())[:2])
    assert len(choose(lines, "sample", 45.0, few)) > 4


def test_a_mark_changes_with_whatever_is_heard() -> None:
    def marks(text: str = "sim", sound: str = "a", start: int = 100, length: int = 50, background: str = "duck"):
        utterance = Utterance(id="u1", start_s=0, end_s=1, slot_end_s=1, text="yes")
        ref = ArtifactRef(uri="artifact:blobs/x", sha256=sound * 64, size_bytes=1, media_type="audio/flac")
        spoken = Spoken(utterance_id="u1", audio=ref, samples=9, sample_rate_hz=9, engine="e", voice="v")
        place = Placement(
            utterance_id="u1",
            start_sample=start,
            length_samples=length,
            stretch=1,
            slot_s=1,
            natural_s=1,
            onset_error_s=0,
            drift_s=0,
        )
        timeline = Timeline(sample_rate_hz=9, total_samples=999, placements=(place,))
        return line_marks([Line(utterance=utterance, text=text)], [spoken], timeline, [background])["u1"]

    others = [marks(text="não"), marks(sound="b"), marks(start=101), marks(length=51), marks(background="mute")]
    assert marks() == marks()
    assert len({marks(), *others}) == 6

    counted = LineHeard(words=2, errors=1, letters=8, letter_errors=3)
    memory = HeardBefore().with_heard({"u1": marks()}, {"u1": counted})
    assert HeardBefore.model_validate_json(memory.model_dump_json()).of({"u7": marks()}) == {"u7": counted}
    assert memory.of({"u1": marks(start=101)}) == {}


def test_a_deaf_recogniser_is_a_reason_not_a_crash() -> None:
    class Deaf(Says):
        def transcribe(self, audio, *, language, word_times=True):
            raise EngineError("It does not hear.")

    heard = listen(read, [row(0)], Deaf([]), language="pt-BR")
    assert heard.wer is None
    assert "does not hear" in heard.reason
    assert listen(read, [row(0)], None, language="pt-BR", reason="none here").reason == "none here"
    nothing = listen(read, [row(0)], Says([""]), language="pt-BR")
    assert nothing.wer == 1.0
