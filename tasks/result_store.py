"""Prefect's result records, in a private folder, believed only while what they name is there."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from prefect.filesystems import WritableFileSystem
from prefect.serializers import JSONSerializer
from prefect.utilities.importtools import to_qualified_name

from dubline.errors import disk_full
from dubline.models import ArtifactRef
from dubline.settings import Settings
from tasks._policies import StageResult, store

SLUG = "verifying-result-store/dubline"
_KEY = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,250}$")
_SERIALIZER: dict[str, Any] = JSONSerializer().model_dump(mode="json")
_REF_FIELDS = set(ArtifactRef.model_fields)


class VerifyingResultStore(WritableFileSystem):
    """A folder of result records.

    Reading checks every artifact reference in the record: one that is gone or damaged makes the record a miss, so
    that the task runs again. A record names its own serializer and the classes to build, so anything but JSON of
    this project's models is refused: who can write the folder still cannot run code.
    """

    _block_type_name: ClassVar[str | None] = "Verifying Result Store"
    _block_type_slug: ClassVar[str | None] = "verifying-result-store"

    folder: str

    # Prefect calls the plain names with `_sync=True` from threads and the names with an `a` from its event loop;
    # its type checker sees the second in place of the first.
    def read_path(self, path: str, *, _sync: bool = True) -> bytes:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The record's bytes.

        Raises:
            FileNotFoundError: no such record, or an artifact it names is gone.
            ValueError: the record is not plain JSON of this project.
        """
        target = self._path(path)
        content = target.read_bytes()
        check_record(content)
        with suppress(FileNotFoundError):
            os.utime(target)  # in use: the sweep goes by age
        return content

    async def aread_path(self, path: str) -> bytes:
        return await asyncio.to_thread(self.read_path, path)  # the check may fetch an artifact

    async def awrite_path(self, path: str, content: bytes) -> None:
        self.write_path(path, content)

    def write_path(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, path: str, content: bytes, *, _sync: bool = True
    ) -> None:
        """Replace a record in one step."""
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".record-", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except OSError as error:
            Path(name).unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full() from error
            raise

    def _path(self, key: str) -> Path:
        root = Path(self.folder)
        relative = key.removeprefix(str(root) + "/")
        if not _KEY.match(relative) or ".." in relative:
            raise ValueError("a result key is not allowed")
        return root / relative


def save_block(settings: Settings) -> None:
    """Make the block known to the Prefect server of this process, once."""
    try:
        block = VerifyingResultStore.load(SLUG.rpartition("/")[2])
    except ValueError:
        block = None
    if not isinstance(block, VerifyingResultStore) or block.folder != str(settings.results_dir):
        VerifyingResultStore(folder=str(settings.results_dir)).save("dubline", overwrite=True)


def check_record(content: bytes) -> None:
    """Raise unless the record is JSON of this project's models and all it refers to is there."""
    record = json.loads(content)
    serializer = record["metadata"]["serializer"]
    if serializer != _SERIALIZER:
        raise ValueError("a result record names another serializer")
    result = record["result"]
    value = json.loads(result) if isinstance(result, str) else result
    allowed = {to_qualified_name(c) for c in _subclasses(StageResult)}
    for node in _walk(value):
        if "__class__" in node and node["__class__"] not in allowed:
            raise ValueError("a result record names a foreign class")
        if "__exc_type__" in node:
            raise ValueError("a result record holds an exception")
        if set(node) >= _REF_FIELDS:
            ref = ArtifactRef.model_validate({k: node[k] for k in _REF_FIELDS})
            if not store().holds(ref):
                raise FileNotFoundError("an artifact of a cached result is gone")


def _subclasses(base: type) -> Iterator[type]:
    for child in base.__subclasses__():
        yield child
        yield from _subclasses(child)


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from _walk(child)
