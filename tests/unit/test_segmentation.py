"""Sentences and utterances."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubline.models import Span, Word
from dubline.timing.segmentation import GUARD_S, segment
from dubline.timing.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Smith met J. F. Kennedy at 3.14 p.m. sharp.", 1),
        ("It works. It really does! Does it? Yes.", 4),
        ("See Fig. 3, vol. 2 and No. 5.", 1),
        ("He said \"Stop.\" Then he left.", 2),
        ("Wait... what is that?", 1),
        ("In the U.S. army it is so.", 1),
        ("A Sra. Silva chegou. O Dr. Melo também.", 2),
        ("今日は晴れ。明日は雨。", 2),
        ("no full stop at all", 1),
        ("", 0),
    ],
)
def test_sentences(text: str, count: int) -> None:
    parts = split_sentences(text, "ja" if "今" in text else "en")
    assert len(parts) == count
    assert "".join("".join(parts).split()) == "".join(text.split())


def _words(text: str, *, start_s: float = 0.0, each_s: float = 0.3, gap_s: float = 0.05) -> list[Word]:
    out = []
    for word in text.split():
        out.append(Word(start_s=start_s, end_s=start_s + each_s, text=" " + word))
        start_s += each_s + gap_s
    return out


def test_whole_sentences_whatever_their_length() -> None:
    words = _words("This is a fairly long first sentence of the talk. " "And this one follows it right away.")
    texts = [u.text for u in segment(words, media_duration_s=60, language="en")]
    assert texts == ["This is a fairly long first sentence of the talk.", "And this one follows it right away."]


def test_unpunctuated_speech_splits_at_long_pauses_but_not_in_a_thought() -> None:
    first = _words("we went there and")
    second = _words("saw it", start_s=first[-1].end_s + 1.5)
    third = _words("Then came winter", start_s=second[-1].end_s + 1.5)
    texts = [u.text for u in segment([*first, *second, *third], media_duration_s=60, language="en")]
    assert texts == ["we went there and saw it", "Then came winter"]


def test_very_long_sentences_are_cut_at_a_clause() -> None:
    text = " ".join(["word"] * 35) + ", and " + " ".join(["more"] * 35) + "."
    rows = segment(_words(text), media_duration_s=60, language="en")
    assert len(rows) == 2
    assert rows[0].text.endswith(",")


def test_slots_reach_to_the_next_onset_less_the_guard() -> None:
    words = _words("One two three four. Five six seven eight.")
    a, b = segment(words, media_duration_s=10, language="en")
    assert a.slot_end_s == pytest.approx(b.start_s - GUARD_S)
    assert b.slot_end_s == pytest.approx(10)


def test_speakers_never_share_an_utterance() -> None:
    words = _words("yes no maybe so")
    turns = [(Span(start_s=0, end_s=0.7), "A"), (Span(start_s=0.7, end_s=2), "B")]
    rows = segment(words, media_duration_s=5, language="en", speakers=turns)
    assert [(u.speaker, u.text) for u in rows] == [("A", "yes no"), ("B", "maybe so")]


def test_an_identity_does_not_change_when_another_line_does() -> None:
    a = segment(_words("One two three four. Five six seven eight."), media_duration_s=10, language="en")
    b = segment(_words("One two three four. Five six seven nine."), media_duration_s=10, language="en")
    assert a[0].id == b[0].id
    assert a[1].id != b[1].id


@given(
    st.lists(
        st.tuples(st.floats(-1, 100), st.floats(-1, 5), st.text(max_size=12)),
        max_size=60,
    )
)
@settings(max_examples=150, deadline=None)
def test_any_words_become_ordered_utterances(rows: list[tuple[float, float, str]]) -> None:
    words = [Word(start_s=s, end_s=s + d, text=t) for s, d, t in rows]
    out = segment(words, media_duration_s=90.0, language="en")
    assert "".join("".join(u.text for u in out).split()) == "".join("".join(w.text for w in words).split())
    assert len({u.id for u in out}) == len(out)
    for u in out:
        assert 0 <= u.start_s <= u.end_s <= 90.0
        assert u.slot_end_s >= u.start_s
    for a, b in zip(out, out[1:], strict=False):
        assert a.end_s <= b.start_s or a.end_s <= b.end_s
        assert a.start_s <= b.start_s
