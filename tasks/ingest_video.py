"""ingest: keyed by the content of the file, so the same video under another name is the same source."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

from dubline.models import ArtifactRef, MediaInfo
from dubline.settings import get_settings
from dubline.stages.ingest import ingest, locate
from tasks._policies import StageRequest, StageResult, stage_task, store
from tasks._progress import TRACKER


@functools.lru_cache(maxsize=64)
def _digest(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class IngestRequest(StageRequest):
    source_uri: str

    def identity(self) -> Any:
        source = locate(self.source_uri)
        if isinstance(source, ArtifactRef):
            sha256 = source.sha256
        else:
            stat = source.stat()
            sha256 = _digest(source, stat.st_size, stat.st_mtime_ns, stat.st_ino)
        return {
            "scope": self.scope,
            "sha256": sha256,
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
    done = ingest(locate(request.source_uri), store(), get_settings())
    TRACKER.set("ingest", 1.0, "Checking the file")
    return IngestResult(source=done.source, media=done.media)
