"""Verified copies of remote objects on the local disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dubline.models import ArtifactRef
from dubline.storage.local import LocalStore

KEEP_S = 3600.0
"""What was asked for within this time stays, full or not: somebody may be reading it."""
_UNUSED_S = 7 * 24 * 3600.0
_LOOK_S = 60.0


class BlobCache:
    """A folder of objects by content, bounded: the least recently used go first.

    Several processes may share it. The last use of a file is its access time, set by hand, so that it holds on file
    systems that do not keep it.
    """

    def __init__(self, root: Path, most_bytes: int, keep_s: float = KEEP_S) -> None:
        self._files = LocalStore(root)
        self._most_bytes, self._keep_s = most_bytes, keep_s
        self._lock = threading.Lock()
        self._looked_s = 0.0

    def find(self, ref: ArtifactRef) -> Path | None:
        """A verified copy, which stays for at least the keeping time."""
        path = self._files.path_of(ref)
        # Marked before it is looked at: nobody else may take it for unused in between.
        with suppress(FileNotFoundError):
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        return path if self._files.holds(ref) else None

    def put_file(self, path: Path, media_type: str) -> ArtifactRef:
        """A copy of a finished file.

        Raises:
            StorageFull: no room on the local disk.
        """
        ref = self._files.put_file(path, media_type)
        self._trim_sometimes()
        return ref

    def put_bytes(self, data: bytes, media_type: str) -> ArtifactRef:
        ref = self._files.put_bytes(data, media_type)
        self._trim_sometimes()
        return ref

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """A path to download to, gone afterwards unless it was adopted."""
        folder = self._files.root / "blobs"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{os.getpid()}-", dir=folder)
        os.close(descriptor)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def adopt(self, ref: ArtifactRef, downloaded: Path) -> Path | None:
        """Take a download in if it is what the reference says."""
        with downloaded.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != ref.sha256 or downloaded.stat().st_size != ref.size_bytes:
            return None
        target = self._files.path_of(ref)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(downloaded, target)
        self._trim_sometimes()
        return target

    def remove(self, sha256: str) -> None:
        self._files.delete(sha256)

    def sweep(self, older_than_s: float) -> int:
        """Remove what broken-off downloads left behind, and what was not used for a week. Returns how many."""
        return self._files.sweep_unfinished(older_than_s) + self.trim()

    def trim(self) -> int:
        """Remove files until the folder is within its bound. Returns how many."""
        now_s = time.time()
        rows: list[tuple[float, int, Path]] = []
        for path in (self._files.root / "blobs").glob("??/*"):
            with suppress(FileNotFoundError):
                stat = path.stat()
                rows.append((stat.st_atime, stat.st_size, path))
        total = sum(size for _, size, _ in rows)
        removed = 0
        for used_s, size, path in sorted(rows):
            unused_s = now_s - used_s
            if unused_s < self._keep_s or (total <= self._most_bytes and unused_s < _UNUSED_S):
                break
            with suppress(FileNotFoundError):
                if path.stat().st_atime == used_s:
                    path.unlink()
                    removed += 1
                    total -= size
        return removed

    def _trim_sometimes(self) -> None:
        with self._lock:
            if time.monotonic() - self._looked_s < _LOOK_S:
                return
            self._looked_s = time.monotonic()
        self.trim()
