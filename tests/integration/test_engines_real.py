"""The embedded engines, for real, on short things."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile

from dubline.engines import registry
from dubline.engines.kokoro import Kokoro, split_text
from dubline.engines.pool import acquire
from dubline.engines.spoken_text import spoken
from dubline.engines.vad import speech_spans
from dubline.settings import get_settings

pytestmark = pytest.mark.engines


def _sixteen(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    at = np.arange(0, len(samples) / rate_hz, 1 / 16_000)
    return np.interp(at, np.arange(len(samples)) / rate_hz, samples).astype(np.float32)


def _hear(audio: np.ndarray, language: str) -> str:
    settings = get_settings()
    choice = registry.choose_stt(settings, engine="auto", model="base", language=language)
    with acquire(choice, settings) as engine:
        return " ".join(s.text for s in engine.transcribe(audio, language=language).segments)


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def test_whisper_hears_and_times_words(media_dir: Path) -> None:
    samples, rate_hz = soundfile.read(str(media_dir / "speech/jfk.flac"), dtype="float32", always_2d=True)
    audio = _sixteen(samples.mean(axis=1), rate_hz)
    settings = get_settings()
    choice = registry.choose_stt(settings, engine="auto", model="base", language=None)
    with acquire(choice, settings) as engine:
        heard = engine.transcribe(audio, language=None)
    assert heard.language == "en"
    text = _plain(" ".join(s.text for s in heard.segments))
    assert "ask not what your country can do for you" in text
    words = [w for s in heard.segments for w in s.words]
    assert all(a.start_s <= b.start_s for a, b in pairwise(words))
    assert words[-1].end_s <= 11.5


def test_voice_activity_knows_silence_from_speech(media_dir: Path) -> None:
    samples, rate_hz = soundfile.read(
        str(media_dir / "speech/lj_25s_silence_first.flac"), dtype="float32", always_2d=True
    )
    spans = speech_spans(_sixteen(samples.mean(axis=1), rate_hz))
    assert 24.5 < spans[0].start_s < 25.6
    assert speech_spans(np.zeros(160_000, np.float32)) == []
    quiet, rate_hz = soundfile.read(str(media_dir / "speech/lj_minus45dB.flac"), dtype="float32", always_2d=True)
    assert sum(s.duration_s for s in speech_spans(_sixteen(quiet.mean(axis=1), rate_hz))) > 15


def test_bergamot_keeps_portuguese_words_that_look_english() -> None:
    settings = get_settings()
    choice = registry.choose_mt(settings, engine="bergamot", model=None, source="en", target="pt-BR")
    with acquire(choice, settings) as engine:
        (result,) = engine.translate(["It was invented in the 15th century."], source="en", target="pt-BR")
        assert " no século" in result.text
        many = ["One thing.", "Another thing entirely.", "..."]
        assert len(engine.translate(many, source="en", target="pt-BR")) == 3


@pytest.mark.parametrize(("language", "limit"), [("pt-BR", 0.25), ("en-US", 0.15)])
def test_kokoro_is_understood(language: str, limit: float) -> None:
    text = {
        "pt-BR": "Bom dia. O trem para a cidade sai da estação às nove horas da manhã.",
        "en-US": "Good morning. The train to the city leaves the station at nine in the morning.",
    }[language]
    settings = get_settings()
    choice = registry.choose_tts(settings, engine="kokoro", language=language, voice=None)
    with acquire(choice, settings) as engine:
        result = engine.synthesize(text, voice=choice.voice, language=language)
        assert not len(engine.synthesize("…", voice=choice.voice, language=language).samples)
    heard = _hear(_sixteen(result.samples, result.sample_rate_hz), language)
    numbers = {"9": "nove" if language == "pt-BR" else "nine"}
    words = " ".join(numbers.get(w, w) for w in _plain(heard).split())
    assert jiwer.wer(_plain(text), words) <= limit


def test_espeak_speaks_what_kokoro_cannot() -> None:
    settings = get_settings()
    choice = registry.choose_tts(settings, engine="auto", language="de", voice=None)
    assert choice.engine == "espeak"
    with acquire(choice, settings) as engine:
        slow = engine.synthesize("Guten Morgen zusammen.", voice=choice.voice, language="de")
        fast = engine.synthesize("Guten Morgen zusammen.", voice=choice.voice, language="de", rate=1.5)
    assert 0.5 < len(fast.samples) / slow.sample_rate_hz < len(slow.samples) / slow.sample_rate_hz < 4
    assert np.abs(slow.samples).max() > 0.05


@pytest.mark.skipif(
    registry.plugins("mt")["pivot"].missing(get_settings()) is not None, reason="Apertium is not installed"
)
def test_spanish_goes_by_way_of_portuguese() -> None:
    settings = get_settings()
    choice = registry.choose_mt(settings, engine="auto", model=None, source="en", target="es")
    assert choice.engine == "pivot"
    with acquire(choice, settings) as engine:
        rows = engine.translate(["The house is white.", "", "Good morning, my friend."], source="en", target="es")
    assert [bool(r.text) for r in rows] == [True, False, True]
    assert "casa" in rows[0].text


def test_text_is_written_out_before_it_is_spoken() -> None:
    assert spoken("Custa US$ 30.", "pt-BR") == "Custa 30 dólares."
    assert spoken("Em 1.455, 20% no século XV", "pt-BR") == "Em 1455, 20 por cento no século 15"
    assert spoken("write to ana@example.org", "en-US") == "write to ana at example dot org"


def test_long_texts_are_cut_where_one_breathes() -> None:
    text = "This is a first sentence of some length. And here, after it, comes a second one, with a clause."
    parts = split_text(text, 60)
    assert parts[0] == "This is a first sentence of some length."
    assert " ".join(parts) == text
    assert all(len(p) <= 60 for p in parts)
    assert Kokoro.sample_rate_hz == 24_000
