"""Names of stored things: built from digests and checked names, so no text of a user ever enters one."""

from __future__ import annotations

import re

from dubline.errors import ArtifactMissing, StorageError
from dubline.models import ArtifactRef

_URI = re.compile(r"artifact:blobs/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RECORD = re.compile(r"[a-z0-9][a-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)+")


def blob_uri(sha256: str) -> str:
    """The URI of an object by its content."""
    return f"artifact:{blob_key(sha256)}"


def blob_key(sha256: str) -> str:
    """`blobs/aa/<sha256>`, below the root of every store."""
    return f"blobs/{sha256[:2]}/{sha256}"


def record_key(name: str) -> str:
    """`records/<name>`.

    Raises:
        StorageError: `record_name`, for a name that is no plain path of at least a folder and a file.
    """
    if not _RECORD.fullmatch(name) or ".." in name:
        raise StorageError("A record name is not allowed.", code="record_name")
    return f"records/{name}"


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def checked_digest(sha256: str) -> str:
    """The digest itself.

    Raises:
        StorageError: `content_hash`, when it is none.
    """
    if not is_digest(sha256):
        raise StorageError("That is no content hash.", code="content_hash")
    return sha256


def digest_of(ref: ArtifactRef) -> str:
    """The digest that a reference names.

    Raises:
        ArtifactMissing: its URI is not one of this project's, or names another content.
    """
    match = _URI.fullmatch(ref.uri)
    if match is None or match[2] != ref.sha256:
        raise ArtifactMissing("An artifact reference is not one of this store.")
    return ref.sha256
