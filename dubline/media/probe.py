"""What a file holds, learnt in a confined child; what may not or cannot be dubbed is refused with the reason."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

from dubline import ledger
from dubline.cancel import STOP, StopToken
from dubline.errors import InputError, MediaError
from dubline.media.argv import FORMATS
from dubline.media.magic import HEAD_BYTES, sniff
from dubline.media.process import Finished, run_child
from dubline.models import MediaInfo
from dubline.settings import Settings

_MEMORY_BYTES = 420 * 1024**2
_CPU_S = 20
_DEADLINE_S = 8.0
_BYTES_PER_S = 40_000_000
_SHORTEST_S = 0.1
_ANSWER_BYTES = 4 * 1024**2

_HINTS = {
    "media_unreadable": "Check that the file plays, or export it again as an MP4.",
    "media_unsupported": "Give an MP4, MOV, MKV, WebM, AVI, MPEG-TS, MP3, M4A, WAV, FLAC or Ogg file.",
    "media_limits": "Give a shorter or smaller file, or raise the limit in the settings.",
    "media_encrypted": "Give a copy without copy protection.",
}


def probe(path: Path, settings: Settings, *, stop: StopToken = STOP) -> MediaInfo:
    """Measure a file's streams under the limits of the settings.

    Nothing is decoded but the first sound of every audio track. `start_s` of a stream counts from the media's
    time zero, which lies at the container's own time `MediaInfo.start_s`.

    Raises:
        InputError: `media_unsupported`, `media_unreadable`, `media_encrypted`, or `media_limits` with the limit and
            the value in the details.
        Cancelled: somebody asked to stop.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise _refusal("media_unreadable", "The file cannot be opened.") from error
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _refusal("media_unsupported", "This is no regular file.")
        size = status.st_size
        if size > settings.max_upload_bytes:
            details = {"limit": "size_bytes", "value": size, "max": settings.max_upload_bytes}
            raise InputError(
                "This file is larger than is allowed.",
                code="media_limits",
                hint=_HINTS["media_limits"],
                details=details,
            )
        if size == 0:
            raise _refusal("media_unreadable", "This file is empty.")
        if sniff(file.read(HEAD_BYTES)) is None:
            raise _refusal("media_unsupported", "This is no audio or video file of a known kind.")
        file.seek(0)
        limits = {
            "formats": FORMATS,
            "memory_bytes": _MEMORY_BYTES + min(size // 20, 256 * 1024**2),
            "cpu_s": _CPU_S + size // _BYTES_PER_S,
            "parent_pid": os.getpid(),
            "size_bytes": size,
            "max_pixels": settings.max_pixels,
            "max_streams": settings.max_streams,
            "max_fps": settings.max_fps,
            "max_duration_s": settings.max_duration_s,
        }
        try:
            with ledger.busy("probe"):
                done = run_child(
                    [sys.executable, "-P", "-m", "dubline.media.probe_child", json.dumps(limits)],
                    deadline_s=_DEADLINE_S + size / _BYTES_PER_S,
                    cwd=Path("/"),
                    stop=stop,
                    env=_environment(),
                    stdin=file,
                    max_stdout_bytes=_ANSWER_BYTES,
                )
        except MediaError as error:
            raise _refusal("media_unreadable", "This file takes too long to read.") from error
    return _answer(done)


def check_dubbable(info: MediaInfo) -> None:
    """Refuse what holds nothing to dub.

    Raises:
        InputError: `no_audio_track`, `audio_undecodable` or `media_too_short`.
    """
    if not info.audio:
        raise InputError(
            "This video has no sound to dub.", code="no_audio_track", hint="Give a video in which somebody speaks."
        )
    if not any(s.is_decodable for s in info.audio):
        codecs = sorted({s.codec for s in info.audio})
        raise InputError(
            "The sound of this video is in a format that cannot be decoded.",
            code="audio_undecodable",
            hint="Convert its sound to AAC first.",
            details={"codecs": codecs},
        )
    if info.duration_s < _SHORTEST_S:
        raise InputError(
            "This video is too short to dub.",
            code="media_too_short",
            hint="Give at least a tenth of a second.",
            details={"value": info.duration_s, "min": _SHORTEST_S},
        )


def _environment() -> dict[str, str]:
    keep = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
    return {"LC_ALL": "C.UTF-8", **{k: os.environ[k] for k in keep if k in os.environ}}


def _refusal(code: str, message: str) -> InputError:
    return InputError(message, code=code, hint=_HINTS[code])


def _answer(done: Finished) -> MediaInfo:
    """The child's words as a value; a child that a signal ended says that the file is not fit to be read."""
    if done.returncode < 0:
        raise _refusal("media_unreadable", "This file is damaged in a way that stops its reading.")
    try:
        answer = json.loads(done.stdout)
        if "media" in answer:
            return MediaInfo.model_validate(answer["media"])
        body = answer["refusal"]
    except (ValueError, KeyError) as error:
        raise MediaError(
            "This file could not be examined.", code="probe_failed", details={"tail": done.stderr_tail[-2000:]}
        ) from error
    raise InputError(body["message"], code=body["code"], hint=_HINTS.get(body["code"], ""), details=body["details"])
