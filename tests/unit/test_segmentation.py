"""Sentences and utterances."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubline.models import SpeakerTurn, Word
from dubline.timing.segmentation import GUARD_S, segment
from dubline.timing.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Smith met J. F. Kennedy at 3.14 p.m. sharp.", 1),
        ("It works. It really does! Does it? Yes.", 4),
        ("See Fig. 3, vol. 2 and No. 5.", 1),
        ('He said "Stop." Then he left.', 2),
        ("Wait... what is that?", 1),
        ("I... I never said that. Well... You did.", 3),
        ("In the U.S. army it is so.", 1),
        ("A Sra. Silva chegou. O Dr. Melo também.", 2),
        ("今日は晴れ。明日は雨。", 2),
        ("no full stop at all", 1),
        ("", 0),
        ('"Stop!" he said. Then he left.', 2),
        ("No. I will not.", 2),
        ("The U.S. Army left the U.S. The war was over.", 2),
        ("1. Open it. 2. Close it.", 2),
        ("O barco saiu ao mar. A Sra. Silva ficou.", 2),
        ("「今日は行く。」と言った。", 1),
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
    words = _words("This is a fairly long first sentence of the talk. And this one follows it right away.")
    texts = [u.text for u in segment(words, media_duration_s=60, language="en")]
    assert texts == ["This is a fairly long first sentence of the talk.", "And this one follows it right away."]


def test_unpunctuated_speech_splits_at_long_pauses_but_not_in_a_thought() -> None:
    first = _words("we went there and")
    second = _words("saw it", start_s=first[-1].end_s + 1.5)
    third = _words("Then came winter", start_s=second[-1].end_s + 1.5)
    texts = [u.text for u in segment([*first, *second, *third], media_duration_s=60, language="en")]
    assert texts == ["we went there and saw it", "Then came winter"]


def test_a_thinker_s_pause_does_not_cut_a_plain_sentence() -> None:
    first, second = _words("The best of all was"), _words("London in the spring.", start_s=3.2)
    assert len(segment([*first, *second], media_duration_s=60, language="en")) == 1
    later = _words("London in the spring.", start_s=4.0)
    assert len(segment([*first, *later], media_duration_s=60, language="en")) == 2


def test_items_of_a_list_that_are_said_apart_are_lines_of_their_own() -> None:
    counted = _words("five, four, three, two, one.", gap_s=1.6)
    assert [u.text for u in segment(counted, media_duration_s=60, language="en")] == [w.text.strip() for w in counted]
    at_ease = _words("five, four, three, two, one.", gap_s=0.6)
    assert len(segment(at_ease, media_duration_s=60, language="en")) == 1
    thought = [*_words("Well,"), *_words("I think,", start_s=1.8), *_words("perhaps, we were wrong then.", start_s=4.0)]
    assert len(segment(thought, media_duration_s=60, language="en")) == 1


def test_a_sentence_under_the_limits_is_never_cut_for_its_length() -> None:
    rows = segment(_words("word, " * 54 + "end."), media_duration_s=60, language="en")
    assert len(rows) == 1
    assert rows[0].end_s > 19


def test_very_long_speech_without_marks_or_pauses_is_cut_all_the_same() -> None:
    rows = segment(_words("word " * 3000), media_duration_s=2000, language="en")
    assert all(u.end_s - u.start_s <= 30 for u in rows)
    assert len(rows) > 30


def test_tiny_lines_join_the_nearer_neighbour_of_their_speaker() -> None:
    words = [
        *_words("One two three four five."),
        *_words("Yes.", start_s=2.2),
        *_words("Six seven eight nine.", start_s=2.6),
    ]
    assert [u.text for u in segment(words, media_duration_s=9, language="en")] == [
        "One two three four five.",
        "Yes. Six seven eight nine.",
    ]
    turns = [
        SpeakerTurn(start_s=0, end_s=2.1, speaker="A"),
        SpeakerTurn(start_s=2.15, end_s=2.55, speaker="B"),
        SpeakerTurn(start_s=2.6, end_s=9, speaker="A"),
    ]
    assert len(segment(words, media_duration_s=9, language="en", speakers=turns)) == 3


def test_pieces_of_words_and_unspaced_scripts_are_joined_as_written() -> None:
    pieces = [Word(start_s=i, end_s=i + 0.9, text=t) for i, t in enumerate([" Pi", " is", " 3", ".14", " or", " so."])]
    assert segment(pieces, media_duration_s=9, language="en")[0].text == "Pi is 3.14 or so."
    chars = [Word(start_s=i * 0.3, end_s=i * 0.3 + 0.3, text=t) for i, t in enumerate("今日は晴れです。")]
    assert [u.text for u in segment(chars, media_duration_s=9, language="ja")] == ["今日は晴れです。"]


def test_one_bad_time_does_not_move_its_neighbours() -> None:
    words = _words("One two three four. Five six seven eight.")
    broken = [w.model_copy(update={"start_s": 50.0, "end_s": 51.0}) if i == 1 else w for i, w in enumerate(words)]
    rows = segment(broken, media_duration_s=60, language="en")
    assert [u.start_s for u in rows] == [u.start_s for u in segment(words, media_duration_s=60, language="en")]


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
    turns = [
        SpeakerTurn(start_s=0, end_s=0.7, speaker="A"),
        SpeakerTurn(start_s=0.7, end_s=2, speaker="B"),
    ]
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
    ),
    st.sampled_from(["en", "ja", "pt-BR", "xx"]),
)
@settings(max_examples=150, deadline=None)
def test_any_words_become_ordered_utterances(rows: list[tuple[float, float, str]], language: str) -> None:
    words = [Word(start_s=s, end_s=s + d, text=t) for s, d, t in rows]
    out = segment(words, media_duration_s=90.0, language=language)
    assert "".join("".join(u.text for u in out).split()) == "".join("".join(w.text for w in words).split())
    assert len({u.id for u in out}) == len(out)
    for u in out:
        assert 0 <= u.start_s <= u.end_s <= 90.0
        assert u.slot_end_s >= u.start_s
    for a, b in pairwise(out):
        assert a.end_s <= b.start_s
        assert a.slot_end_s <= max(a.start_s, b.start_s - GUARD_S)
