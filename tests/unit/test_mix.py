"""The limiter and the bed's envelope, by what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dubline.media.loudness import gated_lufs, momentary
from dubline.models import Span
from dubline.stages import ducking
from dubline.stages.limiter import AROUND_STEPS, CEILING, limit
from dubline.stages.mix import Ground, mix
from dubline.timing.planner import FitItem, plan

STEP = 48


def _limited(signal: np.ndarray, cuts: list[int]) -> np.ndarray:
    """The signal limited part by part, each with no more around it than it is said to need."""
    around = AROUND_STEPS * STEP
    parts = []
    for first, end in zip([0, *cuts], [*cuts, len(signal)], strict=True):
        begin = max(0, first - around)
        parts.append(limit(signal[begin : end + around], STEP, first=first - begin, count=end - first).samples)
    return np.concatenate(parts)


@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 30_000),
    cuts=st.lists(st.integers(1, 500), max_size=6),
    level=st.floats(0.01, 8.0),
)
@settings(max_examples=60, deadline=None)
def test_limiter_keeps_length_and_ceiling_wherever_it_begins(
    seed: int, length: int, cuts: list[int], level: float
) -> None:
    rng = np.random.default_rng(seed)
    signal = (rng.standard_normal((length, 2)) * level * rng.random((length, 1)) ** 8).astype(np.float32)
    out = _limited(signal, sorted({cut * STEP for cut in cuts if cut * STEP < length}))
    assert out.shape == signal.shape
    assert np.abs(out).max(initial=0.0) <= CEILING * 1.0001
    np.testing.assert_array_equal(out, _limited(signal, []))
    if np.abs(signal).max() <= CEILING:
        np.testing.assert_array_equal(out, signal)


def test_limiter_leaves_what_is_far_from_a_peak_alone() -> None:
    signal = np.full((48_000, 2), 0.1, np.float32)
    signal[24_000] = 2.0
    done = limit(signal, STEP, first=0, count=len(signal))
    assert done.touched == 1
    assert abs(done.samples[24_000, 0]) <= CEILING
    np.testing.assert_array_equal(done.samples[:22_000], signal[:22_000])
    np.testing.assert_array_equal(done.samples[26_000:], signal[26_000:])


def test_bed_is_down_in_speech_and_up_far_from_it_with_smooth_ramps() -> None:
    shape = ducking.shape([Span(start_s=5.0, end_s=6.0)], 10.0)
    assert shape[550] == pytest.approx(1.0)
    assert shape[100] == shape[900] == pytest.approx(0.0)
    assert np.abs(np.diff(shape)).max() < 0.13


def test_the_bed_breathes() -> None:
    """Loud sound goes down to the ceiling before it comes, soft sound stays, and no further down than allowed."""
    bed = np.full(100, -70.0)
    bed[40:60] = -20.0
    bed[80:90] = 0.0
    under = ducking.Ducking(ceiling_lu=-27.0, most_db=-36.0)
    depth = ducking.depth(bed, -23.0, under, 10.0)
    assert depth[100] == pytest.approx(0.0)
    assert depth[500] == pytest.approx(-30.0)
    assert depth[850] == pytest.approx(-36.0)
    # A window that holds the first loud sample ends up to 0.4 s after it; the gain is there by then.
    assert depth[381] < -25
    assert np.abs(np.diff(depth)).max() < 4


@pytest.mark.parametrize(("source_level", "lifts"), [(0.02, False), (0.15, True)])
def test_a_voice_with_peaks_is_as_loud_as_a_loud_source(source_level: float, lifts: bool, tmp_path: Path) -> None:
    """A source without peaks, as one made loud for broadcast, and a voice of syllables, each with its peak."""
    rate_hz, rng = 48_000, np.random.default_rng(3)
    source = np.zeros((8 * rate_hz, 2))
    source[rate_hz : 7 * rate_hz] = source_level * np.clip(rng.standard_normal((6 * rate_hz, 1)), -1.5, 1.5)
    syllable = np.exp(-np.arange(9_600) / 1_500) * np.sin(np.arange(9_600) / 20)
    voice = 0.3 * np.tile(syllable, 6 * rate_hz // 9_600)
    soundfile.write(tmp_path / "bed.wav", source, rate_hz)
    soundfile.write(tmp_path / "line.wav", voice, rate_hz)
    bed = Ground(tmp_path / "bed.wav", momentary(tmp_path / "bed.wav"))
    item = FitItem("a", 1.0, 7.0, 7.5, len(voice), rate_hz)
    facts = mix(
        bed,
        plan([item], total_samples=8 * rate_hz, rate_hz=rate_hz, profile="natural"),
        {"a": tmp_path / "line.wav"},
        [Span(start_s=1.0, end_s=7.0)],
        background="mute",
        output=tmp_path / "out.wav",
        work=tmp_path,
    ).facts
    assert (facts.voice_lift_db > 0, facts.limited_share > 0) == (lifts, lifts)
    heard = gated_lufs(momentary(tmp_path / "out.wav"))
    assert facts.source_voice_lufs is not None
    assert heard == pytest.approx(facts.source_voice_lufs, abs=0.6)
    out, _ = soundfile.read(tmp_path / "out.wav")
    assert np.abs(out).max() <= CEILING * 1.001
