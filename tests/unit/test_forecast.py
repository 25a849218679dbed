"""Whether a text will fit, from what the voice has said so far."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubline.models import Line, Utterance
from dubline.timing.forecast import foresee, learn_rate, shorter_text


@given(st.lists(st.integers(1, 200), min_size=4, max_size=30, unique=True), st.floats(0.01, 1), st.floats(0.02, 0.2))
def test_a_steady_voice_is_known_from_its_lines(lengths: list[int], head_s: float, char_s: float) -> None:
    rate = learn_rate([("x" * n, head_s + char_s * n) for n in lengths])
    assert rate.seconds("y" * 77) == pytest.approx(head_s + char_s * 77, rel=1e-3)
    assert rate.seconds("…") == 0.0


def test_with_nothing_heard_a_usual_voice_is_assumed() -> None:
    assert 1.0 < learn_rate([]).seconds("Bom dia a todos vocês.") < 3.0


def _line(name: str, start_s: float, text: str, *candidates: str) -> Line:
    said = Utterance(id=name, start_s=start_s, end_s=start_s + 1.8, slot_end_s=start_s + 1.92, text="source")
    return Line(utterance=said, text=text, candidates=candidates)


def test_a_text_too_long_for_its_slot_is_told_with_a_wording_that_fits() -> None:
    rate = learn_rate([("x" * n, n / 10) for n in (5, 10, 15, 20)])
    lines = [
        _line("a", 0.0, "x" * 15),
        _line("b", 2.0, "y" * 60, "z" * 58, "z" * 20, "z" * 8),
        _line("c", 9.0, "w" * 18),
    ]
    told = foresee(lines, {"a": 1.5}, rate, media_s=12.0, profile="natural")
    assert told["a"].fits
    assert told["a"].natural_s == 1.5
    assert not told["b"].fits
    assert "past its slot" in told["b"].message
    assert told["b"].slot_s == pytest.approx(1.92)
    assert shorter_text(lines[1], lines[1].candidates, told["b"], rate) == "z" * 20
    assert shorter_text(lines[1], ["z" * 58], told["b"], rate) == ""
    known = foresee(lines, {"b": 1.9}, rate, media_s=12.0, profile="natural")
    assert known["b"].fits
