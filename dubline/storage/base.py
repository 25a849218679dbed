"""The store of artifacts: what stages exchange are references into it, never bytes or paths."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from dubline.models import ArtifactRef


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
