"""Kokoro with the residual blocks of its generator as code that a C compiler makes on this machine."""

from __future__ import annotations

import ctypes
import hashlib
import math
import platform
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubline.engines import weights
from dubline.engines.kokoro_parts import BLOCKS, FILTERS, GROUPS, NOISE, SOURCES, SUMS, UPSAMPLED, style_names
from dubline.errors import EngineUnavailable
from dubline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime
    from numpy.typing import NDArray

_SOURCE = files("dubline.engines") / "kokoro_blocks.c"
_COMPILERS = ("cc", "gcc", "clang")
_OPTIONS = ("-O3", "-shared", "-fPIC")
_COMPILE_DEADLINE_S = 120.0
_ARRAYS = ("panels", "scales", "bias", "sums", "alpha")
_STEP, _SLACK = 128, 32  # as in kokoro_blocks.c
_PIECE = 8 * _STEP  # rows that one thread filters before it asks for more
_LINE = 64  # bytes, of the cache
_EPSILON = 1e-5  # of the normalisation, as in the graph


@dataclass(frozen=True)
class Level:
    """What a processor can: flags as Linux names them, and what a compiler is told."""

    name: str
    flags: frozenset[str]
    options: tuple[str, ...]


_AVX2 = Level("avx2", frozenset({"avx2", "fma"}), ("-mavx2", "-mfma"))
_VNNI = Level("vnni", _AVX2.flags | {"avx512f", "avx512_vnni"}, (*_AVX2.options, "-mavx512f", "-mavx512vnni"))
_AMX = Level("amx", _VNNI.flags | {"amx_tile", "amx_int8"}, (*_VNNI.options, "-mamx-tile", "-mamx-int8"))
_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA = 158, 0x1023, 18  # Linux, asm/prctl.h; of x86-64


@cache
def levels() -> tuple[Level, ...]:
    """What this processor can run, the fastest first; what they compute is the same to the bit."""
    try:
        said = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ()
    flags = set(next((line.split() for line in said.splitlines() if line.startswith("flags")), []))
    can = tuple(level for level in (_AMX, _VNNI, _AVX2) if platform.machine() == "x86_64" and level.flags <= flags)
    return can[1:] if _AMX in can and not _tiles_are_allowed() else can


def _tiles_are_allowed() -> bool:
    """Ask for the registers of AMX, which Linux gives to processes that ask."""
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA) == 0


def compiler() -> str | None:
    return next((found for name in _COMPILERS if (found := shutil.which(name))), None)


def library_name() -> str:
    """The name says which source it was made of, and for which processors."""
    of = levels()[0].name if levels() else "none"
    return f"kokoro-blocks-{hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]}-{of}.so"


def is_here(settings: Settings) -> bool:
    """Whether the compiled code was made here and this processor can run it."""
    return bool(levels()) and (settings.weights_dir / library_name()).is_file()


def can_be_made(settings: Settings) -> bool:
    return is_here(settings) or (bool(levels()) and compiler() is not None)


def library_file(settings: Settings) -> Path:
    """The compiled code, made on first use.

    Raises:
        EngineUnavailable: no compiler, an unfit processor, or the compiler failed.
    """
    if not levels():
        raise EngineUnavailable("This processor has no AVX2 and FMA.", hint="Set KOKORO_FORM to products or int8.")
    made = weights.made_file(settings, library_name())
    if made is not None:
        return made
    command = compiler()
    if command is None:
        raise EngineUnavailable("There is no C compiler here.", hint="Install gcc, or set KOKORO_FORM to products.")
    target = settings.weights_dir / library_name()
    with weights.locked(settings):
        with weights.replacing(target) as temporary:
            if not any(compiled(command, level, temporary) for level in levels()):  # an old one knows no AMX
                raise EngineUnavailable("The C compiler failed.", hint="Set KOKORO_FORM to products.")
        weights.record_made(settings, target)
    return target


def compiled(command: str, level: Level, target: Path) -> bool:
    """Compile kokoro_blocks.c into `target`; whether that went well.

    Raises:
        EngineUnavailable: the compiler did not run, or did not come to an end.
    """
    with as_file(_SOURCE) as source:
        try:
            done = subprocess.run(
                [command, *_OPTIONS, *level.options, "-o", str(target), str(source), "-lm"],
                capture_output=True,
                timeout=_COMPILE_DEADLINE_S,
                check=False,
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            raise EngineUnavailable("The C compiler did not run.", hint="Set KOKORO_FORM to products.") from error
    return done.returncode == 0


def load_code(library: Path) -> ctypes.CDLL:
    """The functions of kokoro_blocks.c, ready to be called.

    Raises:
        EngineUnavailable: the file is none, or lies where code may not run.
    """
    try:
        code = ctypes.CDLL(str(library))
    except OSError as error:
        raise EngineUnavailable(
            "The compiled code of Kokoro cannot be loaded from the state folder.",
            hint="Set KOKORO_FORM to products, or DUBLINE_HOME to a disk from which code may run.",
        ) from error
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    code.moments_of.argtypes = [pointer, count, ctypes.c_int32, pointer]
    code.filter_rows.argtypes = [pointer, pointer, count, count, count, *[pointer] * 6]
    code.moments_of.restype = code.filter_rows.restype = None
    return code


class _Struct(ctypes.Structure):
    """`filter` in kokoro_blocks.c."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("channels", "taps", "dilation")),
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

    def __init__(self, parts: Any, block: str, index: int) -> None:
        stem = f"{block}.{index}"
        self._arrays = {k: _aligned_copy(parts[f"{stem}.{k}"]) for k in _ARRAYS}
        taps, dilation = int(parts[f"{stem}.taps"]), int(parts[f"{stem}.dilation"])
        self.channels = len(self._arrays["bias"])
        self.reach = (taps - 1) * dilation
        self.styles = style_names(block, index)
        pointers = {k: array.ctypes.data for k, array in self._arrays.items()}
        self._struct = _Struct(channels=self.channels, taps=taps, dilation=dilation, **pointers)
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
        self._front, self._middle, self._end = sessions
        with np.load(filters) as archive:
            self._filters = {b: [_Filter(archive, b, i) for i in range(FILTERS)] for b in BLOCKS}
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
            x = self._group(0, given[f"{UPSAMPLED[0]}.rows"], given)
            (x,) = self._middle.run(None, {f"{SUMS[0]}.rows": x})
            x = self._group(1, x, given)
            return self._end.run(names, {f"{SUMS[1]}.rows": x})

    def _group(self, group: int, x: NDArray[np.float32], given: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The sum of a group's blocks over the upsampled sound and its source: [1, time, channels] in and out."""
        x = x + self._block(NOISE[group], given[f"{SOURCES[group]}.rows"], given)
        first, *others = (self._block(name, x, given) for name in GROUPS[group])
        for other in others:
            first += other
        return first

    def _block(self, name: str, x: NDArray[np.float32], given: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Three pairs of filters, x + f2(f1(x)), each filter behind its normalisation."""
        import numpy as np

        filters = self._filters[name]
        x = _aligned_copy(x)
        _, rows, channels = x.shape
        between = _aligned(x.shape, x.dtype)
        moments = np.empty((2, channels))
        self._code.moments_of(x.ctypes.data, rows, channels, moments.ctypes.data)
        for index, one in enumerate(filters):
            mean, square = moments / rows
            gain, shift = (given[s].reshape(-1) for s in one.styles)
            gain = gain / np.sqrt(np.maximum(square - mean**2, 0) + _EPSILON)
            shift = shift - mean * gain
            gain, shift = gain.astype(np.float32), shift.astype(np.float32)
            if index % 2 == 1:
                moments = self._filter(one, between, gain, shift, x, residual=x)
            else:
                moments = self._filter(one, x, gain, shift, between)
        return x

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

        _, rows, channels = source.shape
        moments = np.empty((-(-rows // _PIECE), 2, channels))
        steps = _STEP + _SLACK
        room = (steps + one.reach) * channels * 5 // 4 + steps * channels  # floats, as many bytes, whole numbers

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
