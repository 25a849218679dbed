"""The original voice in the result, and the lines' own sounds, found in made-up sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from dubline.media.finished import RATE_HZ
from dubline.models import Placement, Span
from dubline.quality.leak import FLOOR_DB, measure_leak
from dubline.quality.matching import match_lines
from dubline.quality.sound import envelope

SPEECH = [Span(start_s=1.0, end_s=9.0), Span(start_s=11.0, end_s=30.0)]
LINES = [Span(start_s=1.2, end_s=6.0), Span(start_s=11.5, end_s=16.0), Span(start_s=35.0, end_s=38.0)]


def babble(seed: int, seconds: float = 40.0) -> NDArray[np.float32]:
    """Noise in syllables: as unlike itself from moment to moment as speech is."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE_HZ)
    loud = np.interp(np.arange(count), np.arange(0, count, 1600), rng.random(len(range(0, count, 1600))) ** 3)
    return (0.2 * rng.standard_normal(count) * loud).astype(np.float32)


def raw(path: Path, left: NDArray[np.float32], right: NDArray[np.float32]) -> Path:
    (np.stack([left, right], 1) * 32767).astype("<i2").tofile(path)
    return path


@pytest.mark.parametrize("phase", [1, -1])
@pytest.mark.parametrize("late", [0, 7])
def test_the_level_of_the_original_voice_is_found(tmp_path: Path, phase: int, late: int) -> None:
    voice, dub, music = babble(1), babble(2), babble(3)
    voice[30 * RATE_HZ :] = 0
    bed = raw(tmp_path / "bed", voice + music, phase * voice + music)
    background = raw(tmp_path / "background", music, music)
    left = np.full(len(voice), 10 ** (-24 / 20), np.float32)
    left[11 * RATE_HZ : 17 * RATE_HZ] = 10 ** (-6 / 20)
    heard = [np.roll(dub + left * channel + 0.7 * music, late) for channel in (voice, phase * voice)]
    result = raw(tmp_path / "result", *heard)
    leak = measure_leak(result, bed, background, SPEECH, LINES)
    assert leak.whole_db is not None
    assert -20 < leak.whole_db < -10
    assert leak.lines_db[0] == pytest.approx(-24, abs=3)
    assert leak.lines_db[1] == pytest.approx(-6, abs=1)
    assert leak.lines_db[2] is None


def test_a_voice_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    voice, dub = babble(1), babble(2)
    bed = raw(tmp_path / "bed", voice, voice)
    leak = measure_leak(raw(tmp_path / "result", dub, dub), bed, None, SPEECH, LINES)
    assert leak.whole_db is not None
    assert leak.whole_db < -28
    assert measure_leak(raw(tmp_path / "none", dub * 0, dub * 0), bed, None, SPEECH, LINES).whole_db == FLOOR_DB
    assert measure_leak(raw(tmp_path / "short", dub[:100], dub[:100]), bed, None, [], []).whole_db is None


@pytest.mark.parametrize("moved_s", [0.0, 0.5, -0.4])
@pytest.mark.parametrize("stretch", [1.0, 1.25])
def test_a_line_is_found_where_it_lies(tmp_path: Path, moved_s: float, stretch: float) -> None:
    line, other = babble(5, 4.0), babble(6, 4.0)
    soundfile.write(tmp_path / "line.wav", line, RATE_HZ)
    placed = np.interp(np.arange(0, len(line), stretch), np.arange(len(line)), line).astype(np.float32)
    track = 0.003 * babble(7, 12.0)
    at = int((4.0 + moved_s) * RATE_HZ)
    track[at : at + len(placed)] += placed
    (track * 32767).astype("<i2").tofile(tmp_path / "track")
    place = Placement(
        utterance_id="a",
        start_sample=4 * RATE_HZ,
        length_samples=len(placed),
        stretch=stretch,
        slot_s=4.0,
        natural_s=4.0,
        onset_error_s=0.0,
        drift_s=0.0,
    )
    levels = envelope(tmp_path / "track")
    (found,) = match_lines(levels, [place], RATE_HZ, {"a": tmp_path / "line.wav"})
    assert found.shift_s == pytest.approx(moved_s, abs=0.03)
    assert found.likeness is not None
    assert found.likeness > 0.8
    soundfile.write(tmp_path / "other.wav", other, RATE_HZ)
    (wrong,) = match_lines(levels, [place], RATE_HZ, {"a": tmp_path / "other.wav"})
    assert wrong.shift_s is None
    assert wrong.likeness is not None
    assert wrong.likeness < 0.5
