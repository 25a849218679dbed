"""Which store `STORAGE_URL` names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from dubline.errors import StorageError
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore
from dubline.storage.local import LocalStore


def open_store(settings: Settings) -> ArtifactStore:
    """The store of the settings; a folder of the state folder when they name none.

    Raises:
        StorageError: `storage_url`, when it names no folder or bucket.
    """
    parts = urlsplit(settings.storage_url)
    if not settings.storage_url:
        return LocalStore(settings.artifacts_dir)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc and "@" not in parts.netloc:
        from dubline.storage.s3 import S3Store

        return S3Store(
            parts.netloc,
            parts.path,
            settings.dubline_home / "cache",
            endpoint_url=settings.s3_endpoint_url,
            deadline_s=settings.s3_deadline_s,
        )
    raise StorageError(
        "STORAGE_URL names no folder and no bucket.",
        code="storage_url",
        hint="Write file:///folder or s3://bucket/prefix.",
    )
