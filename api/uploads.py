"""Uploads: multipart read as a stream, hashed on the way, probed, stored. Nothing is held in memory."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import shutil
import time
import unicodedata
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from api.db import Database
from api.problems import Problem, not_found
from api.tables import StoredFile
from dubline.errors import StorageFull
from dubline.media.probe import check_dubbable, probe
from dubline.models import MediaInfo
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore
from dubline.storage.work import work_folder

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FIELD_BYTES = 64 * 1024
_MOST_FIELDS = 100
_SPARE_BYTES = 64 * 1024**2
_NAME_CHARS = 255


@dataclass
class Received:
    """A form as it came: its file on disk and its other fields."""

    path: Path
    filename: str = ""
    size_bytes: int = 0
    sha256: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class Uploads:
    """Stores what people send, for their user."""

    def __init__(self, db: Database, store: ArtifactStore, settings: Settings) -> None:
        self._db, self._store, self._settings = db, store, settings

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Received]:
        """Read a multipart form with one file in it; the file is gone when the block ends.

        Raises:
            Problem: 400 no such form, 413 too large, 422 no file in it, 507 no room.
        """
        boundary = _boundary(request)
        said = request.headers.get("content-length")
        most = self._settings.max_upload_bytes
        if said is not None and said.isdigit():
            if int(said) > most + _MOST_FIELDS * _FIELD_BYTES:
                raise too_large(most)
            check_room(self._settings.work_dir, int(said))
        with work_folder(self._settings.work_dir) as folder:
            received = Received(path=folder / "upload")
            with received.path.open("wb") as file:
                form = _Form(received, file, most)
                parser = MultipartParser(boundary, form.callbacks())
                try:
                    async for block in request.stream():
                        # Parsing and writing one block takes well under a millisecond.
                        parser.write(block)
                    parser.finalize()
                except FormParserError as error:
                    raise _bad_form("The form is not well-formed.") from error
                except ClientDisconnect as error:
                    raise _bad_form("The upload was broken off.") from error
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                        raise StorageFull("The disk is full.", hint="Try again when there is room.") from error
                    raise
            if not form.is_whole:
                raise _bad_form("The form ends too early.")
            if not form.has_file:
                raise Problem(
                    422,
                    "The form holds no file.",
                    code="file_missing",
                    hint="Send the video in the field called file.",
                    errors=[("file", "is missing")],
                )
            received.sha256 = form.digest.hexdigest()
            yield received

    async def keep(self, user_id: str, received: Received, *, file_id: str | None = None) -> StoredFile:
        """Probe a received file, store its content and record it.

        Raises:
            InputError: it is no media, or over a limit, or has nothing to dub.
            StorageFull: no room; nothing half-written is left.
        """

        def work() -> tuple[MediaInfo, str]:
            media = probe(received.path, self._settings)
            check_dubbable(media)
            ref = self._store.put_file(received.path, "application/octet-stream")
            return media, ref.sha256

        media, sha256 = await asyncio.to_thread(work)
        row = StoredFile(
            id=file_id or str(uuid.uuid4()),
            user_id=user_id,
            filename=received.filename,
            size_bytes=received.size_bytes,
            sha256=sha256,
            media_type="video" if media.video is not None else "audio",
            duration_s=media.duration_s,
            media=media.model_dump(mode="json"),
            created_s=time.time(),
        )
        await self.record(row)
        return row

    async def record(self, row: StoredFile) -> None:
        """Write the row, and the record that tells the sweep that somebody names this content."""
        note = f'{{"ref": {{"sha256": "{row.sha256}"}}}}'.encode()
        await asyncio.to_thread(self._store.put_record, upload_record(row.id), note)
        async with self._db.begin() as session:
            await session.merge(row)

    async def get(self, user_id: str, file_id: str) -> StoredFile:
        """One of the user's files.

        Raises:
            Problem: 404.
        """
        async with self._db.read() as session:
            row = await session.get(StoredFile, file_id)
        if row is None or row.user_id != user_id:
            raise not_found("file", "file_not_found")
        return row


class _Form:
    """Callbacks of the parser: fields into a dictionary, the file straight to disk."""

    def __init__(self, received: Received, file: BinaryIO, most_bytes: int) -> None:
        self._received, self._file, self._most = received, file, most_bytes
        self._header = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._in_file = False
        self._text = bytearray()
        self.digest = hashlib.sha256()
        self.has_file = False
        self.is_whole = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._part_begin,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._headers = {}
        self._text.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        self._in_file = filename is not None
        if filename is not None:
            if self.has_file or self._name != "file":
                raise Problem(
                    422, "Send one file, in the field called file.", code="file_field", errors=[("file", "only one")]
                )
            self.has_file = True
            self._received.filename = clean_name(filename.decode("utf-8", "replace"))
        elif len(self._received.fields) >= _MOST_FIELDS:
            raise _bad_form("The form has too many fields.")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._in_file:
            if len(self._text) + end - start > _FIELD_BYTES:
                raise Problem(413, "A field of the form is too long.", code="field_too_long")
            self._text += data[start:end]
            return
        self._received.size_bytes += end - start
        if self._received.size_bytes > self._most:
            raise too_large(self._most)
        piece = memoryview(data)[start:end]
        self.digest.update(piece)
        self._file.write(piece)

    def _part_end(self) -> None:
        if not self._in_file and self._name:
            self._received.fields[self._name[:_NAME_CHARS]] = self._text.decode("utf-8", "replace")

    def _end(self) -> None:
        self.is_whole = True


def clean_name(name: str) -> str:
    """A file name to show and to offer: no folder, no control or direction characters, not too long.

    It is never used as a path here.
    """
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    name = "".join(c for c in name if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    name = name.strip().strip(".") or "video"
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        return name[:_NAME_CHARS]
    return f"{stem[: _NAME_CHARS - len(suffix) - 1]}.{suffix}"


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 70:
        raise Problem(
            422,
            "An upload is a multipart/form-data request with a file in it.",
            code="file_missing",
            errors=[("file", "is missing")],
        )
    return boundary


def check_room(folder: Path, size_bytes: int) -> None:
    """Raise `StorageFull` unless a file of this size, and a little more, fits beside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < size_bytes + _SPARE_BYTES:
        raise StorageFull("There is no room for this file.", hint="Try again when there is room.")


def too_large(most_bytes: int) -> Problem:
    """413, with the limit."""
    return Problem(
        413,
        "This file is larger than is allowed.",
        code="upload_too_large",
        details={"limit": "size_bytes", "max": most_bytes},
    )


def _bad_form(message: str) -> Problem:
    return Problem(400, message, code="form_invalid")


def upload_record(file_id: str) -> str:
    """Name of the record that keeps an upload's content from the sweep."""
    return f"uploads/{file_id}.json"


def storage_path(row: StoredFile) -> str:
    """The path-like name under which a stored file is offered to clients; no such path exists on a disk."""
    suffix = os.path.splitext(row.filename)[1].lower()
    return (
        f"uploads/{row.user_id}/{row.media_type}/{row.id}{suffix if re.fullmatch(r'[.][a-z0-9]{1,5}', suffix) else ''}"
    )
