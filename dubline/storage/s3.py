"""Artifacts in a bucket of S3 or of what speaks like it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import s3fs

from dubline.errors import ArtifactMissing, StorageError, StorageUnavailable
from dubline.models import ArtifactRef
from dubline.storage.base import FRESH_S, StoredBlob, StoredRecord
from dubline.storage.cache import BlobCache
from dubline.storage.deadline import Deadline
from dubline.storage.keys import blob_key, checked_digest, digest_of, is_digest, record_key

R = TypeVar("R")

_CACHE_BYTES = 10 * 1024**3
_PART_BYTES = 16 * 1024**2
_MOST_PARTS = 10_000
_PARTS_AT_ONCE = 2
_SLOWEST_BYTES_S = 1024**2
"""Transfers get this much more time per byte than small calls."""
_CHECK_S = 10.0
_DELETE_AT_ONCE = 1000
_READS = 3
"""What is read may be damaged on its way, or be replaced meanwhile; what is so each time is damaged where it lies."""


@dataclass(frozen=True)
class _Head:
    size_bytes: int
    sha256: str
    modified_s: float


class S3Store:
    """`ArtifactStore` over `s3://bucket/prefix`, with verified copies of what is read and written in a local folder.

    It is called from threads, never from a running event loop. The credentials are those of the AWS_* variables.

    Args:
        bucket: Made by its operator.
        prefix: Folder in the bucket, or nothing.
        cache_dir: Folder for the copies; processes of one machine may share it.
        endpoint_url: Of the service, when it is not Amazon's.
        deadline_s: Longest wait for a small call; transfers get more by their size.
        cache_bytes: Bound of the copies.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        cache_dir: Path,
        endpoint_url: str | None = None,
        deadline_s: float = 60.0,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        self._bucket, self._deadline_s = bucket, deadline_s
        self._root = f"{prefix.strip('/')}/".lstrip("/")
        self._cache = BlobCache(cache_dir, cache_bytes)
        self._flights = tuple(threading.Lock() for _ in range(256))
        # Checksums beyond the signature's hash of the body are refused by older servers.
        self._fs: Any = s3fs.S3FileSystem(
            endpoint_url=endpoint_url,
            use_listings_cache=False,
            skip_instance_cache=True,
            max_concurrency=_PARTS_AT_ONCE,
            default_block_size=_PART_BYTES,
            config_kwargs={
                "connect_timeout": min(5.0, deadline_s),
                "read_timeout": min(15.0, deadline_s),
                "retries": {"mode": "standard", "total_max_attempts": 3},
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
                "s3": {"payload_signing_enabled": True},
            },
        )

    def put_file(self, path: Path, media_type: str) -> ArtifactRef:
        return self._upload(self._cache.put_file(path, media_type))

    def put_bytes(self, data: bytes, media_type: str) -> ArtifactRef:
        return self._upload(self._cache.put_bytes(data, media_type))

    def fetch(self, ref: ArtifactRef) -> Path:
        with self._flight(digest_of(ref)):
            return self._cache.find(ref) or self._download(ref)

    def read_bytes(self, ref: ArtifactRef) -> bytes:
        return self.fetch(ref).read_bytes()

    def holds(self, ref: ArtifactRef) -> bool:
        """Asks the bucket each time, and reads the object when there is no verified copy of it here."""
        with self._flight(digest_of(ref)):
            head = self._run(lambda deadline: self._head(blob_key(ref.sha256), deadline))
            if head is None or head.size_bytes != ref.size_bytes:
                return False
            if head.sha256 == ref.sha256 and self._cache.find(ref) is not None:
                return True
            try:
                self._download(ref)
            except ArtifactMissing:
                return False
            return True

    def put_record(self, name: str, data: bytes) -> None:
        path, metadata = self._path(record_key(name)), {"sha256": hashlib.sha256(data).hexdigest()}
        self._run(lambda deadline: self._fs.pipe_file(path, data, Metadata=metadata, timeout=deadline.left_s()))

    def get_record(self, name: str) -> bytes | None:
        """A record that is not what was written is no record."""
        key = record_key(name)

        def work(deadline: Deadline) -> tuple[bytes, str] | None:
            head = self._head(key, deadline)
            if head is None:
                return None
            # One request: with more than one at once s3fs asks for the size itself.
            data = self._fs.cat_file(self._path(key), max_concurrency=1, timeout=deadline.left_s())
            return data, head.sha256

        for _ in range(_READS):
            try:
                found = self._run(work)
            except ArtifactMissing:
                return None
            if found is None:
                return None
            if hashlib.sha256(found[0]).hexdigest() == found[1]:
                return found[0]
        return None

    def delete(self, sha256: str) -> None:
        self._cache.remove(checked_digest(sha256))
        self._delete(blob_key(sha256))

    def delete_many(self, digests: Iterable[str]) -> None:
        rows = [checked_digest(sha256) for sha256 in digests]
        for at in range(0, len(rows), _DELETE_AT_ONCE):
            batch = rows[at : at + _DELETE_AT_ONCE]
            keys = [{"Key": self._root + blob_key(sha256)} for sha256 in batch]
            try:
                said = self._call("delete_objects", Delete={"Objects": keys, "Quiet": True})
                left = {row.get("Key", "").rpartition("/")[2] for row in said.get("Errors", [])}
            except StorageUnavailable:
                raise
            except StorageError:
                left = set(batch)  # old servers take no bulk delete without an MD5
            for sha256 in batch:
                self._cache.remove(sha256)
                if sha256 in left:
                    self._delete(blob_key(sha256))

    def delete_record(self, name: str) -> None:
        self._delete(record_key(name))

    def blobs(self) -> Iterator[StoredBlob]:
        for row in self._list("blobs/"):
            name = row["Key"].rpartition("/")[2]
            if is_digest(name):
                yield StoredBlob(name, row["Size"], row["LastModified"].timestamp())

    def records(self, folder: str) -> Iterator[StoredRecord]:
        root = self._root + "records/"
        for row in self._list(f"records/{folder}/"):
            yield StoredRecord(row["Key"].removeprefix(root), row["LastModified"].timestamp())

    def check(self) -> None:
        path, deadline = self._path("health"), Deadline(min(_CHECK_S, self._deadline_s))

        def work(deadline: Deadline) -> None:
            self._fs.pipe_file(path, b"ok", timeout=deadline.left_s())
            self._fs.cat_file(path, max_concurrency=1, timeout=deadline.left_s())

        try:
            deadline.run(work)
        except StorageUnavailable:
            raise
        except StorageError as error:
            raise StorageUnavailable("The bucket cannot be read and written.", hint=error.hint) from error

    def sweep_unfinished(self, older_than_s: float) -> int:
        before_s, removed = time.time() - older_than_s, self._cache.sweep(older_than_s)
        for upload in self._call("list_multipart_uploads", Prefix=self._root).get("Uploads", []):
            if upload["Initiated"].timestamp() < before_s:
                try:
                    self._call("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
                except ArtifactMissing:
                    continue  # it ended meanwhile
                removed += 1
        return removed

    def _upload(self, ref: ArtifactRef) -> ArtifactRef:
        """Bring the local copy into the bucket, unless it is there."""

        def work(deadline: Deadline) -> None:
            # Asked before each try: when only the reply to the last one was lost, this finds our own object.
            head = self._head(blob_key(ref.sha256), deadline)
            is_there = head is not None and (head.size_bytes, head.sha256) == (ref.size_bytes, ref.sha256)
            if is_there and head is not None and time.time() - head.modified_s < FRESH_S:
                return
            self._fs.put_file(
                str(self._cache.find(ref)),
                self._path(blob_key(ref.sha256)),
                chunksize=max(_PART_BYTES, -(-ref.size_bytes // _MOST_PARTS)),
                ContentType="application/octet-stream",
                Metadata={"sha256": ref.sha256},
                timeout=deadline.left_s(),
            )

        with self._flight(ref.sha256):
            self._run(work, ref.size_bytes)
        return ref

    def _download(self, ref: ArtifactRef) -> Path:
        path = self._path(blob_key(digest_of(ref)))

        def work(deadline: Deadline) -> Path | None:
            with self._cache.temporary() as file:
                self._fs.get_file(path, str(file), timeout=deadline.left_s())
                return self._cache.adopt(ref, file)

        for _ in range(_READS):
            found = self._run(work, ref.size_bytes)
            if found is not None:
                return found
        # It would pass for whole by its name: away with it, so that putting it again makes it whole.
        self._delete(blob_key(ref.sha256))
        raise ArtifactMissing("A stored artifact is damaged.", hint="Run the job again: what is missing is made anew.")

    def _head(self, key: str, deadline: Deadline) -> _Head | None:
        try:
            row = self._fs.call_s3("head_object", Bucket=self._bucket, Key=self._root + key, timeout=deadline.left_s())
        except FileNotFoundError:
            return None
        return _Head(row["ContentLength"], row.get("Metadata", {}).get("sha256", ""), row["LastModified"].timestamp())

    def _list(self, folder: str) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=self._root + folder, **more)
            yield from page.get("Contents", [])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _delete(self, key: str) -> None:
        self._call("delete_object", Key=self._root + key)

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        return self._run(
            lambda deadline: self._fs.call_s3(method, Bucket=self._bucket, **arguments, timeout=deadline.left_s())
        )

    def _run(self, work: Callable[[Deadline], R], size_bytes: int = 0) -> R:
        return Deadline(self._deadline_s + size_bytes / _SLOWEST_BYTES_S).run(work)

    def _flight(self, sha256: str) -> threading.Lock:
        """One transfer of a content at a time; the others find its copy."""
        return self._flights[int(sha256[:2], 16)]

    def _path(self, key: str) -> str:
        return f"{self._bucket}/{self._root}{key}"
