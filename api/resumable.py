"""Resumable uploads: the server's side of tus 1.0 (core, creation, termination, expiration, checksum).

The committed offset in the row is the only truth. What is received is written behind it, brought to the disk, and only
then counted; a request begins by cutting off what was written and never counted. The last piece is counted when the
file is probed and stored, so a client that sees a whole upload sees a file.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlmodel import col, delete, select, update
from starlette.requests import ClientDisconnect

from api.db import Database
from api.problems import Problem, not_found
from api.tables import ResumableUpload
from api.uploads import Received, Uploads, check_room, clean_name, too_large
from dubline.errors import InputError, MediaError, StorageFull
from dubline.settings import Settings

COMMIT_BYTES = 8 * 1024**2
KEEP_S = 24 * 3600.0
ALGORITHMS = ("sha1", "sha256", "md5")
_AT_ONCE = 200


@dataclass(frozen=True)
class Checksum:
    """What a piece should hash to."""

    algorithm: str
    digest: bytes


class ResumableUploads:
    """Uploads in pieces, for their user. The pieces lie on this machine until the file is whole."""

    def __init__(self, db: Database, uploads: Uploads, settings: Settings) -> None:
        self._db, self._uploads, self._settings = db, uploads, settings
        self._folder = settings.dubline_home / "uploads"

    async def create(self, user_id: str, *, size_bytes: int, filename: str) -> ResumableUpload:
        """Begin one.

        Raises:
            Problem: 413, larger than is allowed.
            StorageFull: no room for it.
        """
        if size_bytes > self._settings.max_upload_bytes:
            raise too_large(self._settings.max_upload_bytes)
        check_room(self._folder, size_bytes)
        now_s = time.time()
        row = ResumableUpload(
            id=str(uuid.uuid4()),
            user_id=user_id,
            filename=clean_name(filename),
            size_bytes=size_bytes,
            created_s=now_s,
            expires_s=now_s + KEEP_S,
        )
        # The row first: the sweep finds what has a row.
        async with self._db.begin() as session:
            session.add(row)
        self._path(row.id).touch(mode=0o600)
        return row

    async def get(self, user_id: str, upload_id: str) -> ResumableUpload:
        """One of the user's uploads.

        Raises:
            Problem: 404 unknown, 410 expired.
        """
        async with self._db.read() as session:
            row = await session.get(ResumableUpload, upload_id)
        if row is None or row.user_id != user_id:
            raise not_found("upload", "upload_not_found")
        if row.file_id is None and row.expires_s < time.time():
            raise Problem(410, "This upload has expired.", code="upload_expired", hint="Begin again.")
        return row

    async def append(
        self,
        user_id: str,
        upload_id: str,
        offset: int,
        body: AsyncIterator[bytes],
        checksum: Checksum | None,
        *,
        announced_bytes: int = 0,
    ) -> ResumableUpload:
        """Write a piece that begins at `offset`; store the file when it is whole.

        What came before a broken line is kept, except under a checksum, which is of the whole piece.

        Raises:
            Problem: 404, 409 wrong offset, 410, 413 longer than was said, 423 another piece is being written, 460
                another content than the checksum's.
            InputError: the whole file is no media, or is over a limit; the upload is gone.
            StorageFull: no room.
        """
        row = await self.get(user_id, upload_id)
        if row.file_id is not None:
            _check_offset(row, offset)
            return row
        with self._locked(upload_id) as file:
            row = await self.get(user_id, upload_id)  # as it is now that nobody else writes
            _check_offset(row, offset)
            if row.file_id is not None:
                return row
            if offset + announced_bytes > row.size_bytes:
                raise _too_long()
            if os.fstat(file.fileno()).st_size < row.offset_bytes:
                raise _lost()
            await asyncio.to_thread(_cut, file, row.offset_bytes)
            at = row.offset_bytes
            digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
            try:
                async for block in body:
                    if at + len(block) > row.size_bytes:
                        raise _too_long()
                    file.write(block)
                    at += len(block)
                    if digest is not None:
                        digest.update(block)
                    elif at - row.offset_bytes >= COMMIT_BYTES and at < row.size_bytes:
                        row = await self._commit(row, file, at)
            except ClientDisconnect:
                if digest is None and at < row.size_bytes:
                    row = await self._commit(row, file, at)
                if at < row.size_bytes or digest is not None:
                    return row
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise StorageFull("The disk is full.", hint="Go on when there is room.") from error
                raise
            if checksum is not None and digest is not None and digest.digest() != checksum.digest:
                raise Problem(
                    460, "The content is not what its checksum says.", code="checksum_mismatch", retryable=True
                )
            if at < row.size_bytes:
                return await self._commit(row, file, at)
            await asyncio.to_thread(_sync, file)
            return await self._finish(row)

    async def end(self, user_id: str, upload_id: str) -> None:
        """Forget an upload and what came of it. The file of a finished one stays.

        Raises:
            Problem: 404, 410, 423.
        """
        await self.get(user_id, upload_id)
        if not self._path(upload_id).exists():  # finished, or lost: nobody writes
            await self._forget([upload_id])
            return
        with self._locked(upload_id):
            await self._forget([upload_id])

    async def sweep(self, now_s: float) -> int:
        """Forget what has expired. Returns how many."""
        async with self._db.read() as session:
            old = select(ResumableUpload.id).where(col(ResumableUpload.expires_s) < now_s).limit(_AT_ONCE)
            ids = list((await session.exec(old)).all())
        await self._forget(ids)
        return len(ids)

    async def _commit(self, row: ResumableUpload, file: BinaryIO, offset: int) -> ResumableUpload:
        await asyncio.to_thread(_sync, file)
        return await self._write(row, offset_bytes=offset, expires_s=time.time() + KEEP_S)

    async def _finish(self, row: ResumableUpload) -> ResumableUpload:
        path = self._path(row.id)
        received = Received(path=path, filename=row.filename, size_bytes=row.size_bytes)
        try:
            stored = await self._uploads.keep(row.user_id, received, file_id=row.id)
        except (InputError, MediaError):
            await self._forget([row.id])
            raise
        row = await self._write(row, offset_bytes=row.size_bytes, file_id=stored.id)
        path.unlink(missing_ok=True)
        return row

    async def _write(self, row: ResumableUpload, **values: object) -> ResumableUpload:
        async with self._db.begin() as session:
            await session.exec(update(ResumableUpload).where(col(ResumableUpload.id) == row.id).values(**values))
        return row.model_copy(update=values)

    async def _forget(self, ids: list[str]) -> None:
        async with self._db.begin() as session:
            await session.exec(delete(ResumableUpload).where(col(ResumableUpload.id).in_(ids)))
        for upload_id in ids:
            self._path(upload_id).unlink(missing_ok=True)

    def _path(self, upload_id: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._folder / f"{uuid.UUID(upload_id)}.part"

    @contextmanager
    def _locked(self, upload_id: str) -> Iterator[BinaryIO]:
        """The file of an upload, which nobody else writes; the kernel gives the lock up when the process dies."""
        try:
            # Never made anew: what was counted would come back as zeros.
            descriptor = os.open(self._path(upload_id), os.O_RDWR)
        except FileNotFoundError as error:
            raise _lost() from error
        with os.fdopen(descriptor, "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Problem(
                    423, "Another piece of this upload is being written.", code="upload_busy", retryable=True
                ) from error
            yield file


def _too_long() -> Problem:
    return Problem(413, "This is longer than the upload was said to be.", code="upload_too_long")


def _check_offset(row: ResumableUpload, offset: int) -> None:
    if offset != row.offset_bytes:
        raise Problem(
            409,
            "The upload does not stand at this offset.",
            code="upload_offset",
            hint="Ask for the offset (HEAD) and go on from there.",
            details={"offset": row.offset_bytes},
        )


def _lost() -> Problem:
    return Problem(410, "The pieces of this upload are not here any more.", code="upload_lost", hint="Begin again.")


def _cut(file: BinaryIO, length: int) -> None:
    file.truncate(length)
    file.seek(length)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
