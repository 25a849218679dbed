"""Thin client of the engine server: engines that work in another process, behind the protocols of `base`."""

from __future__ import annotations

import json
import random
import select
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpcore

from dubline import ledger
from dubline.cancel import STOP
from dubline.engines import wire
from dubline.engines.base import EngineKind, MtResult, SttResult, TtsResult
from dubline.errors import DublineError, EngineError
from dubline.models import EngineChoice, Segment, Span
from dubline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_POLL_S = 0.2  # between looks at STOP
_LOST_S = 15.0  # a server that starts again is back by then
_BUSY_S = 120.0  # then the task's own retry takes over
_CALL_S = 3600.0  # longer than any one call waits and works


class _Stream(httpcore.NetworkStream):
    """A Unix socket whose waits are short, with a look at STOP between them.

    Whatever ends a wait closes the connection: that is how the server learns that nobody waits any more.
    """

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_POLL_S)
        try:
            self._socket.connect(path)
        except OSError as error:  # not there, or a queue that does not get shorter
            self._socket.close()
            raise httpcore.ConnectError from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        until_s = time.monotonic() + (timeout or _CALL_S)
        while True:
            try:
                return self._socket.recv(max_bytes)
            except TimeoutError:
                STOP.check()
                if time.monotonic() > until_s:
                    raise httpcore.ReadTimeout from None
            except OSError as error:
                raise httpcore.ReadError from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = memoryview(buffer)
        until_s = time.monotonic() + (timeout or _CALL_S)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except TimeoutError:
                STOP.check()
                if time.monotonic() > until_s:
                    raise httpcore.WriteTimeout from None
            except OSError as error:
                raise httpcore.WriteError from error

    def close(self) -> None:
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` on a connection at rest means that the server has closed it."""
        return bool(select.select([self._socket], [], [], 0)[0]) if info == "is_readable" else None


class _Backend(httpcore.NetworkBackend):
    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(path)


class Connection:
    """Kept connections to one server, shared by all threads.

    httpx's own core is used without httpx around it: that halves the cost of a call, and it lets the waits be ours.
    """

    def __init__(self, path: Path, *, lost_s: float = _LOST_S, busy_s: float = _BUSY_S) -> None:
        self._lost_s, self._busy_s = lost_s, busy_s
        self._pool = httpcore.ConnectionPool(
            uds=str(path),
            network_backend=_Backend(),
            max_connections=1000,
            max_keepalive_connections=16,
            keepalive_expiry=30.0,
        )

    def call(
        self, path: str, call: wire.Call, audio: NDArray[np.float32] | None = None, *, part: str
    ) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
        """Ask, and wait for the answer; the wait for an engine counts as `part` in the ledger.

        Raises:
            EngineError: `engine_busy` or `engine_server_lost`, both retryable, when patience ends.
            DublineError: what the engine itself raised.
            Cancelled: STOP was set.
        """
        body = wire.frame(call.model_dump(mode="json"), audio)
        absent_s = full_s = 0.0
        while True:
            STOP.check()
            try:
                with ledger.busy(part):
                    response = self._send("POST", path, body)
            except httpcore.ConnectError as error:
                absent_s = absent_s or time.monotonic()
                if time.monotonic() - absent_s > self._lost_s:
                    raise _lost() from error
                _pause(0.25)
                continue
            if response.status == 200:
                return wire.unframe(bytearray(response.content))
            error = _error(response)
            absent_s, full_s = 0.0, full_s or time.monotonic()
            if error.code != wire.BUSY or time.monotonic() - full_s > self._busy_s:
                raise error
            # Not sooner than asked, and not all at once.
            _pause(_retry_after_s(response) * random.uniform(1.0, 1.3))

    def get(self, path: str) -> dict[str, Any]:
        """`/health` or `/v1/models`.

        Raises:
            EngineError: `engine_server_lost`.
        """
        try:
            return json.loads(self._send("GET", path).content)
        except httpcore.ConnectError as error:
            raise _lost() from error

    def _send(self, method: str, path: str, body: bytes | None = None) -> httpcore.Response:
        headers = [("Content-Type", wire.MEDIA_TYPE)]
        try:
            return self._pool.request(method, f"http://engines{path}", headers=headers, content=body)
        except httpcore.ConnectError:
            raise
        except httpcore.TimeoutException as error:
            raise EngineError("An engine did not answer.", code="engine_timeout", retryable=True) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise _lost() from error

    def close(self) -> None:
        self._pool.close()


def _pause(seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        STOP.check()
        time.sleep(min(_POLL_S, left_s))


def _lost() -> EngineError:
    return EngineError(
        "The engine server is not there, or ended during a call.",
        code="engine_server_lost",
        hint="It is started again by itself; if not, start it.",
        retryable=True,
    )


def _error(response: httpcore.Response) -> DublineError:
    try:
        return wire.to_error(json.loads(response.content)["error"])
    except (ValueError, KeyError, TypeError):
        return EngineError(f"The engine server answered with {response.status}.", code="engine_failed")


def _retry_after_s(response: httpcore.Response) -> float:
    text = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
    return float(text) if text.isdigit() else 1.0


class _Remote:
    def __init__(self, connection: Connection, choice: EngineChoice) -> None:
        self._connection, self._choice = connection, choice
        self._part = f"{choice.kind}:{choice.engine}"
        self._facts: dict[str, Any] | None = None

    def load(self) -> dict[str, Any]:
        """Have the engine loaded. Returns what the server says of it (`sample_rate_hz`, `parallel` of a voice).

        Raises:
            EngineUnavailable: it cannot be loaded.
        """
        if self._facts is None:
            call = wire.Call(choice=self._choice)
            self._facts = self._connection.call("/v1/preload", call, part=f"load:{self._choice.engine}")[0]
        return self._facts

    def close(self) -> None:
        """Nothing: the engine is the server's."""


class RemoteStt(_Remote):
    @property
    def parallel(self) -> int:
        return self.load()["parallel"]

    def transcribe(self, audio: NDArray[np.float32], *, language: str | None, word_times: bool = True) -> SttResult:
        call = wire.TranscribeCall(choice=self._choice, language=language, word_times=word_times)
        head, _ = self._connection.call("/v1/stt", call, audio, part=self._part)
        return SttResult(
            language=head["language"],
            language_probability=head["language_probability"],
            segments=tuple(Segment.model_validate(s) for s in head["segments"]),
        )

    def detect_language(self, audio: NDArray[np.float32]) -> tuple[str, float]:
        call = wire.DetectCall(choice=self._choice)
        head, _ = self._connection.call("/v1/stt/detect", call, audio, part=self._part)
        return head["language"], head["probability"]


class RemoteMt(_Remote):
    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        call = wire.TranslateCall(choice=self._choice, sentences=tuple(sentences), source=source, target=target)
        head, _ = self._connection.call("/v1/mt", call, part=self._part)
        return [MtResult(candidates=tuple(row)) for row in head["candidates"]]


class RemoteTts(_Remote):
    @property
    def sample_rate_hz(self) -> int:
        return self.load()["sample_rate_hz"]

    @property
    def parallel(self) -> int:
        return self.load()["parallel"]

    def synthesize(self, text: str, *, voice: str, language: str, rate: float = 1.0) -> TtsResult:
        import numpy as np

        call = wire.SpeakCall(choice=self._choice, text=text, voice=voice, language=language, rate=rate)
        head, samples = self._connection.call("/v1/tts", call, part=self._part)
        return TtsResult(np.zeros(0, np.float32) if samples is None else samples, head["sample_rate_hz"])


class RemoteSeparate(_Remote):
    @property
    def sample_rate_hz(self) -> int:
        return self.load()["sample_rate_hz"]

    @property
    def parallel(self) -> int:
        return self.load()["parallel"]

    def voice(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        import numpy as np

        _, samples = self._connection.call("/v1/separate", wire.Call(choice=self._choice), audio, part=self._part)
        return np.zeros(0, np.float32) if samples is None else samples


class RemoteDiarize(_Remote):
    def embed(self, audio: NDArray[np.float32], spans: Sequence[Span]) -> NDArray[np.float32]:
        import numpy as np

        call = wire.EmbedCall(choice=self._choice, spans=tuple(spans))
        head, prints = self._connection.call("/v1/diarize", call, audio, part=self._part)
        return (np.zeros(0, np.float32) if prints is None else prints).reshape(len(spans), head["size"])


_connections: dict[Path, Connection] = {}
_lock = threading.Lock()
_CLASSES: dict[EngineKind, type[RemoteStt | RemoteMt | RemoteTts | RemoteSeparate | RemoteDiarize]] = {
    "stt": RemoteStt,
    "mt": RemoteMt,
    "tts": RemoteTts,
    "separate": RemoteSeparate,
    "diarize": RemoteDiarize,
}


def remote_engine(
    choice: EngineChoice, settings: Settings
) -> RemoteStt | RemoteMt | RemoteTts | RemoteSeparate | RemoteDiarize:
    """The engine of a choice in the server at `settings.engine_socket`, loaded there.

    Raises:
        EngineUnavailable: it cannot be loaded.
        EngineError: `engine_busy` or `engine_server_lost`, both retryable.
    """
    assert settings.engine_socket is not None
    with _lock:
        if settings.engine_socket not in _connections:
            _connections[settings.engine_socket] = Connection(settings.engine_socket)
        connection = _connections[settings.engine_socket]
    engine = _CLASSES[choice.kind](connection, choice)
    if settings.model_cache_enabled:  # as in this process: an engine that cannot be loaded is refused before its use
        engine.load()
    return engine
