"""What the engine server and its clients say to one another.

A frame is the length of a JSON head (4 bytes, little endian), the head, and raw samples (float32, little endian).
The head is padded with blanks, so that the samples behind it stay aligned.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from dubline import errors
from dubline.errors import DublineError, EngineError, InputError
from dubline.models import EngineChoice, Frozen, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEDIA_TYPE = "application/x-dubline-frame"
MAX_HEAD_BYTES = 8 * 1024**2
MAX_BODY_BYTES = 256 * 1024**2
"""More than an hour of 16 kHz sound in one call; recognition asks for minutes at a time."""
BUSY = "engine_busy"


class Call(Frozen):
    """Head of a request; by itself it only asks for the engine to be loaded."""

    choice: EngineChoice


class DetectCall(Call): ...


class TranscribeCall(Call):
    language: Annotated[str, Field(max_length=64)] | None
    word_times: bool = True


class TranslateCall(Call):
    sentences: Annotated[tuple[str, ...], Field(max_length=100_000)]
    source: Annotated[str, Field(max_length=64)]
    target: Annotated[str, Field(max_length=64)]


class SpeakCall(Call):
    text: Annotated[str, Field(max_length=100_000)]
    voice: Annotated[str, Field(max_length=200)]
    language: Annotated[str, Field(max_length=64)]
    rate: Annotated[float, Field(gt=0, le=10)] = 1.0


class EmbedCall(Call):
    spans: Annotated[tuple[Span, ...], Field(max_length=100_000)]


def frame(head: Mapping[str, Any], samples: NDArray[np.float32] | None = None) -> bytes:
    """Pack a head and samples."""
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    parts = [struct.pack("<I", len(text)), text]
    if samples is not None:
        parts.append(samples.astype("<f4", copy=False).tobytes())
    return b"".join(parts)


def split(data: bytes | bytearray) -> tuple[dict[str, Any], memoryview]:
    """The head of a frame and the bytes of its samples, which share `data`.

    Raises:
        InputError: `engine_call_invalid`, when it is no frame.
    """
    size = struct.unpack_from("<I", data)[0] if len(data) >= 4 else 0
    if not 2 <= size <= min(MAX_HEAD_BYTES, len(data) - 4) or (len(data) - 4 - size) % 4:
        raise _invalid()
    try:
        head = json.loads(data[4 : 4 + size])
    except ValueError as error:
        raise _invalid() from error
    if not isinstance(head, dict):
        raise _invalid()
    return head, memoryview(data)[4 + size :]


def unframe(data: bytearray) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """Unpack a frame. The samples share `data`; None when there are none.

    Raises:
        InputError: `engine_call_invalid`, when it is no frame.
    """
    head, samples = split(data)
    if not samples:
        return head, None
    import numpy as np

    return head, np.frombuffer(samples, "<f4").astype(np.float32, copy=False)


def _invalid() -> InputError:
    return InputError("The engine server and its client do not understand one another.", code="engine_call_invalid")


def from_error(error: DublineError) -> dict[str, Any]:
    """An error as JSON, under the nearest class of Dubline's own tree."""
    known = next(c for c in type(error).__mro__ if c.__module__ == errors.__name__)
    return {"class": known.__name__, **error.to_dict()}


def to_error(data: Mapping[str, Any]) -> DublineError:
    """The error that the server met, to be raised again."""
    found = getattr(errors, str(data.get("class")), None)
    kind = found if isinstance(found, type) and issubclass(found, DublineError) else EngineError
    return kind(
        str(data.get("message", "The engine server refused a call.")),
        code=str(data.get("code", kind.code)),
        hint=str(data.get("hint", "")),
        retryable=bool(data.get("retryable", kind.retryable)),
        details=dict(data.get("details") or {}),
    )
