from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dubline.media import true_peak
from dubline.media.true_peak import Peaks, measure_peaks, of_all


def _written(folder: Path, samples: np.ndarray, rate_hz: int = 48_000) -> Path:
    path = folder / "sound.wav"
    soundfile.write(str(path), samples, rate_hz, subtype="PCM_16")
    return path


def test_the_peak_between_two_samples_is_found(tmp_path: Path) -> None:
    """A tone of a quarter of the rate, sampled 45 degrees off: 3 dB above its samples (EBU Tech 3341)."""
    tone = 0.5 * np.sin(2 * math.pi * 0.25 * np.arange(48_000) + math.pi / 4)
    tone *= np.minimum(1, np.arange(48_000) / 4800) * np.minimum(1, np.arange(48_000)[::-1] / 4800)
    [found] = measure_peaks(_written(tmp_path, np.column_stack([0.1 * tone, tone])))
    assert 20 * math.log10(np.abs(tone).max()) == pytest.approx(-9.03, abs=0.01)
    assert 20 * math.log10(found.true_peak) == pytest.approx(-6.02, abs=0.2)
    assert found.clipped_share == 0


def test_what_is_left_alone_holds_no_peak(tmp_path: Path) -> None:
    """Parts and frames of any size find what the filter finds over the whole sound at once, wherever its peak is."""
    noise = np.random.default_rng(7).normal(0, 0.1, (20_011, 2)).astype(np.float32)
    for place in (0, 255, 256, 9_999, 20_010):
        sound = noise.copy()
        sound[max(0, place - 1) : place + 2, 1] = 0.8
        sound = np.round(sound * 32768).clip(-32768, 32767).astype(np.int16)
        path = _written(tmp_path, sound)
        sound = sound / np.float32(32768)
        padded = np.concatenate([np.zeros((11, 2), np.float32), sound, np.zeros((11, 2), np.float32)])
        whole = max(
            float(np.abs(np.convolve(padded[:, channel], phase[::-1], mode="valid")).max())
            for channel in (0, 1)
            for phase in true_peak._FILTER
        )
        for part_s in (0.006, 0.1, 10):
            found = of_all(measure_peaks(path, part_s=part_s)).true_peak
            assert found == pytest.approx(max(whole, float(np.abs(sound).max())), rel=1e-5)


def test_a_part_has_its_own_peak(tmp_path: Path) -> None:
    sound = np.zeros(48_000, np.float32)
    sound[[10_000, 30_000, 47_999]] = 0.25, 0.75, 0.5
    path = _written(tmp_path, sound)
    parts = measure_peaks(path, part_s=0.5)
    assert [round(p.true_peak, 2) for p in parts] == [0.25, 0.75]
    assert measure_peaks(path, part_s=0.5, skip_s=0.5) == parts[1:]
    assert measure_peaks(path, part_s=0.5, skip_s=1.0) == []
    assert [round(p.true_peak, 2) for p in measure_peaks(path, part_s=0.2)] == [0.0, 0.25, 0.0, 0.75, 0.5]


def test_full_scale_is_counted_and_silence_has_no_peak(tmp_path: Path) -> None:
    half = np.zeros(1000, np.float32)
    half[100:110] = 0.6
    [found] = measure_peaks(_written(tmp_path, half), 2.0)
    assert found.clipped_share == pytest.approx(0.01)
    assert found.true_peak >= 1.2
    assert measure_peaks(_written(tmp_path, np.zeros(0))) == []
    assert of_all([]) == Peaks(0, 0, 0)
    assert measure_peaks(_written(tmp_path, np.zeros(5000))) == [Peaks(0, 0, 5000)]
