"""What a media file holds, learnt without ffprobe and without trusting the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from pydantic import ValidationError

from dubline import ledger
from dubline.errors import InputError
from dubline.media.argv import FORMAT_WHITELIST
from dubline.media.magic import container
from dubline.models import MediaInfo
from dubline.settings import Settings

_MEMORY_BYTES = 900 * 1024**2  # address space; what is touched stays far below
_HINTS = {
    "media_limits": "Make a smaller or shorter version first.",
    "media_encrypted": "Only unprotected files can be dubbed.",
}
_UNREADABLE_HINT = "The file is damaged or incomplete; export or download it again."


def probe(path: Path, settings: Settings) -> MediaInfo:
    """Probe a file under the limits of the settings. Costs a child process (about 0.3 s) and reads the file once.

    Raises:
        InputError: `media_unsupported` (no media container), `media_unreadable` (damaged), `media_encrypted`,
            `media_limits` (`details["limit"]` names which).
    """
    size = path.stat().st_size
    if size > settings.max_upload_bytes:
        raise InputError(
            f"The file is larger than {settings.max_upload_bytes / 1024**3:.1f} GiB.",
            code="media_limits",
            hint=_HINTS["media_limits"],
            details={"limit": "max_upload_bytes", "value": size},
        )
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        raise InputError("The file is empty.", code="media_unreadable", hint=_UNREADABLE_HINT)
    if container(head) is None:
        raise InputError(
            "The file is not a video or sound file that Dubline knows.",
            code="media_unsupported",
            hint="MP4, MOV, MKV, WebM, AVI, FLV, MPEG, TS, ASF, MP3, M4A, WAV, FLAC and Ogg are known.",
        )
    request = {
        "path": str(path.absolute()),
        "size_bytes": size,
        "formats": FORMAT_WHITELIST,
        "memory_bytes": _MEMORY_BYTES,
        "cpu_s": 8 + size // 100_000_000,
        "limits": settings.model_dump(
            mode="json", include={"max_streams", "max_pixels", "max_fps", "max_duration_s"}
        ),
    }
    try:
        return _ask(request, deadline_s=9.0 + size / 50_000_000)
    except InputError as error:
        if error.code == "media_unreadable" and _is_encrypted(path):
            raise InputError(
                "The file is protected (DRM) and cannot be opened.",
                code="media_encrypted",
                hint=_HINTS["media_encrypted"],
            ) from error
        raise


def _is_encrypted(path: Path) -> bool:
    """Sample entries of common encryption (ISO/IEC 23001-7) in the first part of an MP4."""
    with path.open("rb") as file:
        head = file.read(1 << 18)
    return container(head) == "mov" and b"sinf" in head and (b"encv" in head or b"enca" in head)


def _ask(request: dict, *, deadline_s: float) -> MediaInfo:
    with ledger.busy("probe"):
        try:
            done = subprocess.run(
                [sys.executable, "-m", "dubline.media.probe_child"],
                input=json.dumps(request).encode(),
                capture_output=True,
                timeout=deadline_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _unreadable("Reading the file takes longer than it should.") from error
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise _unreadable("The file cannot be read.") from error  # the child died: a limit, or the parser's own fault
    if "error" in answer:
        found = answer["error"]
        if found["code"] == "media_unreadable":
            raise _unreadable(found["message"] or "The file cannot be read.")
        raise InputError(
            found["message"], code=found["code"], hint=_HINTS.get(found["code"], ""), details=found["details"]
        )
    try:
        return MediaInfo.model_validate(answer)
    except ValidationError as error:
        raise _unreadable("The file cannot be read.") from error


def _unreadable(message: str) -> InputError:
    return InputError(message, code="media_unreadable", hint=_UNREADABLE_HINT)


def check_dubbable(media: MediaInfo) -> None:
    """Refuse what holds nothing to dub.

    Raises:
        InputError: `no_audio_track`, `audio_undecodable` or `media_too_short`.
    """
    if not media.audio:
        raise InputError(
            "The video has no sound, so there is no speech to dub.",
            code="no_audio_track",
            hint="Choose a video with an audio track.",
        )
    if not any(t.is_decodable for t in media.audio):
        raise InputError(
            f"The sound ({media.audio[0].codec}) is of a kind that cannot be decoded here.",
            code="audio_undecodable",
            hint="Convert the sound to AAC first.",
        )
    if media.duration_s < 0.1:
        raise InputError("The media is shorter than a tenth of a second.", code="media_too_short")
