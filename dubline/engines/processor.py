"""What this processor can, as Linux tells."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

AVX2 = frozenset({"avx2", "fma"})
VNNI = AVX2 | {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"}
AMX = VNNI | {"amx_tile", "amx_int8"}


@cache
def flags() -> frozenset[str]:
    """The names of its extensions; none where the processor is no x86-64, or the system does not tell."""
    try:
        said = Path("/proc/cpuinfo").read_text() if platform.machine() == "x86_64" else ""
    except OSError:
        return frozenset()
    return frozenset(next((line.split()[2:] for line in said.splitlines() if line.startswith("flags")), []))
