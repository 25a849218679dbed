"""Which ffmpeg runs: the machine's own when it is new enough, else the one that a package brings."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import lru_cache

from dubline.errors import EngineUnavailable

_LIBAVUTIL_OF_FFMPEG_5 = 57


@lru_cache(maxsize=1)
def ffmpeg_path() -> str:
    """Path of an ffmpeg of version 5 or newer.

    Raises:
        EngineUnavailable: `ffmpeg_missing`, when there is none.
    """
    own = shutil.which("ffmpeg")
    if own and _is_new_enough(own):
        return own
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise EngineUnavailable(
            "No ffmpeg of version 5 or newer was found.",
            code="ffmpeg_missing",
            hint="Install ffmpeg, or run: pip install imageio-ffmpeg",
        ) from error


@lru_cache(maxsize=1)
def ffmpeg_version() -> str:
    """What it calls its version, for provenance.

    Raises:
        EngineUnavailable: `ffmpeg_missing`, when there is none.
    """
    return _words(ffmpeg_path()).removeprefix("ffmpeg version ").split(" ")[0]


def _is_new_enough(path: str) -> bool:
    # Builds from git carry no version number; the library's always says how new they are.
    found = re.search(r"^libavutil\s+(\d+)\.", _words(path), re.MULTILINE)
    return found is not None and int(found[1]) >= _LIBAVUTIL_OF_FFMPEG_5


def _words(path: str) -> str:
    """Answer to `-version`; empty when the program does not work."""
    try:
        answer = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
