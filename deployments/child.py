"""What a child process does to itself before it becomes its program: it dies with its parent, and Ctrl-C works.

A helper that execs is safe where threads are, which code between fork and exec is not. Standard library only.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def bound(program: list[str], parent_pid: int | None = None) -> list[str]:
    """The command line that runs `program` bound to the life of `parent_pid` (default: this process).

    The program keeps the pid. It must be started from a thread that lives as long as the parent: the kernel looks
    at the thread.
    """
    parent = os.getpid() if parent_pid is None else parent_pid
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(parent), *program]


def main(arguments: list[str]) -> None:
    """`child.py PARENT PROGRAM [ARGUMENT…]`."""
    parent_pid, program = int(arguments[0]), arguments[1:]
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # started in the background by a shell, it would be ignored for ever
    if sys.platform.startswith("linux"):
        import ctypes

        # Outlives exec; the kernel kills this process when its parent ends, however it ends.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the wish was known
        sys.exit(1)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
