"""Predicted durations and the choice among translations."""

from __future__ import annotations

import pytest

from dubline.timing.duration import choose_candidate, predict_s


def test_duration_grows_with_the_text_and_nothing_takes_no_time() -> None:
    assert predict_s("x" * 181) == pytest.approx(10.71)
    assert predict_s("…") == 0.0


def test_the_best_that_fits_is_taken_else_the_shortest() -> None:
    rows = ["x" * 100, "y" * 60, "z" * 50]
    assert choose_candidate(rows, 10.0) == 0
    assert choose_candidate(rows, predict_s(rows[1]) / 1.2) == 1
    assert choose_candidate(rows, 0.5) == 2
    assert choose_candidate(["", "word"], 0.1) == 1
