"""ingest: keyed by the content of the file, so the same video under another name is the same source."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from dubline.errors import InputError
from dubline.models import ArtifactRef, MediaInfo
from dubline.settings import get_settings
from dubline.stages.ingest import ingest
from tasks._policies import StageRequest, StageResult, stage_task, store


def local_path(uri: str) -> Path:
    """Path of a `file://` URI.

    Raises:
        InputError: another scheme, or no such file.
    """
    parts = urlsplit(uri)
    path = Path(os.fsdecode(unquote_to_bytes(parts.path)))
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise InputError("Only local files can be dubbed here.", code="source_scheme", hint="Give a file's path.")
    if not path.is_file():
        raise InputError("The video file does not exist.", code="source_missing", hint="Check the path.")
    return path


@functools.lru_cache(maxsize=64)
def _digest(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class IngestRequest(StageRequest):
    source_uri: str

    def identity(self) -> Any:
        path = local_path(self.source_uri)
        stat = path.stat()
        return {
            "scope": self.scope,
            "sha256": _digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ino),
            "limits": get_settings().model_dump(
                mode="json", include={"max_upload_bytes", "max_duration_s", "max_pixels", "max_streams", "max_fps"}
            ),
        }


class IngestResult(StageResult):
    source: ArtifactRef
    media: MediaInfo


@stage_task("ingest", 1, name="ingest video")
def ingest_video(request: IngestRequest) -> IngestResult:
    """Probe a file under the limits and store it."""
    done = ingest(local_path(request.source_uri), store(), get_settings())
    return IngestResult(source=done.source, media=done.media)
