"""Taking the voice out, by what it promises, with a separator that knows the voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from dubline.models import Span
from dubline.stages import separate as separating

RATE = 48_000
SPEECH = [Span(start_s=5.0, end_s=20.0), Span(start_s=55.0, end_s=66.0)]


class Oracle:
    """Takes tones above 2 kHz for voice; like a real one, it needs a moment before it is right."""

    sample_rate_hz = RATE
    parallel = 2

    def __init__(self) -> None:
        self.asked_s: list[float] = []

    def voice(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked_s.append(len(audio) / RATE)
        spectrum = np.fft.rfft(audio)
        spectrum[: int(2000 * len(audio) / RATE)] = 0
        out = np.fft.irfft(spectrum, len(audio)).astype(np.float32)
        if len(audio) < 60 * RATE:
            out[: RATE // 2] = 0
        return out

    def close(self) -> None: ...


def sounds(seconds: float, rate: int = RATE) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A voice at 4 kHz while somebody speaks, and a background at 300 Hz all the time."""
    at = np.arange(int(seconds * rate)) / rate
    voice = np.zeros(len(at))
    for span in SPEECH:
        loud = np.clip(np.minimum(at - span.start_s, span.end_s - at) / 0.2, 0, 1)
        voice += 0.15 * (1 - np.cos(np.pi * loud)) * np.sin(2 * np.pi * 4000 * at)
    return voice.astype(np.float32), (0.1 * np.sin(2 * np.pi * 300 * at)).astype(np.float32)


def level_db(samples: NDArray[np.float32]) -> float:
    return 10 * float(np.log10(np.mean(samples**2) + 1e-12))


@pytest.mark.parametrize(("left", "right", "calls_a_window"), [(1, 1, 1), (1, -1, 1), (1, 0.3, 2), (0, 1, 1)], ids=str)
def test_the_voice_goes_and_the_background_stays(
    tmp_path: Path, left: float, right: float, calls_a_window: int
) -> None:
    voice, background = sounds(90)
    soundfile.write(
        tmp_path / "bed.wav", np.stack([left * (voice + background), right * (voice + background)], 1), RATE
    )
    engine = Oracle()
    separating.separate(tmp_path / "bed.wav", SPEECH, engine, output=tmp_path / "out.wav", work=tmp_path)
    out, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (out.shape, rate) == ((len(voice), 2), RATE)
    assert len(engine.asked_s) == 2 * calls_a_window
    for channel, factor in enumerate((left, right)):
        np.testing.assert_allclose(out[:, channel], factor * background, atol=0.004)


def test_where_nobody_speaks_the_sound_is_left_as_it_is(tmp_path: Path) -> None:
    voice, background = sounds(130)
    at = slice(110 * RATE, 115 * RATE)
    sung = background.copy()
    sung[at] += 0.2 * np.sin(2 * np.pi * 3000 * np.arange(5 * RATE) / RATE).astype(np.float32)
    soundfile.write(tmp_path / "bed.wav", np.stack([voice + sung] * 2, 1), RATE)
    engine = Oracle()
    separating.separate(tmp_path / "bed.wav", SPEECH, engine, output=tmp_path / "out.wav", work=tmp_path)
    out, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    np.testing.assert_allclose(out[at, 0], sung[at], atol=1e-3)
    np.testing.assert_allclose(out[30 * RATE : 50 * RATE, 0], sung[30 * RATE : 50 * RATE], atol=1e-3)
    assert len(engine.asked_s) == 2
    assert max(engine.asked_s) < 62


def test_another_rate_keeps_length_and_step(tmp_path: Path) -> None:
    voice, background = sounds(24, 44_100)
    soundfile.write(tmp_path / "bed.wav", np.stack([voice + background] * 2, 1), 44_100)
    separating.separate(tmp_path / "bed.wav", SPEECH, Oracle(), output=tmp_path / "out.wav", work=tmp_path)
    out, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (out.shape, rate) == ((len(voice), 2), 44_100)
    inner = slice(6 * 44_100, 19 * 44_100)
    np.testing.assert_allclose(out[inner, 0], background[inner], atol=0.004)


def test_pauses_tell_whether_there_is_a_background() -> None:
    rng = np.random.default_rng(1)
    rate = 16_000
    noise = rng.standard_normal(30 * rate).astype(np.float32)
    speech = [Span(start_s=2.0, end_s=12.0), Span(start_s=15.0, end_s=28.0)]
    spoken = np.zeros(len(noise), np.float32)
    for span in speech:
        spoken[int(span.start_s * rate) : int(span.end_s * rate)] = 0.1
    voice = noise * spoken
    room = separating.pause_level_db(voice + 1e-4 * noise[::-1], rate, speech)
    music = separating.pause_level_db(voice + 1e-2 * noise[::-1], rate, speech)
    assert room == pytest.approx(-60, abs=1)
    assert music == pytest.approx(-20, abs=1)
    assert (separating.has_background(room), separating.has_background(music)) == (False, True)
    assert separating.pause_level_db(voice, rate, []) is None
    assert not separating.has_background(None)
    hum = 0.05 * np.sin(2 * np.pi * 50 * np.arange(len(noise)) / rate)
    assert not separating.has_background(separating.pause_level_db(voice + hum.astype(np.float32), rate, speech))
