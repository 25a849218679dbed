"""Artifacts in a folder of the local disk."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dubline.errors import ArtifactMissing, StorageError, StorageFull, StorageUnavailable
from dubline.models import ArtifactRef
from dubline.storage.base import StoredBlob, StoredRecord

_BLOCK_BYTES = 1 << 20
_URI = re.compile(r"^artifact:blobs/([0-9a-f]{2})/([0-9a-f]{64})$")
_DIGEST = re.compile(r"^[0-9a-f]{64}$")
_RECORD = re.compile(r"^[a-z0-9][a-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)+$")


def blob_uri(sha256: str) -> str:
    """The one place that builds a key: no text of a user ever enters it."""
    return f"artifact:{blob_key(sha256)}"


def blob_key(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def check_digest(sha256: str) -> None:
    """Raise `StorageError` unless it is a content hash."""
    if not _DIGEST.match(sha256):
        raise StorageError("That is no content hash.", code="content_hash")


def check_record_name(name: str) -> None:
    """Raise `StorageError` for a record name that could leave its folder."""
    if not _RECORD.match(name) or ".." in name:
        raise StorageError("A record name is not allowed.", code="record_name")


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
        path = self._path(ref)
        if not self.holds(ref):
            raise ArtifactMissing(
                "A stored artifact is gone or damaged.", hint="Run the job again: what is missing is made anew."
            )
        return path

    def read_bytes(self, ref: ArtifactRef) -> bytes:
        return self.fetch(ref).read_bytes()

    def holds(self, ref: ArtifactRef) -> bool:
        path = self._path(ref)
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        if stat.st_size != ref.size_bytes:
            return False
        seen = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        with self._lock:
            if self._verified.get(ref.sha256) == seen:
                return True
        with path.open("rb") as file:
            good = hashlib.file_digest(file, "sha256").hexdigest() == ref.sha256
        if good:
            with self._lock:
                self._verified[ref.sha256] = seen
        return good

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
        check_digest(sha256)
        (self._root / blob_key(sha256)).unlink(missing_ok=True)

    def delete_record(self, name: str) -> None:
        self._record_path(name).unlink(missing_ok=True)

    def blobs(self) -> Iterator[StoredBlob]:
        for path in (self._root / "blobs").glob("??/*"):
            if _DIGEST.match(path.name):
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
            target = self._path(ref)
            if not self.holds(ref):
                target.parent.mkdir(parents=True, exist_ok=True)
                self._commit(file, temporary, target)
        return ref

    def _path(self, ref: ArtifactRef) -> Path:
        match = _URI.match(ref.uri)
        if match is None or match[2] != ref.sha256 or not ref.sha256.startswith(match[1]):
            raise ArtifactMissing("An artifact reference is not one of this store.")
        return self._root / "blobs" / match[1] / match[2]

    def _record_path(self, name: str) -> Path:
        check_record_name(name)
        return self._root / "records" / name

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
                raise StorageFull("The disk is full.", hint="Free some space and run it again.") from error
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


def sweep_temporaries(root: Path) -> int:
    """Remove temporary files that processes no longer alive left behind. Returns how many."""
    removed = 0
    for path in [*root.glob("blobs/.*-*"), *root.glob("records/**/.*-*")]:
        pid = path.name[1:].split("-", 1)[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with suppress(FileNotFoundError):
                path.unlink()
                removed += 1
    return removed
