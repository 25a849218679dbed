"""Recognition around the engine: chunks, the way back to the media's timeline, doubt."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dubline.errors import InputError
from dubline.models import Segment, Span, Word
from dubline.stages import transcribe
from dubline.stages.transcribe import (
    RATE_HZ,
    Chunk,
    ChunkResult,
    SpeechPlan,
    _restore,
    agreed_language,
    collect,
    doubt,
    join,
    plan_chunks,
)


@st.composite
def _spans(draw: st.DrawFn) -> list[Span]:
    rows, at = [], 0.0
    for gap, length in draw(st.lists(st.tuples(st.floats(0.1, 30), st.floats(0.2, 40)), min_size=1, max_size=40)):
        rows.append(Span(start_s=at + gap, end_s=at + gap + length))
        at += gap + length
    return rows


@given(_spans(), st.floats(20, 400))
def test_chunks_hold_every_span_once_in_order(spans: list[Span], chunk_s: float) -> None:
    chunks = plan_chunks(spans, chunk_s=chunk_s)
    assert [s for c in chunks for s in c.spans] == spans
    assert all(c.spans for c in chunks)
    longest = max(s.duration_s for s in spans)
    assert all(c.speech_s <= 1.4 * chunk_s + longest for c in chunks)


def test_chunks_are_even_in_number_and_length_and_cut_at_the_longest_pause() -> None:
    spans, at = [], 0.0
    for number in range(80):  # 80 sentences of 3 s; every seventh pause is a long one
        spans.append(Span(start_s=at, end_s=at + 3.0))
        at += 3.0 + (2.0 if number % 7 == 6 else 0.3)
    chunks = plan_chunks(spans, chunk_s=75.0)
    assert len(chunks) == 4
    assert all(48 <= c.speech_s <= 72 for c in chunks)
    assert all(b.spans[0].start_s - a.spans[-1].end_s > 1.9 for a, b in pairwise(chunks))
    assert len(plan_chunks(spans[:20], chunk_s=75.0)) == 1
    assert plan_chunks([], chunk_s=75.0) == ()


def test_the_first_minute_is_cut_off_at_the_longest_pause_soon_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts_s = [3.3 * n for n in range(19)] + [62.9, 67.5, 71.0] + [74.3 + 3.3 * n for n in range(30)]
    spans = [Span(start_s=s, end_s=s + 3.0) for s in starts_s]
    monkeypatch.setattr(transcribe, "speech_spans", lambda _audio: spans)
    soundfile.write(tmp_path / "stt.wav", np.full(180 * RATE_HZ, 0.1), RATE_HZ)
    plan = transcribe.find_speech(tmp_path / "stt.wav")
    assert [s for c in plan.chunks for s in c.spans] == spans
    assert plan.head == 2  # for both cores
    assert 16 <= plan.chunks[0].speech_s <= 26  # one window, so that it is spoken while the other is heard
    assert plan.chunks[plan.head].spans[0].start_s == 67.5  # 1.6 s after what is said at the minute


@pytest.mark.parametrize(("duration_s", "first_s"), [(119.0, 1.0), (300.0, 61.0)])
def test_nothing_is_made_ahead_in_short_media_or_where_the_first_minute_is_silent(
    duration_s: float, first_s: float
) -> None:
    spans = [Span(start_s=first_s + 3 * n, end_s=first_s + 3 * n + 2) for n in range(30)]
    assert transcribe.head_end(spans, duration_s) == 0


@pytest.mark.parametrize(("speech_s", "chunks"), [(0.3, 0), (0.5, 1)])
def test_less_than_a_word_of_speech_is_not_recognised(
    speech_s: float, chunks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = Span(start_s=0.1, end_s=0.1 + speech_s)
    monkeypatch.setattr(transcribe, "speech_spans", lambda _audio: [span])
    soundfile.write(tmp_path / "stt.wav", np.full(RATE_HZ, 0.1), RATE_HZ)
    plan = transcribe.find_speech(tmp_path / "stt.wav")
    assert (plan.speech, len(plan.chunks)) == ((span,), chunks)


@pytest.mark.parametrize("pitch_hz", [110.0, 220.0])
def test_the_pitch_of_the_speech_is_found_with_it(
    pitch_hz: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = [Span(start_s=1.0, end_s=3.0), Span(start_s=4.0, end_s=9.0)]
    monkeypatch.setattr(transcribe, "speech_spans", lambda _audio: spans)
    times_s = np.arange(10 * RATE_HZ) / RATE_HZ
    hum = 0.2 * np.sin(2 * np.pi * 300.0 * times_s)  # beside the speech, and louder
    voice = sum(np.sin(2 * np.pi * k * pitch_hz * times_s) / k for k in range(1, 8)) * 0.1
    is_speech = np.zeros(len(times_s), bool)
    for span in spans:
        is_speech[int(span.start_s * RATE_HZ) : int(span.end_s * RATE_HZ)] = True
    soundfile.write(tmp_path / "stt.wav", np.where(is_speech, voice, hum), RATE_HZ)
    assert transcribe.find_speech(tmp_path / "stt.wav").pitch_hz == pytest.approx(pitch_hz, rel=0.03)


def test_the_language_that_most_is_spoken_in_is_that_of_all_chunks() -> None:
    lengths_s = (90.0, 80.0, 20.0)
    chunks = [Chunk(spans=(Span(start_s=100.0 * n, end_s=100.0 * n + s),)) for n, s in enumerate(lengths_s)]
    assert agreed_language(chunks, [("en", 0.9), ("cy", 0.5), ("cy", 0.9)]) == "en"
    assert agreed_language(chunks, [("en", 0.5), ("pt", 0.9), ("en", 0.3)]) == "pt"


@given(_spans())
def test_words_find_their_way_back(spans: list[Span]) -> None:
    total_s = min(spans[-1].end_s + 1, 300.0)
    spans = [s for s in spans if s.end_s < total_s - 0.5]
    if not spans:
        return
    audio = np.arange(int(total_s * RATE_HZ), dtype=np.float32)
    collected, pieces = collect(audio, spans)
    for piece in pieces:  # samples carry their own position, so the mapping can be checked exactly
        assert collected[round(piece.at_s * RATE_HZ)] == round(piece.media_start_s * RATE_HZ)
    target = spans[-1]
    piece = next(p for p in reversed(pieces) if p.media_start_s <= target.start_s + 1e-6)
    at_s = piece.at_s + (target.start_s - piece.media_start_s)
    word = Word(start_s=at_s, end_s=at_s + 0.15, text=" hi")
    moved = _restore(Segment(start_s=at_s, end_s=at_s + 0.15, text=" hi", words=(word,)), pieces, spans, 0.0)
    assert moved is not None
    assert moved.words[0].start_s == pytest.approx(target.start_s, abs=0.01)


def _segment(start_s: float, text: str, *, log_probability: float = -0.2, silence: float = 0.0) -> Segment:
    word = Word(start_s=start_s, end_s=start_s + 2, text=text, probability=0.9)
    return Segment(
        start_s=start_s,
        end_s=start_s + 2,
        text=text,
        words=(word,),
        avg_log_probability=log_probability,
        no_speech_probability=silence,
    )


def test_doubt_has_a_reason() -> None:
    speech = [Span(start_s=0, end_s=10)]
    assert doubt(_segment(1, "A plain sentence."), speech) is None
    assert doubt(_segment(1, "Thank you.", log_probability=-1.2, silence=0.9), speech) == "no_speech"
    assert doubt(_segment(50, "Thanks for watching."), speech) == "outside_speech"
    assert doubt(_segment(1, "la la la " * 20), speech) == "repetition"
    assert doubt(_segment(1, "♪"), speech) == "low_probability"


@pytest.mark.parametrize(
    ("length_s", "log_probability", "reason"),
    [(0.4, -1.1, "low_probability"), (0.4, -0.4, None), (2.0, -1.1, None), (2.0, -1.7, "low_probability")],
)
def test_a_scrap_behind_the_last_word_is_believed_less(
    length_s: float, log_probability: float, reason: str | None
) -> None:
    scrap = _segment(9, "That's right.", log_probability=log_probability).model_copy(update={"end_s": 9 + length_s})
    assert doubt(scrap, [Span(start_s=0, end_s=12)]) == reason


def test_a_phrase_said_over_and_over_is_kept_twice_at_most() -> None:
    plan = SpeechPlan(duration_s=60, speech=(Span(start_s=0, end_s=60),), chunks=())
    rows = (*(_segment(i * 3, "Okay then.") for i in range(6)), _segment(30, "A new thought."))
    transcript = join(plan, [ChunkResult(language="en", language_probability=1.0, segments=rows)])
    assert [s.text for s in transcript.segments] == ["Okay then.", "Okay then.", "A new thought."]
    assert {d.reason for d in transcript.dropped} == {"repetition"}


def _words(start_s: float, *texts: str) -> Segment:
    words = tuple(
        Word(start_s=start_s + i * 0.4, end_s=start_s + i * 0.4 + 0.35, text=f" {text}", probability=0.9)
        for i, text in enumerate(texts)
    )
    return Segment(start_s=words[0].start_s, end_s=words[-1].end_s, text="".join(w.text for w in words), words=words)


@pytest.mark.parametrize(
    ("end", "begin", "gap_s", "joined"),
    [
        ("therefore...", "That", 0.1, "natural therefore that forms"),
        ("therefore…", "That", 0.1, "natural therefore that forms"),
        ("therefore", "That", 0.1, "natural therefore that forms"),
        ("to", "Germany", 0.1, "natural to Germany forms"),  # a name keeps its capital
        ("therefore.", "That", 0.1, "natural therefore. That forms"),  # a sentence that ended
        ("therefore...", "That", 3.0, "natural therefore... That forms"),  # somebody who fell silent
    ],
)
def test_a_sentence_over_a_chunks_border_is_whole(end: str, begin: str, gap_s: float, joined: str) -> None:
    plan = SpeechPlan(duration_s=60, speech=(Span(start_s=0, end_s=60),), chunks=())
    first = _words(1.0, "natural", end)
    chunks = [
        ChunkResult(language="en", language_probability=1.0, segments=(segment,))
        for segment in (first, _words(first.end_s + gap_s, begin, "forms"))
    ]
    transcript = join(plan, chunks)
    assert "".join(w.text for w in transcript.words).strip() == joined
    assert "".join(s.text for s in transcript.segments).strip() == joined


@pytest.mark.parametrize(
    ("earlier", "later", "joined"),
    [
        ("It was produced there.", "", "process, produced"),
        ("It was, Produced says, produced there.", "", "process, Produced"),  # somebody's name, too
        (
            "Nothing tells.",
            "It was produced there.",
            "process, Produced",
        ),  # or too late: the line may be spoken by then
    ],
)
def test_a_word_written_small_before_loses_its_capital_at_a_chunks_border(
    earlier: str, later: str, joined: str
) -> None:
    plan = SpeechPlan(duration_s=60, speech=(Span(start_s=0, end_s=60),), chunks=())
    first = _words(5.0, "a", "similar", "process,")
    chunks = [_words(1.0, *earlier.split()), first, _words(first.end_s + 0.1, "Produced", "blocks.", *later.split())]
    results = [ChunkResult(language="en", language_probability=1.0, segments=(s,)) for s in chunks]
    assert f"{joined} blocks." in " ".join(w.text.strip() for w in join(plan, results).words)


@pytest.mark.parametrize("is_common", [True, False])
def test_a_word_that_the_recogniser_knows_small_loses_its_capital_there(is_common: bool) -> None:
    plan = SpeechPlan(duration_s=60, speech=(Span(start_s=0, end_s=60),), chunks=())
    first = _words(5.0, "a", "similar", "process,")
    second = _words(first.end_s + 0.1, "Produced", "blocks.").model_copy(update={"begins_common": is_common})
    results = [ChunkResult(language="en", language_probability=1.0, segments=(s,)) for s in (first, second)]
    said = " ".join(w.text.strip() for w in join(plan, results).words)
    assert said == f"a similar process, {'produced' if is_common else 'Produced'} blocks."


def test_garbage_is_refused_and_silence_is_not() -> None:
    plan = SpeechPlan(duration_s=60, speech=(Span(start_s=0, end_s=60),), chunks=())
    rows = tuple(
        s.model_copy(update={"words": tuple(w.model_copy(update={"probability": 0.1}) for w in s.words)})
        for s in (_segment(i * 3, f"word{i}") for i in range(9))
    )
    with pytest.raises(InputError) as caught:
        join(plan, [ChunkResult(language="en", language_probability=0.3, segments=rows)])
    assert caught.value.code == "transcript_unusable"
    assert join(plan, []).words == ()
