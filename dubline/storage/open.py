"""Which store `STORAGE_URL` names."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dubline.errors import StorageError
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore
from dubline.storage.local import LocalStore

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?")


def open_store(settings: Settings) -> ArtifactStore:
    """The store of the settings; a folder of the state folder when they name none. Nothing is asked of it yet.

    Raises:
        StorageError: `storage_url`, when it names no folder or bucket.
    """
    if not settings.storage_url:
        return LocalStore(settings.artifacts_dir)
    parts = urlsplit(settings.storage_url)
    is_plain = not parts.query and not parts.fragment
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.strip("/") and is_plain:
        return LocalStore(Path(unquote(parts.path)))
    prefix = parts.path.strip("/")
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc) and _PREFIX.fullmatch(prefix) and is_plain:
        from dubline.storage.s3 import S3Store  # only where it is used: it loads the whole client

        return S3Store(
            parts.netloc,
            prefix,
            settings.dubline_home / "cache",
            endpoint_url=settings.s3_endpoint_url,
            deadline_s=settings.s3_deadline_s,
        )
    raise StorageError(
        "STORAGE_URL names no folder and no bucket.",
        code="storage_url",
        hint="Write file:///folder or s3://bucket/prefix.",
    )
