"""Engines that only pretend: deterministic, with a delay and an error rate.

For load tests and demos; `auto` never chooses them.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dubline import ledger
from dubline.engines.base import (
    Capabilities,
    EngineKind,
    Licence,
    Missing,
    MtResult,
    SttResult,
    TtsResult,
    TtsTraits,
    Voice,
)
from dubline.errors import EngineError
from dubline.models import Segment, Span, Word
from dubline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RATE_HZ = 24_000
_SENTENCE = 9  # words
_WORD_S = 0.3
_WORDS = ["one", "small", "step", "after", "another", "makes", "the", "whole", "long", "road", "of", "a", "talk"]
_LANGUAGES = ("en", "en-US", "pt-BR", "es", "fr", "it", "de", "ja")


class _Pretend:
    """Waits and fails as the settings say; which call fails is decided by its content, so runs can be repeated."""

    def __init__(self, settings: Settings, part: str) -> None:
        self._delay_s, self._error_rate, self._part = settings.simulated_delay_s, settings.simulated_error_rate, part
        self._calls = 0
        self._log = settings.simulated_log

    def _work(self, content: bytes) -> int:
        number = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
        with ledger.busy(self._part):
            time.sleep(self._delay_s)
        self._calls += 1
        if (number ^ self._calls * 0x9E3779B97F4A7C15) % 10_000 < 10_000 * self._error_rate:
            raise EngineError("A simulated failure.", code="engine_simulated", retryable=True)
        return number

    def close(self) -> None: ...


class SimulatedStt(_Pretend):
    parallel = 2

    def transcribe(self, audio: NDArray[np.float32], *, language: str | None, word_times: bool = True) -> SttResult:
        self._work(audio[:: max(1, len(audio) // 1000)].tobytes())
        words: list[Word] = []
        for start_s, end_s in _loud_runs(audio):
            at_s = start_s
            while at_s + _WORD_S <= end_s:
                stop = "." if len(words) % _SENTENCE == _SENTENCE - 1 else ""
                word = _WORDS[len(words) % len(_WORDS)]
                text = f" {word.capitalize() if len(words) % _SENTENCE == 0 else word}{stop}"
                words.append(Word(start_s=at_s, end_s=at_s + _WORD_S, text=text, probability=0.9))
                at_s += 0.6 if stop else 0.35
        # A segment for each sentence: one of all words would be taken for a recogniser that repeats itself.
        sentences = [tuple(words[at : at + _SENTENCE]) for at in range(0, len(words), _SENTENCE)]
        segments = tuple(
            Segment(
                start_s=sentence[0].start_s,
                end_s=sentence[-1].end_s,
                text="".join(w.text for w in sentence).strip(),
                words=sentence if word_times else (),
                avg_log_probability=-0.2,
            )
            for sentence in sentences
        )
        return SttResult(language=language or "en", language_probability=1.0, segments=segments)

    def detect_language(self, audio: NDArray[np.float32]) -> tuple[str, float]:
        return "en", 1.0


def _loud_runs(audio: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Runs of 16 kHz audio above -50 dBFS, in seconds, measured in frames of a tenth of a second."""
    import numpy as np

    frame = 1600
    levels = np.sqrt(np.mean(audio[: len(audio) // frame * frame].reshape(-1, frame).astype(np.float64) ** 2, axis=1))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], levels > 10 ** (-50 / 20), [False])).astype(np.int8)))
    return [(float(a) * 0.1, float(b) * 0.1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


class SimulatedMt(_Pretend):
    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        self._work("\n".join(sentences).encode())
        return [MtResult(candidates=(f"{s} [{target}]",)) for s in sentences]


class SimulatedTts(_Pretend):
    sample_rate_hz = _RATE_HZ
    parallel = 8

    def synthesize(self, text: str, *, voice: str, language: str, rate: float = 1.0) -> TtsResult:
        import numpy as np

        number = self._work(f"{voice}|{text}".encode())
        if not any(c.isalnum() for c in text):
            return TtsResult(np.zeros(0, np.float32), _RATE_HZ)
        length = int(_RATE_HZ * (0.3 + len(text) / 18.0) / rate)
        tone = 110 + number % 110
        at = np.arange(length) / _RATE_HZ
        if self._log is not None:
            with self._log.open("a") as file:  # one short write in append mode is whole
                file.write(text.replace("\n", " ") + "\n")
        wave = 0.2 * np.sin(2 * math.pi * tone * at) * (0.6 + 0.4 * np.sin(2 * math.pi * 4 * at))
        return TtsResult(wave.astype(np.float32), _RATE_HZ)


class SimulatedSeparate(_Pretend):
    """Takes nine tenths of the sound for voice."""

    sample_rate_hz = 48_000
    parallel = 2

    def voice(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        import numpy as np

        self._work(audio[:: max(1, len(audio) // 1000)].tobytes())
        return audio * np.float32(0.9)


class SimulatedDiarize(_Pretend):
    def embed(self, audio: NDArray[np.float32], spans: Sequence[Span]) -> NDArray[np.float32]:
        """Prints of where the power lies: tells tones apart."""
        import numpy as np

        self._work(audio[:: max(1, len(audio) // 1000)].tobytes())
        out = np.zeros((len(spans), 64), np.float32)
        for row, span in zip(out, spans, strict=True):
            part = audio[int(span.start_s * 16_000) : int(span.end_s * 16_000)]
            power = np.abs(np.fft.rfft(part, 4096)[:256]) ** 2  # 3.9 Hz a bin, up to 1 kHz
            row[:] = np.sqrt(power.reshape(64, 4).sum(axis=1) + 1e-12)
        return out / np.linalg.norm(out, axis=1, keepdims=True)


class _Plugin:
    id = "simulated"
    title = "Simulated"
    licence = Licence(code="Apache-2.0", weights="none", source="built in")

    def __init__(self, kind: EngineKind) -> None:
        self.kind: EngineKind = kind

    def version(self) -> str:
        return "3"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        return None

    def capabilities(self, settings: Settings) -> Capabilities:
        return Capabilities(
            tier="simulated",
            languages=frozenset(_LANGUAGES),
            pairs=frozenset((a, b) for a in _LANGUAGES for b in _LANGUAGES if a != b and self.kind == "mt"),
            voices=tuple(Voice(id=f"sim_{v.lower()}", language=v) for v in _LANGUAGES if self.kind == "tts"),
            models=("base",),
        )

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        return "simulated"

    def traits(self, language: str) -> TtsTraits:
        return TtsTraits()

    def memory_bytes(self, settings: Settings, model: str | None = None) -> int:
        """As good as nothing: a pretended engine drives no real one out of memory."""
        return 1_000_000

    def load(self, settings: Settings, model: str | None = None):
        kinds = {
            "stt": SimulatedStt,
            "mt": SimulatedMt,
            "tts": SimulatedTts,
            "separate": SimulatedSeparate,
            "diarize": SimulatedDiarize,
        }
        return kinds[self.kind](settings, f"{self.kind}:simulated")


STT, MT, TTS = _Plugin("stt"), _Plugin("mt"), _Plugin("tts")
SEPARATE, DIARIZE = _Plugin("separate"), _Plugin("diarize")
