"""The filters of Kokoro's generator as code that a C compiler makes on this machine."""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from dubline.engines import weights
from dubline.errors import EngineUnavailable
from dubline.settings import Settings

_SOURCE = files("dubline.engines") / "kokoro_blocks.c"
_COMPILERS = ("cc", "gcc", "clang")
_OPTIONS = ("-O3", "-shared", "-fPIC")
_COMPILE_DEADLINE_S = 120.0


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
    code.last_rows.argtypes = [pointer, *[count] * 3, *[ctypes.c_int32] * 2, ctypes.c_float, *[pointer] * 4]
    code.moments_of.restype = code.filter_rows.restype = code.last_rows.restype = None
    return code
