"""Artifacts in an S3-compatible bucket, with verified copies on the local disk.

The bucket is the operator's to make. Writing an object twice is harmless, since its name is its content's hash; what a
reader gets was checked against that hash after the download.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import s3fs
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError

from dubline.errors import ArtifactMissing, StorageError, StorageUnavailable
from dubline.models import ArtifactRef
from dubline.storage.base import StoredBlob, StoredRecord
from dubline.storage.local import LocalStore, blob_key, check_digest, check_record_name

_SLOW_BYTES_PER_S = 2_000_000
_CACHE_BYTES = 20 * 1024**3
_KEEP_S = 3600.0
_CONFIG = {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2, "mode": "standard"}}


class S3Store:
    """`ArtifactStore` over `s3://bucket/prefix`: the same keys as the local store.

    Args:
        bucket: An existing bucket.
        prefix: Folder in it, without slashes at its ends; may be empty.
        cache_dir: Folder of this machine for verified copies; the least recently made go when it grows over 20 GB.
        endpoint_url: Of another provider than AWS. Credentials come from the usual `AWS_…` variables.
        deadline_s: Longest wait for a small call; moving bytes gets more by their number.
    """

    def __init__(
        self, bucket: str, prefix: str, cache_dir: Path, *, endpoint_url: str | None = None, deadline_s: float = 60.0
    ) -> None:
        self._root = "/".join(p for p in (bucket, prefix.strip("/")) if p)
        self._cache = LocalStore(cache_dir)
        self._deadline_s = deadline_s
        self._options: dict[str, Any] = {
            "config_kwargs": _CONFIG,
            "client_kwargs": {"endpoint_url": endpoint_url} if endpoint_url else {},
            # The caches would hide what other processes write.
            "use_listings_cache": False,
            "skip_instance_cache": True,
        }
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}
        self._opened: s3fs.S3FileSystem | None = None

    @property
    def _fs(self) -> s3fs.S3FileSystem:
        with self._lock:
            if self._opened is None:
                self._opened = s3fs.S3FileSystem(**self._options)
                self._opened.retries = 2  # its own loop on top of botocore's tries for 24 to 45 s
            return self._opened

    def put_file(self, path: Path, media_type: str) -> ArtifactRef:
        return self._upload(self._cache.put_file(path, media_type))

    def put_bytes(self, data: bytes, media_type: str) -> ArtifactRef:
        return self._upload(self._cache.put_bytes(data, media_type))

    def fetch(self, ref: ArtifactRef) -> Path:
        with self._lock:
            lock = self._fetching.setdefault(ref.sha256, threading.Lock())
        with lock:  # one download, however many threads ask
            if not self._cache.holds(ref):
                self._make_room()
                self._download(ref)
        return self._cache.fetch(ref)

    def read_bytes(self, ref: ArtifactRef) -> bytes:
        return self.fetch(ref).read_bytes()

    def holds(self, ref: ArtifactRef) -> bool:
        if self._size(self._blob(ref.sha256)) != ref.size_bytes:
            return False
        try:
            self.fetch(ref)
        except ArtifactMissing:
            return False
        return True

    def put_record(self, name: str, data: bytes) -> None:
        key = self._record(name)
        self._call("_pipe_file", key, data)

    def get_record(self, name: str) -> bytes | None:
        try:
            return self._call("_cat_file", self._record(name))
        except FileNotFoundError:
            return None

    def delete(self, sha256: str) -> None:
        self._remove(self._blob(sha256))
        self._cache.delete(sha256)

    def delete_record(self, name: str) -> None:
        self._remove(self._record(name))

    def blobs(self) -> Iterator[StoredBlob]:
        for key, info in self._list("blobs"):
            name = key.rsplit("/", 1)[-1]
            with suppress(StorageError):
                check_digest(name)
                yield StoredBlob(name, int(info["size"]), info["LastModified"].timestamp())

    def records(self, folder: str) -> Iterator[StoredRecord]:
        start = len(f"{self._root}/records/")
        for key, info in self._list(f"records/{folder}"):
            yield StoredRecord(key[start:], info["LastModified"].timestamp())

    def check(self) -> None:
        try:
            self._call("_ls", self._root.split("/", 1)[0])
        except FileNotFoundError as error:
            raise StorageUnavailable("The bucket does not exist.", hint="Make it, or correct STORAGE_URL.") from error

    def _blob(self, sha256: str) -> str:
        check_digest(sha256)
        return f"{self._root}/{blob_key(sha256)}"

    def _record(self, name: str) -> str:
        check_record_name(name)
        return f"{self._root}/records/{name}"

    def _upload(self, ref: ArtifactRef) -> ArtifactRef:
        key = self._blob(ref.sha256)
        if self._size(key) == ref.size_bytes:
            return ref
        path = self._cache.fetch(ref)
        try:
            self._call("_put_file", str(path), key, moved_bytes=ref.size_bytes)
        except StorageUnavailable:
            # The reply may have been lost after the work was done.
            if self._size(key) != ref.size_bytes:
                raise
        return ref

    def _download(self, ref: ArtifactRef) -> None:
        key = self._blob(ref.sha256)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._cache.root) as folder:
            path = Path(folder) / "object"
            for _ in range(2):  # a byte may have been turned on the way; the second time it was stored so
                try:
                    self._call("_get_file", key, str(path), moved_bytes=ref.size_bytes)
                except FileNotFoundError as error:
                    raise _missing() from error
                if self._cache.put_file(path, ref.media_type).sha256 == ref.sha256:
                    return
        # Nobody can use it, and while it lies there nobody would make it anew.
        self._remove(key)
        raise _missing()

    def _size(self, key: str) -> int | None:
        try:
            return int(self._call("_info", key)["size"])
        except FileNotFoundError:
            return None

    def _remove(self, key: str) -> None:
        # One by one: some servers refuse the call that deletes many.
        with suppress(FileNotFoundError):
            self._call("_rm_file", key)

    def _list(self, folder: str) -> list[tuple[str, dict[str, Any]]]:
        try:
            rows = self._call("_find", f"{self._root}/{folder}", detail=True, moved_bytes=200_000_000)
        except FileNotFoundError:
            return []
        return list(rows.items())

    def _call(self, method: str, *arguments: Any, moved_bytes: int = 0, **options: Any) -> Any:
        """One call with a deadline of ours.

        Raises:
            FileNotFoundError: no such object or bucket.
            StorageUnavailable: the server does not answer, refuses, or takes too long.
        """
        deadline_s = self._deadline_s + moved_bytes / _SLOW_BYTES_PER_S
        try:
            function: Callable[..., Any] = getattr(self._fs, method)
            return sync(self._fs.loop, function, *arguments, timeout=deadline_s, **options)
        except FileNotFoundError:
            raise
        except (FSTimeoutError, TimeoutError, BotoCoreError, ClientError, OSError) as error:
            raise StorageUnavailable(
                "The object store does not answer or refuses.", hint="Check its address, credentials and bucket."
            ) from error

    def _make_room(self) -> None:
        """Drop the oldest copies when there are too many; the originals lie in the bucket."""
        rows = sorted(self._cache.blobs(), key=lambda b: b.modified_s)
        left = sum(b.size_bytes for b in rows)
        for row in rows:
            if left <= _CACHE_BYTES or row.modified_s > time.time() - _KEEP_S:
                return
            self._cache.delete(row.sha256)
            left -= row.size_bytes


def _missing() -> ArtifactMissing:
    return ArtifactMissing(
        "A stored artifact is gone or damaged.", hint="Run the job again: what is missing is made anew."
    )
