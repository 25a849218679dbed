"""The fit planner by its promises."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubline.models import Placement, Profile, Timeline
from dubline.timing.planner import CLOSE_PACE, FILL_PACE, PACE_LIMIT, FitItem, plan

RATE = 48_000


@st.composite
def _cases(draw: st.DrawFn) -> tuple[list[FitItem], int]:
    at, items = draw(st.floats(0, 3)), []
    for n in range(draw(st.integers(0, 25))):
        length = draw(st.floats(0.05, 12))
        gap = draw(st.sampled_from([0.0, 0.08, 0.3, 1.5, 6.0]))
        ratio = draw(st.floats(0.3, 2.5))
        samples = (
            draw(st.sampled_from([0, 1, int(length * ratio * 24_000)])) if n % 7 == 3 else int(length * ratio * 24_000)
        )
        items.append(FitItem(f"u{n}", at, at + length, at + length + gap, samples, 24_000))
        at += length + gap
    return items, int((at + draw(st.floats(0, 3))) * RATE)


def _check(items: list[FitItem], total: int, timeline: Timeline, limit: float) -> None:
    assert [p.utterance_id for p in timeline.placements] == [i.utterance_id for i in items]
    spoken = [(p, i) for p, i in zip(timeline.placements, items, strict=True) if p.length_samples]
    for place, item in spoken:
        assert place.start_sample >= 0
        assert place.start_sample + place.length_samples <= total
        assert place.stretch >= FILL_PACE
        # the audio, stretched as planned, is no longer than its place: no word is cut
        assert item.samples * 2 / place.stretch <= place.length_samples
        assert place.stretch <= limit or place.overrun_s > 0
    for (a, _), (b, _) in pairwise(spoken):
        assert a.start_sample + a.length_samples <= b.start_sample


@given(_cases(), st.sampled_from(["natural", "strict"]))
@settings(max_examples=300, deadline=None)
def test_promises_hold(case: tuple[list[FitItem], int], profile: Profile) -> None:
    items, total = case
    timeline = plan(items, total_samples=total, rate_hz=RATE, profile=profile)
    limit = PACE_LIMIT[profile]
    _check(items, total, timeline, limit)
    needed = sum(i.samples * 2 + 481 for i in items if i.samples)
    room = total - int(0.05 * RATE) * len(items) - len(items)
    if needed <= room * limit:
        assert all(p.overrun_s == 0 and p.stretch <= limit * 1.000001 for p in timeline.placements)
    assert timeline == plan(items, total_samples=total, rate_hz=RATE, profile=profile)


@given(_cases())
@settings(max_examples=60, deadline=None)
def test_nobody_speaks_long_before_the_source_unless_the_end_forces_it(case: tuple[list[FitItem], int]) -> None:
    items, total = case
    far = total + 600 * RATE  # the end is out of sight
    for place in plan(items, total_samples=far, rate_hz=RATE, profile="natural").placements:
        assert place.onset_error_s >= -0.3


def _line(name: str, start_s: float, end_s: float, slot_end_s: float, natural_s: float) -> FitItem:
    return FitItem(name, start_s, end_s, slot_end_s, int(natural_s * 24_000), 24_000)


def test_a_line_that_fits_is_laid_at_its_onset_untouched() -> None:
    (place,) = plan(
        [_line("a", 1.0, 3.5, 5.0, 2.5)], total_samples=10 * RATE, rate_hz=RATE, profile="natural"
    ).placements
    assert place.start_sample == RATE
    assert place.stretch == 1.0


@pytest.mark.parametrize(("natural_s", "stretch"), [(2.5, 1.0), (2.53, 1.0), (2.65, 1.064), (3.5, CLOSE_PACE)])
def test_a_line_that_outlasts_the_source_comes_closer_though_it_fits(natural_s: float, stretch: float) -> None:
    (place,) = plan(
        [_line("a", 1.0, 3.5, 6.0, natural_s)], total_samples=10 * RATE, rate_hz=RATE, profile="natural"
    ).placements
    assert place.start_sample == RATE
    assert place.stretch == pytest.approx(stretch, abs=0.002)


def test_silence_is_borrowed_then_lead_then_pace() -> None:
    borrowed, lead, paced = (
        plan([_line("a", 1.0, 3.0, 4.0, n)], total_samples=4 * RATE, rate_hz=RATE, profile="natural").placements[0]
        for n in (3.1, 3.7, 4.1)
    )
    assert (borrowed.stretch, borrowed.onset_error_s) == (pytest.approx(CLOSE_PACE, abs=1e-4), 0.0)
    assert lead.stretch == pytest.approx(CLOSE_PACE, abs=1e-4)
    assert -0.3 <= lead.onset_error_s < 0
    assert paced.onset_error_s == -0.3
    assert CLOSE_PACE < paced.stretch <= 1.25


def test_drift_is_carried_and_paid_back_at_the_next_pause() -> None:
    items = [_line("a", 1, 3, 3, 4.0), _line("b", 3, 5, 5, 1.9), _line("c", 5, 6, 9, 1.0), _line("d", 9, 10, 12, 1.0)]
    places = plan(items, total_samples=12 * RATE, rate_hz=RATE, profile="natural").placements
    assert places[1].onset_error_s > 0
    assert abs(places[1].onset_error_s) >= abs(places[2].onset_error_s)
    assert places[3].onset_error_s == 0


def test_the_end_of_the_media_is_never_passed() -> None:
    items = [_line(f"u{n}", n, n + 1, n + 1, 1.2) for n in range(10)]
    timeline = plan(items, total_samples=10 * RATE, rate_hz=RATE, profile="strict")
    _check(items, 10 * RATE, timeline, 1.5)
    too_much = [_line(f"u{n}", n, n + 1, n + 1, 3.0) for n in range(10)]
    timeline = plan(too_much, total_samples=10 * RATE, rate_hz=RATE, profile="natural")
    _check(too_much, 10 * RATE, timeline, 1.25)
    assert all(p.overrun_s > 0 for p in timeline.placements)


def test_hurry_is_shared_by_neighbours() -> None:
    items = [_line("a", 0, 4, 4, 4.0), _line("b", 4, 8, 8, 4.8), _line("c", 8, 12, 12, 4.0)]
    places = plan(items, total_samples=12 * RATE, rate_hz=RATE, profile="natural").placements
    assert 1.04 < places[0].stretch <= places[1].stretch < 1.2
    assert all(abs(p.onset_error_s) <= 0.3 for p in places)


@pytest.mark.parametrize("profile", ["natural", "strict"])
def test_a_short_line_is_slowed_as_far_as_the_source_speaks_and_not_by_much(profile: Profile) -> None:
    def laid(seconds: float) -> Placement:
        item = [_line("a", 0, 4, 5, seconds)]  # the source speaks until 4 s, the slot ends at 5 s
        return plan(item, total_samples=6 * RATE, rate_hz=RATE, profile=profile).placements[0]

    assert laid(2.0).stretch == pytest.approx(FILL_PACE, abs=1e-4)
    assert laid(3.6).length_samples == 4 * RATE
    assert laid(3.6).stretch == pytest.approx(0.9, abs=0.005)
    assert laid(3.95).stretch == 1.0
    assert laid(4.8).stretch == pytest.approx(CLOSE_PACE, abs=1e-4)
    following = [_line("a", 0, 4, 4, 3.6), _line("b", 3.8, 6, 6, 1.0)]
    first, second = plan(following, total_samples=6 * RATE, rate_hz=RATE, profile=profile).placements
    assert first.start_sample + first.length_samples < second.start_sample


def test_nothing_to_place() -> None:
    assert plan([], total_samples=RATE, rate_hz=RATE, profile="natural").placements == ()
    (place,) = plan([_line("a", 0, 1, 1, 1.0)], total_samples=0, rate_hz=RATE, profile="natural").placements
    assert place.length_samples == 0
    assert place.overrun_s > 0


def test_two_thousand_lines_in_a_second() -> None:
    items = [_line(f"u{n}", 3 * n, 3 * n + 2.9, 3 * n + 2.92, 3.2) for n in range(2000)]
    began = time.perf_counter()
    plan(items, total_samples=6000 * RATE, rate_hz=RATE, profile="natural")
    assert time.perf_counter() - began < 1.0
