"""The embedded engines with their real weights, on short real speech."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import soundfile
from faster_whisper.audio import decode_audio

from dubline.engines import espeak, faster_whisper, kokoro, kokoro_forms, weights
from dubline.engines.base import SttEngine, SttResult
from dubline.engines.vad import speech_spans
from dubline.errors import EngineError, EngineOutOfMemory, EngineUnavailable
from dubline.models import Span
from dubline.quality.translation import measure_recognition
from dubline.settings import Settings
from dubline.stages.transcribe import doubt, find_speech, join, recognise

pytestmark = pytest.mark.engines
RATE_HZ = 16_000
KENNEDY = "ask not what your country can do for you ask what you can do for your country"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings()


def load(plugin: Any, settings: Settings) -> Any:
    gap = plugin.missing(settings)
    if gap is not None:
        pytest.skip(gap.reason)
    return plugin.load(settings)


@pytest.fixture(scope="module")
def whisper(settings: Settings) -> Iterator[SttEngine]:
    engine = load(faster_whisper.PLUGIN, settings)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def speaker(settings: Settings) -> Iterator[Any]:
    engine = load(kokoro.PLUGIN, settings)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def kennedy(media_dir: Path) -> np.ndarray:
    audio, rate = soundfile.read(media_dir / "speech" / "jfk.flac", dtype="float32")
    mono = audio if audio.ndim == 1 else audio.mean(axis=1)
    return resample(mono, rate)


def resample(audio: np.ndarray, rate_hz: int) -> np.ndarray:
    at = np.arange(int(len(audio) * RATE_HZ / rate_hz)) * rate_hz / RATE_HZ
    return np.interp(at, np.arange(len(audio)), audio).astype(np.float32)


def words(result: SttResult) -> list[str]:
    return plain(" ".join(s.text for s in result.segments)).split()


def plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum() or c.isspace()).strip()


def test_whisper_hears_kennedy(whisper: SttEngine, kennedy: np.ndarray) -> None:
    result = whisper.transcribe(kennedy, language=None)
    words = [w for s in result.segments for w in s.words]
    assert result.language == "en"
    assert KENNEDY in plain("".join(w.text for w in words))
    starts = [w.start_s for w in words]
    assert starts == sorted(starts)
    assert words[-1].end_s <= len(kennedy) / RATE_HZ + 0.1
    assert whisper.detect_language(kennedy)[0] == "en"


@pytest.mark.parametrize(("at_s", "word", "is_common"), [(21.9, "Produced", True), (45.25, "Gut", False)])
def test_a_capital_that_only_begins_the_sound_is_known_from_a_name(
    whisper: SttEngine, media_dir: Path, at_s: float, word: str, is_common: bool
) -> None:
    lecture = decode_audio(str(media_dir / "speech/lj_printing_3m30.opus"))
    first = whisper.transcribe(lecture[int(at_s * 16000) : int((at_s + 6) * 16000)], language="en").segments[0]
    assert first.text.startswith(word)  # in the middle of a sentence, and it begins with a capital
    assert first.begins_common == is_common


def test_a_word_after_a_long_silence_is_not_lost(whisper: SttEngine, media_dir: Path, tmp_path: Path) -> None:
    """He says when he will say it, and 23 s later says it: joined to the rest, base Whisper passes over the word."""
    audio = decode_audio(str(media_dir / "video" / "real_autoeditor_42s.mp4"), sampling_rate=RATE_HZ)
    soundfile.write(str(tmp_path / "stt.wav"), audio, RATE_HZ)
    plan = find_speech(tmp_path / "stt.wav")
    transcript = join(plan, [recognise(tmp_path / "stt.wav", c, whisper, language=None) for c in plan.chunks])
    last = transcript.words[-1]
    assert plain(last.text) == "banana"
    assert last.start_s == pytest.approx(40.0, abs=0.3)
    assert not measure_recognition(transcript).wordless


def test_vad_finds_speech_between_silences(kennedy: np.ndarray) -> None:
    silence = np.zeros(5 * RATE_HZ, np.float32)
    whole = speech_spans(kennedy)
    spans = speech_spans(np.concatenate([silence, kennedy, silence]))
    assert 5.0 <= spans[0].start_s < 5.6
    assert spans[-1].end_s <= 5.2 + len(kennedy) / RATE_HZ
    assert sum(s.duration_s for s in spans) == pytest.approx(sum(s.duration_s for s in whole), rel=0.1)
    quiet = speech_spans(kennedy * 0.003)
    assert sum(s.duration_s for s in quiet) == pytest.approx(sum(s.duration_s for s in whole), rel=0.15)
    assert speech_spans(silence) == []


@pytest.mark.parametrize(
    ("language", "voice", "text"),
    [
        ("pt-BR", "pf_dora", "O trabalho de um bom tradutor é fazer com que ninguém perceba que ele esteve ali."),
        ("en-US", "af_heart", "Every language has its own music, and a good dub lets you hear it."),
    ],
)
def test_what_kokoro_says_is_understood(speaker: Any, whisper: SttEngine, language: str, voice: str, text: str) -> None:
    result = speaker.synthesize(text, voice=voice, language=language)
    heard = whisper.transcribe(resample(result.samples, result.sample_rate_hz), language=language)
    said = plain(" ".join(s.text for s in heard.segments))
    assert jiwer.wer(plain(text), said) < 0.25


def test_whisper_encodes_a_window_once(
    whisper: SttEngine, kennedy: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding the language and recognising the words share the first window, and nothing else does."""
    import faster_whisper as library

    encoded: list[int] = []
    inner = library.WhisperModel.encode
    monkeypatch.setattr(
        library.WhisperModel, "encode", lambda self, features: (encoded.append(1), inner(self, features))[1]
    )
    named = whisper.transcribe(kennedy, language="en")
    assert len(encoded) == 1
    found = whisper.transcribe(kennedy, language=None)
    assert len(encoded) == 2
    # The window that found the language has one frame more: enough, on some processors, for another comma.
    assert words(found) == words(named)
    other = whisper.transcribe(kennedy[: len(kennedy) // 2], language=None)
    assert len(encoded) == 3
    assert [s.text for s in other.segments] != [s.text for s in found.segments]


def test_text_alone_is_the_same_text_without_words(whisper: SttEngine, kennedy: np.ndarray) -> None:
    timed = whisper.transcribe(kennedy, language="en")
    text = whisper.transcribe(kennedy, language="en", word_times=False)
    assert all(s.words for s in timed.segments)
    assert not any(s.words for s in text.segments)
    assert words(text) == words(timed)


def test_text_alone_encodes_no_more_than_there_is(
    whisper: SttEngine, kennedy: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the decoder doubts what it found: then it is the whole window, as for words."""
    import faster_whisper as library

    from dubline.engines import faster_whisper

    frames: list[int] = []
    inner = library.WhisperModel.encode
    monkeypatch.setattr(
        library.WhisperModel, "encode", lambda self, mel: (frames.append(mel.shape[-1]), inner(self, mel))[1]
    )
    timed = whisper.transcribe(kennedy, language="en")
    text = whisper.transcribe(kennedy, language="en", word_times=False)
    assert frames == [3000, 1500]
    assert words(text) == words(timed)
    frames.clear()
    monkeypatch.setattr(faster_whisper, "_LEAST_LOG_PROBABILITY", 0.0)
    whisper.transcribe(kennedy, language="en", word_times=False)
    assert frames == [1500, 3000]


def test_words_are_not_drawn_at_random_where_nobody_speaks(whisper: SttEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a clip behind its last word once gave "W-W-W-W-W", and other words each time."""
    recogniser: Any = whisper
    inner, decoded = recogniser._model.model, []

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        def generate(self, *arguments: Any, **named: Any) -> Any:
            decoded.append(named.get("sampling_temperature", 0.0))
            return inner.generate(*arguments, **named)

    monkeypatch.setattr(recogniser._model, "model", Counted())
    noise = (np.random.default_rng(1).standard_normal(8000) * 0.003).astype(np.float32)
    heard = whisper.transcribe(noise, language="en")
    assert decoded == [0.0]
    assert all(doubt(s, [Span(start_s=0, end_s=0.5)]) == "no_speech" for s in heard.segments)


@pytest.mark.parametrize("form", kokoro_forms.FORMS)
def test_every_form_of_kokoro_is_understood(settings: Settings, whisper: SttEngine, form: str) -> None:
    if form not in kokoro_forms.possible(settings):
        pytest.skip("no C compiler, or a processor without AVX2 and FMA")
    text = "A arte da impressão é diferente da maioria das outras artes e ofícios representados na exposição."
    engine = load(kokoro.PLUGIN, settings.model_copy(update={"kokoro_form": form}))
    result = engine.synthesize(text, voice="pf_dora", language="pt-BR")
    engine.close()
    assert 4 < len(result.samples) / result.sample_rate_hz < 8
    heard = whisper.transcribe(resample(result.samples, result.sample_rate_hz), language="pt-BR")
    assert jiwer.wer(plain(text), plain(" ".join(s.text for s in heard.segments))) < 0.15


@pytest.mark.parametrize("voice", ["pf_dora", "pm_alex"])
def test_a_short_portuguese_line_does_not_end_in_a_hiss(speaker: Any, voice: str) -> None:
    """Kokoro lets such a line's last vowel fade into noise, which is heard as an s: `Olás`."""
    result = speaker.synthesize("Banana.", voice=voice, language="pt-BR")
    rate_hz, frame = result.sample_rate_hz, result.sample_rate_hz // 40
    at_hz = np.fft.rfftfreq(frame, 1 / rate_hz)
    frames = result.samples[: len(result.samples) // frame * frame].reshape(-1, frame) * np.hanning(frame)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    low, high = power[:, at_hz < 3000].sum(axis=1), power[:, at_hz >= 3500].sum(axis=1)
    hissing = (high > low) & (high > low.max() * 10**-2.5)
    assert len(frames) > 15
    assert not hissing[len(frames) // 2 :].any()


def test_english_names_in_a_portuguese_line_are_understood(
    speaker: Any, whisper: SttEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read by Portuguese rules, most of these are heard as something else."""
    texts = [
        "O professor Matthew Heath mora perto da casa de Elizabeth Wright.",
        "Quem escreveu a carta foi Keith, e não o irmão dele, Kenneth Wallace.",
        "A atriz Heather Knight nasceu em Brighton e cresceu em Plymouth.",
    ]
    names = {"matthew", "heath", "elizabeth", "wright", "keith", "kenneth", "wallace", "heather", "knight"}
    names |= {"brighton", "plymouth"}

    def understood() -> set[str]:
        found: set[str] = set()
        for text in texts:
            result = speaker.synthesize(text, voice="pf_dora", language="pt-BR")
            heard = whisper.transcribe(resample(result.samples, result.sample_rate_hz), language="pt-BR")
            found |= names & set(plain(" ".join(s.text for s in heard.segments)).split())
        return found

    by_english = understood()
    monkeypatch.setattr(kokoro.foreign_words, "split", lambda text, _: [(text, False)])
    by_portuguese = understood()
    assert len(by_english) >= len(by_portuguese) + 2, (by_english, by_portuguese)


def test_what_is_around_an_english_name_is_read_as_ever(speaker: Any) -> None:
    read = speaker._phonemes("A lei de Smith é, hoje, a de todos.", "pt-br")
    before, after = speaker._read("A lei de pá é, hoje, a de todos.", "pt-br").split("pˈa")
    assert read == f"{before}smˈɪθ{after}"


@pytest.mark.parametrize(
    ("text", "espeak", "read"),
    [
        ("livro impresso", "pt-br", "lˈivrw ˌiːmprˈɛsʊ"),
        ("a hospedagem", "pt-br", "a ˌoːspedˈaʒeɪŋ"),
        ("o índio e então", "pt-br", "u ˈiŋdʒjw i eɪŋtˈɐ̃ʊ̃"),  # stressed, or two sounds: as ever
        ("libro impreso", "es", "lˈiβɾo impɾˈeso"),
    ],
)
def test_a_first_vowel_without_stress_is_long_in_portuguese(speaker: Any, text: str, espeak: str, read: str) -> None:
    assert speaker._phonemes(text, espeak) == read


def test_kokoro_does_not_say_the_marks_of_another_language(speaker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    library = speaker._library
    monkeypatch.setattr(
        library, "create", lambda phonemes, **_: (said.append(phonemes), (np.zeros(100, np.float32), 24_000))[1]
    )
    assert "(en)" in library.tokenizer.phonemize("Le weekend.", "fr-fr")
    speaker.synthesize("Le weekend.", voice="ff_siwis", language="fr")
    assert said
    assert "(" not in said[0]


def test_kokoro_out_of_memory_is_retryable(speaker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    def fail(*_: Any, **__: Any) -> None:
        raise runtime.RuntimeException("Failed to allocate memory for requested buffer")

    monkeypatch.setattr(speaker._library, "create", fail)
    with pytest.raises(EngineOutOfMemory) as failure:
        speaker.synthesize("Olá.", voice="pf_dora", language="pt-BR")
    assert failure.value.retryable


@pytest.mark.slow
def test_kokoro_speaks_long_texts_in_parts_and_refuses_unknown_voices(speaker: Any) -> None:
    sentence = "Esta frase é curta, mas há muitas delas. "
    one = speaker.synthesize(sentence, voice="pf_dora", language="pt-BR")
    many = speaker.synthesize(sentence * 8, voice="pf_dora", language="pt-BR")
    assert len(many.samples) > 5 * len(one.samples)
    with pytest.raises(EngineError) as refusal:
        speaker.synthesize("Oi.", voice="xx_nobody", language="pt-BR")
    assert refusal.value.code == "voice_unknown"


def test_espeak_beside_kokoro(speaker: Any, settings: Settings) -> None:
    """Both use espeak-ng, whose state is global: their copies must not disturb one another."""
    engine = load(espeak.PLUGIN, settings)
    before = engine.synthesize("Bom dia a todos.", voice="pt-br", language="pt-BR").samples
    results: list[np.ndarray] = []
    thread = threading.Thread(
        target=lambda: results.extend(
            engine.synthesize("Bom dia a todos.", voice="pt-br", language="pt-BR").samples for _ in range(10)
        )
    )
    thread.start()
    spoken = speaker.synthesize("Good morning.", voice="af_heart", language="en-US")
    thread.join()
    assert len(spoken.samples) > 0.3 * spoken.sample_rate_hz
    assert all(len(r) == pytest.approx(len(before), rel=0.01) for r in results)
    faster = engine.synthesize("Bom dia a todos.", voice="pt-br", language="pt-BR", rate=1.5).samples
    assert len(faster) < 0.85 * len(before)
    engine.close()


def test_damaged_whisper_weights_are_refused(tmp_path: Path) -> None:
    if not weights.has_parts(weights.WHISPER_BASE):
        pytest.skip("the packages with Whisper base are not installed")
    settings = Settings(dubline_home=tmp_path)
    shutil.copytree(weights.whisper_base(settings), tmp_path / "copy")
    with (settings.weights_dir / weights.WHISPER_BASE.name).open("r+b") as file:
        file.seek(70_000_000)
        file.write(b"damage")
    with pytest.raises(EngineUnavailable) as refusal:
        faster_whisper.PLUGIN.load(settings, "base")
    assert refusal.value.code == "weights_corrupt"
    assert "model.bin" in refusal.value.message
