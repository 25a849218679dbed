"""Artifacts in a folder of the local disk."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dubline.errors import ArtifactMissing, StorageUnavailable, disk_full
from dubline.models import ArtifactRef
from dubline.storage.base import FRESH_S, StoredBlob, StoredRecord
from dubline.storage.keys import blob_key, blob_uri, checked_digest, digest_of, is_digest, record_key

_BLOCK_BYTES = 1 << 20


class LocalStore:
    """`ArtifactStore` over a folder: `blobs/aa/<sha256>` and `records/<name>`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._verified: dict[str, tuple[int, int, int]] = {}
        self._lock = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        return self._root

    def put_file(self, path: Path, media_type: str) -> ArtifactRef:
        with path.open("rb") as source:
            return self._put(source, media_type)

    def put_bytes(self, data: bytes, media_type: str) -> ArtifactRef:
        import io

        return self._put(io.BytesIO(data), media_type)

    def fetch(self, ref: ArtifactRef) -> Path:
        path = self.path_of(ref)
        if not self.holds(ref):
            raise ArtifactMissing(
                "A stored artifact is gone or damaged.", hint="Run the job again: what is missing is made anew."
            )
        return path

    def read_bytes(self, ref: ArtifactRef) -> bytes:
        return self.fetch(ref).read_bytes()

    def holds(self, ref: ArtifactRef) -> bool:
        path = self.path_of(ref)
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        if stat.st_size != ref.size_bytes:
            return False
        with self._lock:
            if self._verified.get(ref.sha256) == _seen(stat):
                return True
        with path.open("rb") as file:
            good = hashlib.file_digest(file, "sha256").hexdigest() == ref.sha256
        if good:
            self._know(ref.sha256, stat)
        return good

    def _know(self, sha256: str, stat: os.stat_result) -> None:
        with self._lock:
            self._verified[sha256] = _seen(stat)

    def put_record(self, name: str, data: bytes) -> None:
        target = self._record_path(name)
        with self._temporary(target.parent) as (file, temporary):
            file.write(data)
            self._commit(file, temporary, target)

    def get_record(self, name: str) -> bytes | None:
        try:
            return self._record_path(name).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, sha256: str) -> None:
        (self._root / blob_key(checked_digest(sha256))).unlink(missing_ok=True)

    def delete_many(self, digests: Iterable[str]) -> None:
        for sha256 in digests:
            self.delete(sha256)

    def delete_record(self, name: str) -> None:
        self._record_path(name).unlink(missing_ok=True)

    def blobs(self) -> Iterator[StoredBlob]:
        for path in (self._root / "blobs").glob("??/*"):
            if is_digest(path.name):
                with suppress(FileNotFoundError):
                    stat = path.stat()
                    yield StoredBlob(path.name, stat.st_size, stat.st_mtime)

    def records(self, folder: str) -> Iterator[StoredRecord]:
        root = self._root / "records"
        for path in (root / folder).rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                with suppress(FileNotFoundError):
                    yield StoredRecord(str(path.relative_to(root)), path.stat().st_mtime)

    def check(self) -> None:
        if not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
            raise StorageUnavailable("The artifact folder cannot be read and written.", hint="Check its owner.")

    def sweep_unfinished(self, older_than_s: float) -> int:
        return sweep_temporaries(self._root, older_than_s)

    def path_of(self, ref: ArtifactRef) -> Path:
        """Where the content of a reference lies, if it is there.

        Raises:
            ArtifactMissing: the reference is not one of this store.
        """
        return self._root / blob_key(digest_of(ref))

    def _put(self, source: BinaryIO, media_type: str) -> ArtifactRef:
        digest = hashlib.sha256()
        size = 0
        with self._temporary(self._root / "blobs") as (file, temporary):
            while block := source.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                file.write(block)
            sha256 = digest.hexdigest()
            ref = ArtifactRef(uri=blob_uri(sha256), sha256=sha256, size_bytes=size, media_type=media_type)
            target = self.path_of(ref)
            # What is old is written anew, not to be swept before somebody names it.
            if not (self.holds(ref) and _is_fresh(target)):
                target.parent.mkdir(parents=True, exist_ok=True)
                self._commit(file, temporary, target)
                self._know(sha256, target.stat())  # it is what was counted on its way there
        return ref

    def _record_path(self, name: str) -> Path:
        return self._root / record_key(name)

    @contextmanager
    def _temporary(self, folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
        """A file in the target's own file system that is gone unless it was committed."""
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{os.getpid()}-", dir=folder)
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, path
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise disk_full() from error
            raise
        finally:
            with suppress(FileNotFoundError):
                path.unlink()

    @staticmethod
    def _commit(file: BinaryIO, temporary: Path, target: Path) -> None:
        """Write through, then rename: readers see the whole object or none."""
        file.flush()
        os.fsync(file.fileno())
        os.replace(temporary, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _seen(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _is_fresh(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < FRESH_S
    except FileNotFoundError:
        return False


def sweep_temporaries(root: Path, older_than_s: float = 0.0) -> int:
    """Remove temporary files that processes no longer alive left behind. Returns how many.

    Where several hosts share the folder a process may only seem dead: give an age that no write reaches.
    """
    removed = 0
    for path in [*root.glob("blobs/.*-*"), *root.glob("records/**/.*-*")]:
        pid = path.name[1:].split("-", 1)[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= older_than_s:
                    path.unlink()
                    removed += 1
    return removed
