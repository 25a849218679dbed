"""What a child does to itself before it touches a file: limits, and death with its parent.

Run as a script it limits itself and becomes another program; a helper that execs is safe where threads are, which
code between fork and exec is not. Standard library only: it starts in a few milliseconds.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def confine(*, memory_bytes: int, cpu_s: int, file_bytes: int, parent_pid: int) -> None:
    """Limit this process: address space, CPU seconds, size of a written file, no core dump.

    On Linux the kernel kills it when the thread that started it ends; elsewhere only the parent's own care does.
    """
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        if limit == resource.RLIMIT_AS and not sys.platform.startswith("linux"):
            continue  # other kernels refuse or ignore it
        resource.setrlimit(limit, (wanted, wanted))
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before the wish was known
            sys.exit(1)


def main(arguments: list[str]) -> None:
    """`launcher.py MEMORY CPU FILE PARENT PROGRAM [ARGUMENT…]`."""
    memory, cpu, file, parent = (int(a) for a in arguments[:4])
    confine(memory_bytes=memory, cpu_s=cpu, file_bytes=file, parent_pid=parent)
    os.execv(arguments[4], arguments[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
