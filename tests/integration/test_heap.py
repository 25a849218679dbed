"""Memory of processes that run engines: what one thread frees another uses, and the system is not asked again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from dubline.heap import ONE_HEAP

_PROGRAM = """
import resource
from concurrent.futures import ThreadPoolExecutor

def work(_):
    held = [b"x" * (mb << 20) for mb in (12, 24, 12, 24)]

with ThreadPoolExecutor(2) as pool:
    list(pool.map(work, range(4)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    list(pool.map(work, range(20)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _pages_had(variables: dict[str, str]) -> int:
    names = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    environment = {**{k: v for k in names if (v := os.environ.get(k))}, **variables}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="The variables are glibc's.")
def test_large_buffers_are_used_again_by_all_threads() -> None:
    least = 20 * (72 << 20) // 4096 // 6  # a part of what is written
    had = _pages_had({})
    if had < least:  # as where all memory is in huge pages
        pytest.skip("Pages are large here: there is nothing to spare.")
    assert _pages_had(ONE_HEAP) < had / 4
