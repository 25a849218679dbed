"""Pauses of the voice tied to the source's, from the sound to the laid line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dubline.media.loudness import momentary
from dubline.models import Placement, Profile, Span, Spoken, Timeline, Utterance
from dubline.stages.mix import Ground, mix
from dubline.stages.synthesize import phrases
from dubline.timing.pauses import fit_item, tie
from dubline.timing.planner import FILL_PACE, PACE_LIMIT, FitItem, FitPhrase, plan

RATE = 48_000
VOICE_HZ = 24_000


def _spans(*rows: tuple[float, float]) -> list[Span]:
    return [Span(start_s=a, end_s=b) for a, b in rows]


def _said(start_s: float, end_s: float, slot_end_s: float) -> Utterance:
    return Utterance(id="u", start_s=start_s, end_s=end_s, slot_end_s=slot_end_s, text="…")


def _voice(*rows: tuple[float, float], total_s: float) -> np.ndarray:
    """A buzz that sounds in the given times and is silent in between."""
    samples = np.zeros(int(total_s * VOICE_HZ), np.float32)
    for start_s, end_s in rows:
        a, b = int(start_s * VOICE_HZ), int(end_s * VOICE_HZ)
        samples[a:b] = 0.3 * np.sign(np.sin(2 * np.pi * 150 * np.arange(b - a) / VOICE_HZ))
    return samples


def test_a_line_is_cut_where_it_pauses_and_not_where_it_breathes() -> None:
    found = phrases(_voice((0.02, 1.0), (1.08, 2.0), (2.4, 3.0), total_s=3.06), VOICE_HZ)
    assert [(s.start_s, s.end_s) for s in found] == [(0.02, 2.0), (2.4, 3.0)]
    assert phrases(np.zeros(100, np.float32), VOICE_HZ) == ()


def test_the_phrase_after_a_shared_pause_starts_with_the_sources() -> None:
    source = _spans((10.0, 13.0), (14.0, 17.0))
    tied = tie(_said(10.0, 17.0, 18.0), source, _spans((0.0, 2.9), (3.2, 6.0)))
    # 0.12 s of the pause go with the second phrase, so that its sound, not its silence, starts at 14 s.
    assert [t.source.start_s for t in tied] == [10.0, pytest.approx(13.88)]
    assert tied[0].end_s == tied[1].first_s == pytest.approx(3.08)
    assert tied[0].pause_s == pytest.approx(0.18)
    assert tied[1].end_s is None


@pytest.mark.parametrize(
    ("source", "voice"),
    [
        (_spans((10.0, 17.0)), _spans((0.0, 2.9), (3.2, 6.0))),  # the source does not pause
        (_spans((10.0, 13.0), (14.0, 17.0)), _spans((0.0, 6.0))),  # the voice does not
        (_spans((10.0, 10.6), (11.6, 17.0)), _spans((0.0, 5.0), (5.3, 6.0))),  # elsewhere in the sentence
        (_spans((10.0, 13.0), (13.2, 17.0)), _spans((0.0, 2.9), (3.2, 6.0))),  # too short to be seen
        (_spans((10.0, 13.0), (14.0, 17.0)), _spans((0.0, 5.0), (5.3, 9.0))),  # the line is longer than its slot
    ],
)
def test_a_line_without_a_shared_pause_stays_whole(source: list[Span], voice: list[Span]) -> None:
    (whole,) = tie(_said(10.0, 17.0, 18.0), source, voice)
    assert (whole.first_s, whole.end_s, whole.pause_s) == (0.0, None, 0.0)
    assert whole.source.start_s == 10.0


def test_of_three_pauses_the_one_at_the_right_time_is_taken() -> None:
    source = _spans((0.0, 4.0), (4.6, 8.0))
    tied = tie(_said(0.0, 8.0, 8.0), source, _spans((0.0, 1.2), (1.5, 3.9), (4.2, 5.5), (5.8, 7.4)))
    assert len(tied) == 2
    assert tied[1].first_s == pytest.approx(4.08)
    assert tied[1].source.start_s == pytest.approx(4.48)


@st.composite
def _pause_cases(draw: st.DrawFn) -> tuple[list[FitItem], int]:
    at, items = draw(st.floats(0, 2)), []
    for n in range(draw(st.integers(1, 10))):
        parts, first = [], 0
        start_s = at
        for _ in range(draw(st.integers(1, 4))):
            length_s, samples = draw(st.floats(0.2, 5)), int(draw(st.floats(0.1, 5)) * VOICE_HZ)
            pause = draw(st.integers(0, samples // 3))
            parts.append(FitPhrase(at, at + length_s, first, samples, pause))
            first += samples
            at += length_s + draw(st.sampled_from([0.3, 0.5, 2.0]))
        items.append(FitItem(f"u{n}", start_s, at, at, first, VOICE_HZ, tuple(parts)))
    return items, int((at + draw(st.floats(0, 3))) * RATE)


@given(_pause_cases(), st.sampled_from(["natural", "strict"]))
@settings(max_examples=300, deadline=None)
def test_promises_hold_phrase_by_phrase(case: tuple[list[FitItem], int], profile: Profile) -> None:
    """Nothing is cut, nothing is said twice, order and limits hold, and a line is from its first phrase to its last."""
    items, total = case
    timeline = plan(items, total_samples=total, rate_hz=RATE, profile=profile)
    laid = [part for place in timeline.placements for part in place.parts]
    assert all(a.start_sample + a.length_samples <= b.start_sample for a, b in pairwise(laid))
    assert laid[-1].start_sample + laid[-1].length_samples <= total
    for place, item in zip(timeline.placements, items, strict=True):
        parts = place.parts
        assert [p.first for p in parts] == [p.first for p in item.phrases]
        assert [p.end for p in parts] == [*(p.first for p in parts[1:]), None]
        assert place.start_sample == parts[0].start_sample
        assert place.start_sample + place.length_samples == parts[-1].start_sample + parts[-1].length_samples
        assert place.stretch == max(p.stretch for p in parts)
        assert place.stretch <= PACE_LIMIT[profile] * 1.000001 or place.overrun_s > 0
        for part, phrase in zip(parts, item.phrases, strict=True):
            assert part.stretch >= FILL_PACE - 1e-6
            assert phrase.samples * 2 / part.stretch <= part.length_samples


def test_a_phrase_waits_for_the_sources_and_is_slowed_to_its_end() -> None:
    phrases_ = (FitPhrase(1.0, 4.0, 0, 3 * VOICE_HZ, VOICE_HZ // 4), FitPhrase(5.0, 8.0, 3 * VOICE_HZ, 3 * VOICE_HZ))
    item = FitItem("a", 1.0, 8.0, 9.0, 6 * VOICE_HZ, VOICE_HZ, phrases_)
    (place,) = plan([item], total_samples=10 * RATE, rate_hz=RATE, profile="natural").placements
    first, second = place.parts
    assert (first.start_sample, second.start_sample) == (RATE, 5 * RATE)
    # 2.75 s of voice over 3 s of speech: slower, so that both fall silent together
    assert first.stretch == pytest.approx(2.75 / 3.0, abs=0.01)
    assert second.stretch == 1.0


def test_the_laid_line_is_silent_where_the_source_is(tmp_path: Path) -> None:
    """From the sound of a line to the mix: it sounds in both phrases of the source, and not between them."""
    said = _voice((0.02, 2.0), (2.3, 4.3), total_s=4.36)
    soundfile.write(tmp_path / "line.wav", said, VOICE_HZ)
    soundfile.write(tmp_path / "bed.wav", np.zeros((10 * RATE, 2), np.float32), RATE)
    speech = _spans((1.0, 3.0), (5.0, 7.0))
    spoken = Spoken(
        utterance_id="u",
        audio=None,
        samples=len(said),
        sample_rate_hz=VOICE_HZ,
        engine="",
        voice="",
        phrases=phrases(said, VOICE_HZ),
    )
    item = fit_item(_said(1.0, 7.0, 8.0), spoken, speech)
    timeline = plan([item], total_samples=10 * RATE, rate_hz=RATE, profile="natural")
    mix(
        Ground(tmp_path / "bed.wav", momentary(tmp_path / "bed.wav")),
        timeline,
        {"u": tmp_path / "line.wav"},
        speech,
        background="mute",
        output=tmp_path / "out.wav",
        work=tmp_path,
    )
    out, _ = soundfile.read(str(tmp_path / "out.wav"))
    loud = np.abs(out[:, 0]).reshape(-1, RATE // 100).max(axis=1) > 0.01

    def share(start_s: float, end_s: float) -> float:
        return float(loud[int(start_s * 100) : int(end_s * 100)].mean())

    assert share(1.05, 2.85) > 0.99
    assert share(3.1, 4.95) == 0
    assert share(5.05, 6.85) > 0.99
    assert share(7.1, 10.0) == 0


def test_a_placement_in_one_piece_is_its_own_part() -> None:
    item = FitItem("a", 1.0, 3.0, 5.0, 2 * VOICE_HZ, VOICE_HZ)
    timeline: Timeline = plan([item], total_samples=10 * RATE, rate_hz=RATE, profile="natural")
    place: Placement = timeline.placements[0]
    assert place.phrases == ()
    (part,) = place.parts
    assert (part.first, part.end, part.start_sample) == (0, None, place.start_sample)
