"""espeak-ng through its shared library (PyPI espeakng-loader): a hundred languages, mechanical; the last resort."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
import threading
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dubline import ledger
from dubline.engines.base import Capabilities, EngineKind, Licence, Missing, TtsResult, TtsTraits, Voice
from dubline.engines.spoken_text import spoken
from dubline.errors import EngineError, EngineUnavailable
from dubline.settings import Settings

# Constants of espeak-ng's speak_lib.h.
_RETRIEVAL, _POS_CHARACTER, _UTF8, _RATE = 1, 1, 1, 1
_WORDS_PER_MINUTE = 165
_LANGUAGES = {
    "en-US": "en-us", "en-GB": "en", "pt-BR": "pt-br", "pt-PT": "pt", "es": "es", "fr": "fr", "it": "it",
    "de": "de", "nl": "nl", "ca": "ca", "ro": "ro", "pl": "pl", "cs": "cs", "sk": "sk", "hu": "hu",
    "sv": "sv", "da": "da", "nb": "nb", "fi": "fi", "et": "et", "lv": "lv", "lt": "lt", "ru": "ru", "uk": "uk",
    "bg": "bg", "sr": "sr", "hr": "hr", "sl": "sl", "el": "el", "tr": "tr", "hi": "hi", "bn": "bn", "ta": "ta",
    "te": "te", "ur": "ur", "fa": "fa", "id": "id", "ms": "ms", "vi": "vi", "sw": "sw", "af": "af", "eo": "eo",
}  # fmt: skip


class _Plugin:
    id = "espeak"
    kind: EngineKind = "tts"
    title = "espeak-ng"
    licence = Licence(code="GPL-3.0+", weights="GPL-3.0+", source="PyPI espeakng-loader")

    def version(self) -> str:
        return f"5/{installed('espeakng-loader')}"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        if find_spec("espeakng_loader") is None:
            return Missing("The package espeakng-loader is not installed.", "make setup")
        return None

    def capabilities(self, settings: Settings) -> Capabilities:
        voices = tuple(
            Voice(id=f"{code}{suffix}", language=language, gender=gender)
            for language, code in _LANGUAGES.items()
            for suffix, gender in (("", "male"), ("+f3", "female"))
        )
        return Capabilities(tier="last_resort", languages=frozenset(_LANGUAGES), voices=voices)

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        return "espeak"

    def traits(self, language: str) -> TtsTraits:
        return TtsTraits(pace_by="rate", max_chars=2000)

    def load(self, settings: Settings, model: str | None = None) -> Espeak:
        gap = self.missing(settings)
        if gap is not None:
            raise EngineUnavailable(gap.reason, hint=gap.command)
        with ledger.busy("load:espeak"):
            return Espeak()


PLUGIN = _Plugin()


class _Event(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int)]  # only passed through


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """Holds a copy of the library of its own: its state is global, and Kokoro's phonemes use the packaged one."""

    parallel = 1

    def __init__(self) -> None:
        import espeakng_loader

        with tempfile.TemporaryDirectory(prefix="dubline-espeak-") as folder:  # needed only until it is mapped
            library = Path(folder) / "libespeak.so"
            shutil.copyfile(espeakng_loader.get_library_path(), library)
            self._library: Any = ctypes.CDLL(str(library))
        rate = self._library.espeak_Initialize(_RETRIEVAL, 0, str(espeakng_loader.get_data_path()).encode(), 0)
        if rate <= 0:
            raise EngineUnavailable("espeak-ng could not be started.", hint="make setup")
        self.sample_rate_hz = int(rate)
        self._chunks: list[bytes] = []
        self._callback = _CALLBACK(self._take)  # kept: the library holds only the pointer
        self._library.espeak_SetSynthCallback(self._callback)
        self._lock = threading.Lock()

    def _take(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * 2))
        return 0

    def synthesize(self, text: str, *, voice: str, language: str, rate: float = 1.0) -> TtsResult:
        """Speak a text. A text without a letter gives nothing."""
        import numpy as np

        words = spoken(text, language)
        if not any(c.isalnum() for c in words):
            return TtsResult(np.zeros(0, np.float32), self.sample_rate_hz)
        with self._lock, ledger.busy("tts:espeak"):
            self._chunks.clear()
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise EngineError(f"espeak-ng has no voice {voice}.", code="voice_unknown")
            self._library.espeak_SetParameter(_RATE, int(_WORDS_PER_MINUTE * rate), 0)
            data = words.encode() + b"\0"
            self._library.espeak_Synth(data, len(data), 0, _POS_CHARACTER, 0, _UTF8, None, None)
            self._library.espeak_Synchronize()
            raw = b"".join(self._chunks)
        return TtsResult(np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(32768), self.sample_rate_hz)

    def close(self) -> None:
        self._library.espeak_Terminate()
