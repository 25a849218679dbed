"""Kokoro with the filters of its generator as compiled code, and the rest of it as graphs."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubline.engines.kokoro_compiled import load_code
from dubline.engines.kokoro_parts import (
    BLOCKS,
    FILTERS,
    GROUPS,
    LAST,
    LAST_OUTPUTS,
    MEAN,
    NOISE,
    RAISERS,
    SOUND,
    SOURCES,
    SPECTRUM,
    style_names,
)

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime
    from numpy.typing import NDArray

_ARRAYS = ("panels", "scales", "bias", "sums", "alpha")  # raisers have no alpha
_STEP, _SLACK, _BLOCK = 128, 32, 64  # as in kokoro_blocks.c
_PIECE = 8 * _STEP  # rows that one thread filters before it asks for more
_LINE = 64  # bytes, of the cache
_EPSILON = 1e-5  # of the normalisation, as in the graph


class _Struct(ctypes.Structure):
    """`filter` in kokoro_blocks.c."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("channels", "outputs", "taps", "dilation")),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    )


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A new array that begins where a line of the cache does, which numpy's do by chance."""
    import numpy as np

    wanted = math.prod(shape) * dtype.itemsize
    room = np.empty(wanted + _LINE, np.uint8)
    first = -room.ctypes.data % _LINE
    return room[first : first + wanted].view(dtype).reshape(shape)


def _aligned_copy(array: NDArray[Any]) -> NDArray[Any]:
    copy = _aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


class _Filter:
    """One filter, and the arrays that its struct points into."""

    def __init__(self, parts: Any, name: str) -> None:
        self._arrays = {k: _aligned_copy(parts[f"{name}.{k}"]) for k in _ARRAYS if f"{name}.{k}" in parts}
        taps, dilation = int(parts[f"{name}.taps"]), int(parts[f"{name}.dilation"])
        self.outputs = len(self._arrays["bias"])
        self.channels = len(self._arrays["panels"]) // taps // self.outputs
        self.reach = (taps - 1) * dilation
        pointers = {k: array.ctypes.data for k, array in self._arrays.items()}
        self._struct = _Struct(channels=self.channels, outputs=self.outputs, taps=taps, dilation=dilation, **pointers)
        self.address = ctypes.addressof(self._struct)


class _Hands:
    """The threads that calls may use: each call has one, and another whenever there is one that no call has."""

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="kokoro")

    def __enter__(self) -> None:
        self._free.acquire()

    def __exit__(self, *_: object) -> None:
        self._free.release()

    def share(self, count: int, work: Callable[[Iterator[int]], None]) -> None:
        """Have the numbers 0 to `count` worked through, by this thread and those that are free: each takes its next."""
        turns = iter(range(count))  # made in C, so threads may share it, which a generator may not
        helping = []
        while len(helping) < count - 1 and self._free.acquire(blocking=False):
            helping.append(self._pool.submit(self._help, work, turns))
        work(turns)
        for helper in helping:
            helper.result()

    def _help(self, work: Callable[[Iterator[int]], None], turns: Iterator[int]) -> None:
        try:
            work(turns)
        finally:
            self._free.release()


class CompiledSession:
    """Looks like an onnxruntime session of the whole model to who calls it."""

    def __init__(
        self,
        graphs: Sequence[Path],
        filters: Path,
        library: Path,
        options: onnxruntime.SessionOptions,
        *,
        threads: int,
    ) -> None:
        import numpy as np
        import onnxruntime

        self._code = load_code(library)
        self._hands = _Hands(threads)
        self._model_path = str(graphs[0])  # kokoro-onnx checks that it is there
        sessions: list[Any] = [
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]) for path in graphs
        ]
        self._front, self._end = sessions
        with np.load(filters) as archive:
            self._filters = {b: [_Filter(archive, f"{b}.{i}") for i in range(FILTERS)] for b in BLOCKS}
            self._raisers = [_Filter(archive, name) for name in RAISERS]
            self._last = {k: _aligned_copy(archive[f"last.{k}"]) for k in ("weights", "bias")}
        self._front_outputs = [o.name for o in self._front.get_outputs()]

    def get_inputs(self) -> Any:
        return self._front.get_inputs()

    def get_outputs(self) -> Any:
        return self._end.get_outputs()

    def get_modelmeta(self) -> Any:
        return self._front.get_modelmeta()

    def run(self, names: list[str] | None, feeds: dict[str, Any]) -> list[NDArray[np.float32]]:
        """The model's one output, the sound, in a list."""
        with self._hands:
            given = dict(zip(self._front_outputs, self._front.run(None, feeds), strict=True))
            x = given[f"{SOUND}.rows"]
            for group in range(len(GROUPS)):
                x = self._group(group, x, given)
            return self._end.run(names, {f"{SPECTRUM}.rows": self._spectrum(x)})

    def _group(self, group: int, x: NDArray[np.float32], given: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The sum of a group's blocks over the raised sound and its source: [1, time, channels] in and out."""
        source = given[f"{SOURCES[group]}.rows"]
        sound = self._block(NOISE[group], source, self._moments(source), given)
        self._raise(group, x, sound)
        moments = self._moments(sound)
        first, *others = (self._block(name, sound, moments, given) for name in GROUPS[group])
        for other in others:
            first += other
        return first

    def _raise(self, group: int, x: NDArray[np.float32], onto: NDArray[np.float32]) -> None:
        """Add a sound to one of a higher rate. Where that has an instant more, the first one mirrors the third."""
        import numpy as np

        one = self._raisers[group]
        _, rows, channels = onto.shape
        late = rows - x.shape[1] * one.outputs // channels
        apart = onto[0, 0] - onto[0, 2]
        target = onto[:, late:].reshape(1, x.shape[1], one.outputs)
        gain, shift = np.full(one.channels, MEAN if group else 1.0, np.float32), np.zeros(one.channels, np.float32)
        self._filter(one, x, gain, shift, target, residual=target)
        if late:
            onto[0, 0] = onto[0, 2] + apart

    def _moments(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """The sums of each channel and of its squares: [2, channels]."""
        import numpy as np

        _, rows, channels = x.shape
        moments = np.empty((2, channels))
        self._code.moments_of(x.ctypes.data, rows, channels, moments.ctypes.data)
        return moments

    def _block(
        self, name: str, x: NDArray[np.float32], moments: NDArray[np.float64], given: dict[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Three pairs of filters, x + f2(f1(x)), each filter behind its normalisation."""
        import numpy as np

        rows = x.shape[1]
        between, out = _aligned(x.shape, x.dtype), _aligned(x.shape, x.dtype)
        for index, one in enumerate(self._filters[name]):
            mean, square = moments / rows
            gain, shift = (given[s].reshape(-1) for s in style_names(name, index))
            gain = gain / np.sqrt(np.maximum(square - mean**2, 0) + _EPSILON)
            shift = shift - mean * gain
            gain, shift = gain.astype(np.float32), shift.astype(np.float32)
            if index % 2 == 1:
                moments = self._filter(one, between, gain, shift, out, residual=x)
                x = out
            else:
                moments = self._filter(one, x, gain, shift, between)
        return out

    def _filter(
        self,
        one: _Filter,
        source: NDArray[np.float32],
        gain: NDArray[np.float32],
        shift: NDArray[np.float32],
        target: NDArray[np.float32],
        *,
        residual: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float64]:
        """One filter, piece by piece; the pieces' moments are added in their order, whoever filtered which."""
        import numpy as np

        rows = source.shape[1]
        moments = np.empty((-(-rows // _PIECE), 2, one.outputs))
        steps = _STEP + _SLACK
        room = (steps + one.reach) * one.channels * 5 // 4 + steps * _BLOCK  # floats, as many bytes, whole numbers

        def work(turns: Iterator[int]) -> None:
            scratch = _aligned((room,), np.dtype(np.float32))
            for turn in turns:
                self._code.filter_rows(
                    one.address,
                    source.ctypes.data,
                    rows,
                    turn * _PIECE,
                    min((turn + 1) * _PIECE, rows),
                    gain.ctypes.data,
                    shift.ctypes.data,
                    residual.ctypes.data if residual is not None else None,
                    target.ctypes.data,
                    moments[turn].ctypes.data,
                    scratch.ctypes.data,
                )

        self._hands.share(len(moments), work)
        return moments.sum(axis=0)

    def _spectrum(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the last filter gives: [1, time, LAST_OUTPUTS]."""
        import numpy as np

        _, rows, channels = x.shape
        weights, bias = self._last["weights"], self._last["bias"]
        taps = len(weights)
        out = _aligned((1, rows, LAST), x.dtype)
        room = (_STEP + _SLACK + taps - 1) * channels

        def work(turns: Iterator[int]) -> None:
            scratch = _aligned((room,), x.dtype)
            for turn in turns:
                self._code.last_rows(
                    x.ctypes.data,
                    rows,
                    turn * _PIECE,
                    min((turn + 1) * _PIECE, rows),
                    channels,
                    taps,
                    MEAN,
                    weights.ctypes.data,
                    bias.ctypes.data,
                    out.ctypes.data,
                    scratch.ctypes.data,
                )

        self._hands.share(-(-rows // _PIECE), work)
        return np.ascontiguousarray(out[:, :, :LAST_OUTPUTS])
