"""The protocols an engine plug-in implements, and the light values they exchange.

A plug-in is an object registered under an entry point (`dubline.engines.stt`, `.mt`, `.tts`, `.separate` or
`.diarize`). Importing its module must be cheap: no torch, ctranslate2 or onnxruntime at import, only inside `load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from dubline.models import Segment, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dubline.settings import Settings

EngineKind = Literal["stt", "mt", "tts", "separate", "diarize"]
Tier = Literal["best", "good", "last_resort", "simulated"]


@dataclass(frozen=True)
class Licence:
    """Licence of the code and of the weights, and where the weights come from (a package or hub name)."""

    code: str
    weights: str
    source: str
    is_commercial: bool = True


@dataclass(frozen=True)
class Missing:
    """Why an engine cannot run here: one sentence, and the command that mends it."""

    reason: str
    command: str


@dataclass(frozen=True)
class Voice:
    """A TTS voice. `language` is BCP 47; `gender` is `female`, `male` or empty."""

    id: str
    language: str
    gender: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do here, with the weights that are installed.

    `languages` for STT and TTS; `pairs` (source, target) for MT; models are names accepted by `load`.
    `tier` orders the choice of `auto`; `simulated` is never chosen by it. `quality` breaks ties (higher is better).
    """

    tier: Tier
    languages: frozenset[str] = frozenset()
    pairs: frozenset[tuple[str, str]] = frozenset()
    voices: tuple[Voice, ...] = ()
    models: tuple[str, ...] = ()
    quality: float = 0.0


@dataclass(frozen=True)
class SttResult:
    """Segments, with word times where they were asked for, in seconds from the start of the given audio."""

    language: str
    language_probability: float
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class MtResult:
    """Translation of one sentence, best first."""

    candidates: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.candidates[0]


@dataclass(frozen=True)
class TtsResult:
    """Mono float32 in -1 … 1; silence not yet trimmed. Empty when the text holds nothing that can be spoken."""

    samples: NDArray[np.float32]
    sample_rate_hz: int


@runtime_checkable
class SttEngine(Protocol):
    @property
    def parallel(self) -> int:
        """How many threads may call `transcribe` at once with profit."""
        ...

    def transcribe(self, audio: NDArray[np.float32], *, language: str | None, word_times: bool = True) -> SttResult:
        """Recognise 16 kHz mono float32 audio. `language` None means detect it. Thread-safe.

        Without `word_times` only the text is wanted: segments may come without words, and it may cost less.
        """
        ...

    def detect_language(self, audio: NDArray[np.float32]) -> tuple[str, float]:
        """BCP 47 code and probability, from the first speech in the audio."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class MtEngine(Protocol):
    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        """One result for each sentence, in order; one sentence never holds another. Thread-safe."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class TtsEngine(Protocol):
    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def parallel(self) -> int:
        """How many threads may call `synthesize` at once with profit."""
        ...

    def synthesize(self, text: str, *, voice: str, language: str, rate: float = 1.0) -> TtsResult:
        """Speak one text. `rate` > 1 is faster. Thread-safe."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class SeparateEngine(Protocol):
    @property
    def sample_rate_hz(self) -> int:
        """Rate of the sound that `voice` takes and gives."""
        ...

    @property
    def parallel(self) -> int:
        """How many threads may call `voice` at once with profit."""
        ...

    def voice(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """The speech alone in mono float32 sound, sample for sample: the rest is the sound less it. Thread-safe."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class DiarizeEngine(Protocol):
    def embed(self, audio: NDArray[np.float32], spans: Sequence[Span]) -> NDArray[np.float32]:
        """Prints of the voices heard in spans (seconds) of 16 kHz mono float32 audio: (spans, size), of unit length.

        The cosine of two prints tells how alike the voices are. Thread-safe.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class EnginePlugin(Protocol):
    """What an entry point resolves to."""

    @property
    def id(self) -> str: ...

    @property
    def kind(self) -> EngineKind: ...

    @property
    def title(self) -> str: ...

    @property
    def licence(self) -> Licence: ...

    def version(self) -> str:
        """Version of the code that decides the output (goes into cache keys)."""
        ...

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        """None when it can run here; cheap, no heavy import, no network."""
        ...

    def capabilities(self, settings: Settings) -> Capabilities: ...

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        """Identity of the weights and of the form they run in (goes into cache keys)."""
        ...

    def load(self, settings: Settings, model: str | None = None) -> Any:
        """Build the engine (heavy). Raises `EngineUnavailable` with one sentence."""
        ...


@dataclass(frozen=True)
class TtsTraits:
    """Measured habits of a TTS engine that the fit planner needs.

    `pace_by`: which way of going faster keeps the engine intelligible. `max_chars`: longest text of one call (memory).
    `seconds_per_char` and `seconds_base` predict the natural duration of a text.
    """

    pace_by: Literal["stretch", "rate"] = "stretch"
    max_chars: int = 250
    seconds_per_char: float = 1 / 18.1
    seconds_base: float = 0.71
    extra: dict[str, float] = field(default_factory=dict)
