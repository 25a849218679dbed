"""The store of artifacts: what stages exchange are references into it, never bytes or paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dubline.models import ArtifactRef

FRESH_S = 3600.0
"""Putting content again renews an object older than this, so that a sweep takes it for new."""


@dataclass(frozen=True)
class StoredBlob:
    """What a listing says of an object. `modified_s` is seconds since the epoch."""

    sha256: str
    size_bytes: int
    modified_s: float


@dataclass(frozen=True)
class StoredRecord:
    """What a listing says of a record. `modified_s` is seconds since the epoch."""

    name: str
    modified_s: float


class ArtifactStore(Protocol):
    """Objects by content, and a few named records.

    Blobs are immutable and addressed by sha256, so writing one twice is harmless. Records are small JSON documents
    under a fixed name (the index of spoken lines, a job's manifest) that are replaced atomically.
    """

    def put_file(self, path: Path, media_type: str) -> ArtifactRef:
        """Store a finished file's content. The file stays where it is.

        Raises:
            StorageFull: no room; nothing half-written is left.
        """
        ...

    def put_bytes(self, data: bytes, media_type: str) -> ArtifactRef: ...

    def fetch(self, ref: ArtifactRef) -> Path:
        """A local, read-only path with the verified content of `ref`.

        Raises:
            ArtifactMissing: the object is gone, or its content is not what the reference says.
        """
        ...

    def read_bytes(self, ref: ArtifactRef) -> bytes: ...

    def holds(self, ref: ArtifactRef) -> bool:
        """Whether the object is there with the right content (size and sha256)."""
        ...

    def put_record(self, name: str, data: bytes) -> None: ...

    def get_record(self, name: str) -> bytes | None: ...

    def delete(self, sha256: str) -> None:
        """Remove an object; one that is gone already is no error."""
        ...

    def delete_many(self, digests: Iterable[str]) -> None:
        """Remove objects, in as few calls as the store takes."""
        ...

    def delete_record(self, name: str) -> None: ...

    def blobs(self) -> Iterator[StoredBlob]:
        """Every object there is, in no order."""
        ...

    def records(self, folder: str) -> Iterator[StoredRecord]:
        """The records under a folder (`jobs`), in no order."""
        ...

    def check(self) -> None:
        """Raise `StorageUnavailable` when the store cannot be read and written now."""
        ...

    def sweep_unfinished(self, older_than_s: float) -> int:
        """Remove what writes that broke off left behind. Returns how many."""
        ...
