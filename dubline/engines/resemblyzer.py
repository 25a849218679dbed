"""Voices told apart by Resemblyzer's encoder: 1.6 s of sound become a print of 256 numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dubline import ledger
from dubline.engines import resemblyzer_weights
from dubline.engines.base import Capabilities, EngineKind, Licence, Missing
from dubline.engines.mel import HOP, RATE_HZ, melspectrogram
from dubline.engines.weights import SETUP
from dubline.errors import EngineUnavailable
from dubline.models import Span
from dubline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FRAMES = 160
_SIZE = 256
_POWER = 1e-3  # -30 dB: the level of the encoder's training
_BATCH = 64


class _Plugin:
    id = "resemblyzer"
    kind: EngineKind = "diarize"
    title = "Resemblyzer"
    licence = Licence(code="Apache-2.0", weights="Apache-2.0", source="PyPI resemblyzer")

    def version(self) -> str:
        return "1"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        if resemblyzer_weights.is_here(settings):
            return None
        return Missing("The weights that tell voices apart are not here.", SETUP)

    def capabilities(self, settings: Settings) -> Capabilities:
        return Capabilities(tier="good", models=("0.1.4",))

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        return resemblyzer_weights.WHEEL_SHA256[:16]

    def memory_bytes(self, settings: Settings, model: str | None = None) -> int:
        return 60_000_000

    def load(self, settings: Settings, model: str | None = None) -> Resemblyzer:
        gap = self.missing(settings)
        if gap is not None:
            raise EngineUnavailable(gap.reason, hint=gap.command)
        with ledger.busy("load:resemblyzer"):
            return Resemblyzer(resemblyzer_weights.weights_file(settings), settings.cpu_threads)


PLUGIN = _Plugin()


class Resemblyzer:
    """The encoder. Stateless between calls."""

    def __init__(self, model: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, threads)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def embed(self, audio: NDArray[np.float32], spans: Sequence[Span]) -> NDArray[np.float32]:
        """Prints of unit length, (spans, 256). Longer spans than 1.6 s are averaged, shorter ones repeated."""
        import numpy as np

        out = np.zeros((len(spans), _SIZE), np.float32)
        with ledger.busy("diarize:resemblyzer"):
            mels = melspectrogram(audio)
            powers = _powers(audio, len(mels))
            windows, owners = _windows(len(mels), spans)
            for at in range(0, len(windows), _BATCH):
                # Bands are powers, so the encoder would hear loudness: each window comes at the level of its training.
                batch = [
                    mels[rows] * (_POWER / max(float(powers[rows].mean()), 1e-9)) for rows in windows[at : at + _BATCH]
                ]
                prints = self._session.run(None, {"mels": np.stack(batch, axis=1)})
                np.add.at(out, owners[at : at + _BATCH], np.asarray(prints[0]))
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)

    def close(self) -> None:
        del self._session


def _powers(audio: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Mean square of each 10 ms of the sound."""
    import numpy as np

    padded = np.pad(audio, (0, count * HOP - len(audio)))
    return np.mean(padded.reshape(count, HOP) ** 2, axis=1)


def _windows(count: int, spans: Sequence[Span]) -> tuple[list[NDArray[np.int64]], list[int]]:
    """Frames of each window, half over one another in a span, and the span each belongs to."""
    import numpy as np

    windows: list[NDArray[np.int64]] = []
    owners: list[int] = []
    for position, span in enumerate(spans):
        first = min(max(0, round(span.start_s * RATE_HZ / HOP)), count - 1)
        last = min(max(first + 1, round(span.end_s * RATE_HZ / HOP)), count)
        spare = max(0, last - first - _FRAMES)
        for start in np.linspace(first, first + spare, 1 + -(-spare // (_FRAMES // 2))).astype(int):
            windows.append(start + np.arange(_FRAMES) % (last - first))
            owners.append(position)
    return windows, owners
