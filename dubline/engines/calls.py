"""What the engine server does with an engine, a function a route: head and samples in, a frame out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from dubline.engines import wire
from dubline.engines.base import DiarizeEngine, EngineKind, MtEngine, SeparateEngine, SttEngine, TtsEngine
from dubline.engines.turns import Ticket

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    Audio: TypeAlias = NDArray[np.float32] | None

_SENTENCES_A_PIECE = 64


class Abandoned(Exception):
    """The caller has gone."""


def load(_call: wire.Call, engine: Any, _audio: Audio, _ticket: Ticket) -> bytes:
    """Nothing more: by now the engine is loaded."""
    return facts(engine)


def facts(engine: Any) -> bytes:
    """What a client may ask of a speech engine without calling it."""
    names = ("sample_rate_hz", "parallel")
    return wire.frame({n: int(getattr(engine, n)) for n in names if hasattr(engine, n)})


def transcribe(call: wire.TranscribeCall, engine: SttEngine, audio: Audio, _ticket: Ticket) -> bytes:
    result = engine.transcribe(_sound(audio), language=call.language, word_times=call.word_times)
    return wire.frame(
        {
            "language": result.language,
            "language_probability": result.language_probability,
            "segments": [s.model_dump() for s in result.segments],
        }
    )


def detect(_call: wire.DetectCall, engine: SttEngine, audio: Audio, _ticket: Ticket) -> bytes:
    language, probability = engine.detect_language(_sound(audio))
    return wire.frame({"language": language, "probability": probability})


def translate(call: wire.TranslateCall, engine: MtEngine, _audio: Audio, ticket: Ticket) -> bytes:
    """Piece by piece, so that what nobody waits for any more is dropped.

    Raises:
        Abandoned: the caller went away meanwhile.
    """
    rows: list[list[str]] = []
    for first in range(0, len(call.sentences), _SENTENCES_A_PIECE):
        if ticket.given_up.is_set():
            raise Abandoned
        piece = call.sentences[first : first + _SENTENCES_A_PIECE]
        rows += [list(r.candidates) for r in engine.translate(piece, source=call.source, target=call.target)]
    return wire.frame({"candidates": rows})


def speak(call: wire.SpeakCall, engine: TtsEngine, _audio: Audio, _ticket: Ticket) -> bytes:
    result = engine.synthesize(call.text, voice=call.voice, language=call.language, rate=call.rate)
    return wire.frame({"sample_rate_hz": int(result.sample_rate_hz)}, result.samples)


def separate(_call: wire.Call, engine: SeparateEngine, audio: Audio, _ticket: Ticket) -> bytes:
    return wire.frame({}, engine.voice(_sound(audio)))


def embed(call: wire.EmbedCall, engine: DiarizeEngine, audio: Audio, _ticket: Ticket) -> bytes:
    prints = engine.embed(_sound(audio), call.spans)
    return wire.frame({"size": int(prints.shape[1])}, prints.reshape(-1))


def _sound(audio: Audio) -> NDArray[np.float32]:
    import numpy as np

    return np.zeros(0, np.float32) if audio is None else audio


class Kind(NamedTuple):
    """A route: where, for which kind of engine (None: any), the shape of its head, and the work."""

    path: str
    engine_kind: EngineKind | None
    shape: type[wire.Call]
    work: Callable[[Any, Any, Any, Ticket], bytes]


KINDS = (
    Kind("/v1/stt", "stt", wire.TranscribeCall, transcribe),
    Kind("/v1/stt/detect", "stt", wire.DetectCall, detect),
    Kind("/v1/mt", "mt", wire.TranslateCall, translate),
    Kind("/v1/tts", "tts", wire.SpeakCall, speak),
    Kind("/v1/separate", "separate", wire.Call, separate),
    Kind("/v1/diarize", "diarize", wire.EmbedCall, embed),
    Kind("/v1/preload", None, wire.Call, load),
)
