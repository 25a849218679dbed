"""Which ffmpeg is used."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess

from dubline.errors import EngineUnavailable

_OLDEST = 5


@functools.lru_cache(maxsize=1)
def ffmpeg_path() -> str:
    """The `ffmpeg` on the PATH when it is recent enough, else the one of the package imageio-ffmpeg.

    Raises:
        EngineUnavailable: `ffmpeg_missing`.
    """
    found = shutil.which("ffmpeg")
    if found and _major(found) >= _OLDEST:
        return found
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise EngineUnavailable(
            "No ffmpeg was found.", code="ffmpeg_missing", hint="pip install imageio-ffmpeg"
        ) from error


@functools.lru_cache(maxsize=1)
def ffmpeg_version() -> str:
    """Its own word for its version, for provenance."""
    return _version_line(ffmpeg_path()).removeprefix("ffmpeg version ").split(" ")[0]


def _version_line(path: str) -> str:
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.split("\n", 1)[0]


def _major(path: str) -> int:
    line = _version_line(path)
    match = re.search(r"version n?(\d+)\.", line)
    # A build from the development branch has no number; it is newer than any release.
    return int(match[1]) if match else (99 if "version N-" in line else 0)
