"""Puts a child in bubblewrap where the machine has it: no network, its own files only."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

_SYSTEM = (
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/fonts",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/var/cache/fontconfig",
)


def prefix(program: str, cwd: Path) -> list[str]:
    """Words to put before `program`: empty where bubblewrap is absent or may not make namespaces.

    Inside, only `cwd` can be written; what links in it point to can be read, and so can the program and the system.
    """
    tool = _working_bwrap(program)
    return _words(tool, program, cwd) if tool else []


def _words(tool: str, program: str, cwd: Path) -> list[str]:
    words = [tool, "--die-with-parent", "--unshare-all", "--dev", "/dev", "--proc", "/proc"]
    words += ["--tmpfs", "/tmp"]
    for folder in _SYSTEM:
        words += ["--ro-bind-try", folder, folder]
    real = str(Path(program).resolve())
    words += ["--ro-bind", real, program, "--bind", str(cwd), str(cwd)]
    for link in sorted(cwd.iterdir()):
        if link.is_symlink():
            target = str(link.resolve())
            words += ["--ro-bind", target, target]
    return [*words, "--chdir", str(cwd), "--"]


@lru_cache(maxsize=4)
def _working_bwrap(program: str) -> str | None:
    tool = shutil.which("bwrap")
    if tool is None or not sys.platform.startswith("linux"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        words = [*_words(tool, program, Path(folder).resolve()), program, "-version"]
        try:
            answer = subprocess.run(words, capture_output=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
    return tool if answer.returncode == 0 else None
