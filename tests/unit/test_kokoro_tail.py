"""A hiss behind the last vowel goes; what belongs to the text stays."""

from __future__ import annotations

import numpy as np
import pytest

from dubline.engines.kokoro_tail import ends_in_voice, without_hiss

RATE_HZ = 24_000


def _vowel(length_s: float) -> np.ndarray:
    t = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * 140 * n * t) / n for n in range(1, 16))
    fade = np.minimum(1, (length_s - t) / 0.05)
    return (0.2 * tone * fade).astype(np.float32)


def _hiss(length_s: float, gain: float = 0.05) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=int(length_s * RATE_HZ))
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / RATE_HZ) < 4000] = 0
    return (gain * np.fft.irfft(spectrum, len(noise))).astype(np.float32)


def _high(samples: np.ndarray, from_s: float) -> float:
    """Energy above 3.5 kHz behind a moment."""
    rest = samples[int(from_s * RATE_HZ) :]
    power = np.abs(np.fft.rfft(rest)) ** 2 / max(1, len(rest))
    return float(power[np.fft.rfftfreq(len(rest), 1 / RATE_HZ) > 3500].sum()) if len(rest) else 0.0


@pytest.mark.parametrize("phonemes", ["olˈa.", "bˌænˈɐ̃næ!", "nˈɐ̃ʊ̃", "ˈaɡwæ.", "tˈudʊ bˈeɪŋ?", "dˈõ"])
def test_a_hiss_behind_the_voice_is_taken_off(phonemes: str) -> None:
    spoken = np.concatenate([_vowel(0.5), _hiss(0.12), np.zeros(1200, np.float32)])
    out = without_hiss(spoken, phonemes, RATE_HZ)
    assert 0.42 * RATE_HZ < len(out) < 0.53 * RATE_HZ
    assert np.array_equal(out[: int(0.4 * RATE_HZ)], spoken[: int(0.4 * RATE_HZ)])
    assert _high(out, 0.4) < 0.02 * _high(spoken, 0.4)
    assert abs(out[-1]) < 1e-3


@pytest.mark.parametrize("phonemes", ["dˈelys.", "kˈazæ.", "sˈɛtʃy.", "perfˈeɪtʊ", "favˈor f.", "", "…"])
def test_a_sound_of_the_text_stays(phonemes: str) -> None:
    spoken = np.concatenate([_vowel(0.5), _hiss(0.12)])
    assert without_hiss(spoken, phonemes, RATE_HZ) is spoken


@pytest.mark.parametrize(
    "spoken",
    [
        _vowel(0.5),
        np.concatenate([_hiss(0.15), _vowel(0.5)]),
        np.concatenate([_vowel(0.5), _hiss(0.12, 1e-4)]),
        np.zeros(RATE_HZ, np.float32),
        np.zeros(0, np.float32),
    ],
    ids=["no hiss", "before", "inaudible", "silence", "nothing"],
)
def test_sound_without_a_hiss_at_its_end_is_left_as_it_is(spoken: np.ndarray) -> None:
    assert len(without_hiss(spoken, "olˈa.", RATE_HZ)) == len(spoken)


def test_long_endings_of_voice_are_told_whatever_is_before() -> None:
    assert ends_in_voice("sˈaɪ̯a.")
    assert not ends_in_voice("sˈa.")
