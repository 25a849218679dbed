"""Speech without a word is heard once more, with what is beside it. The engine here answers as it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dubline.engines.base import SttResult
from dubline.models import Segment, Span, Word
from dubline.stages.transcribe import RATE_HZ, Chunk, ChunkResult, recognise

Said = tuple[str, float, float]  # a word, its time in what is heard (s), its probability


class _Engine:
    """Hears what it is told, call by call."""

    parallel = 1

    def __init__(self, *answers: list[Said]) -> None:
        self._answers = list(answers)
        self.heard_s: list[float] = []

    def transcribe(self, audio: np.ndarray, *, language: str | None, word_times: bool = True) -> SttResult:
        self.heard_s.append(len(audio) / RATE_HZ)
        words = tuple(Word(start_s=t, end_s=t + 0.3, text=w, probability=p) for w, t, p in self._answers.pop(0))
        text = "".join(w.text for w in words).strip()
        segments = (Segment(start_s=words[0].start_s, end_s=words[-1].end_s, text=text, words=words),) if words else ()
        return SttResult(language="en-US", language_probability=0.9, segments=segments)


def _recognise(folder: Path, engine: _Engine, *spans: tuple[float, float]) -> ChunkResult:
    soundfile.write(str(folder / "stt.wav"), np.zeros(60 * RATE_HZ, np.float32), RATE_HZ)
    chunk = Chunk(spans=tuple(Span(start_s=a, end_s=b) for a, b in spans))
    return recognise(folder / "stt.wav", chunk, engine, language="en-US")


# Spans at 1 … 4, 30 … 30.5 and 40 … 42 s lie at 0.25, 3.75 and 4.75 s of what is heard first, the first two at 0.5 and
# 4.5 s of what is heard again.
_SPANS = ((1.0, 4.0), (30.0, 30.5), (40.0, 42.0))
_FIRST = [(" I", 0.5, 0.9), (" say", 1.0, 0.9), (" banana.", 2.0, 0.9), (" And", 5.0, 0.9), (" go.", 5.5, 0.9)]


def test_a_word_passed_over_is_found_between_the_others(tmp_path: Path) -> None:
    again = [(" say", 1.2, 0.9), (" banana.", 2.2, 0.9), (" Banana.", 4.5, 0.8)]
    engine = _Engine(_FIRST, again)
    result = _recognise(tmp_path, engine, *_SPANS)
    assert [s.text for s in result.segments] == ["I say banana.", "Banana.", "And go."]
    assert result.segments[1].words[0].start_s == pytest.approx(30.0, abs=0.1)
    starts = [w.start_s for s in result.segments for w in s.words]
    assert starts == sorted(starts)
    assert engine.heard_s[1] == pytest.approx(3.0 + 0.5 + 4 * 0.5, abs=0.01), "not the rest of the chunk"


def test_a_word_whose_time_went_astray_is_not_said_twice(tmp_path: Path) -> None:
    first = [(" three", 0.8, 0.9), (" two", 2.0, 0.9), (" one", 5.0, 0.9), (" go", 5.5, 0.9)]
    engine = _Engine(first, [(" three", 0.7, 0.9), (" two", 4.5, 0.9)])
    result = _recognise(tmp_path, engine, *_SPANS)
    assert len(engine.heard_s) == 2
    assert "".join(w.text for s in result.segments for w in s.words) == " three two one go"


def test_a_sentence_passed_over_in_mid_speech_is_found_and_what_follows_is_not_said_twice(tmp_path: Path) -> None:
    # The span at 1 … 8 s lies at 0.25 s of what is heard first, at 0.5 s of what is heard again.
    first = [(" I", 0.5, 0.9), (" say", 1.2, 0.9), (" the", 6.0, 0.9), (" end", 6.6, 0.9)]
    again = [(" say", 1.5, 0.9), (" lost", 3.0, 0.9), (" words", 4.0, 0.9), (" the", 6.2, 0.9), (" ends", 6.6, 0.9)]
    engine = _Engine(first, again)
    result = _recognise(tmp_path, engine, (1.0, 8.0))
    assert "".join(w.text for s in result.segments for w in s.words) == " I say lost words the end"
    assert len(engine.heard_s) == 2


@pytest.mark.parametrize("gap_s", [0.9, 1.1])
def test_speech_at_its_edges_without_a_word_for_a_second_is_heard_again(tmp_path: Path, gap_s: float) -> None:
    words = [(" one", 0.25 + gap_s, 0.9), (" two", 0.75 + gap_s, 0.9)]
    engine = _Engine(words, [(" none", 0.5, 0.1)])
    _recognise(tmp_path, engine, (1.0, 2.5 + gap_s))
    assert len(engine.heard_s) == (2 if gap_s > 1.0 else 1)


def test_what_is_guessed_is_left_out(tmp_path: Path) -> None:
    engine = _Engine(_FIRST, [(" say", 1.2, 0.9), (" banana.", 2.2, 0.9), (" Too.", 4.5, 0.1)])
    assert [s.text for s in _recognise(tmp_path, engine, *_SPANS).segments] == ["I say banana. And go."]


def test_a_first_word_is_heard_with_what_follows(tmp_path: Path) -> None:
    engine = _Engine([(" Fine", 1.5, 0.9), (" then.", 2.0, 0.9)], [(" Ready?", 0.6, 0.9), (" Fine", 2.2, 0.9)])
    result = _recognise(tmp_path, engine, (5.0, 5.5), (20.0, 22.0))
    assert [s.text for s in result.segments] == ["Ready?", "Fine then."]


@pytest.mark.parametrize(("spans", "answer"), [(_SPANS[:1], _FIRST[:3]), (_SPANS, [])])
def test_speech_that_has_its_words_or_none_at_all_is_heard_once(
    tmp_path: Path, spans: tuple[tuple[float, float], ...], answer: list[Said]
) -> None:
    engine = _Engine(answer)
    _recognise(tmp_path, engine, *spans)
    assert len(engine.heard_s) == 1
