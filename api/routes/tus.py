"""Resumable uploads at `/api/v1/uploads`, by tus 1.0 (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import binascii
from email.utils import formatdate
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import BaseModel, Field

from api.deps import Svc, UserId
from api.problems import RESPONSES, Problem, problem_answer
from api.resources import iso
from api.resumable import ALGORITHMS, Checksum
from api.routes.uploads import UploadedFile, file_resource
from api.tables import ResumableUpload

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration,checksum"
PIECE = "application/offset+octet-stream"
_OWN = {status: problem_answer(status) for status in (410, 412, 415, 423, 460)}

router = APIRouter(prefix="/api/v1/uploads", tags=["uploads"], responses={**RESPONSES, **_OWN})

UploadId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", description="Id of an upload.")]
Version = Annotated[str | None, Header(alias="Tus-Resumable", max_length=20, description="`1.0.0`")]
Length = Annotated[int | None, Header(alias="Upload-Length", ge=1, lt=2**62, description="Bytes of the whole file.")]
Offset = Annotated[int | None, Header(alias="Upload-Offset", ge=0, lt=2**62, description="Where the piece begins.")]
Metadata = Annotated[str, Header(alias="Upload-Metadata", max_length=4000, description="`filename <base64>`, …")]
Sum = Annotated[str | None, Header(alias="Upload-Checksum", max_length=200, description="`sha1 <base64>`")]
_BODY = {"requestBody": {"content": {PIECE: {"schema": {"type": "string", "format": "binary"}}}}}


class UploadState(BaseModel):
    """Where an upload stands. `file_id` and `file` are there when it is whole: a job can be made of it."""

    upload_id: str
    filename: str
    size_bytes: int
    offset_bytes: int
    file_id: str | None
    file: UploadedFile | None
    expires_at: str | None = Field(description="Of an upload that nobody goes on with.")


@router.options("", status_code=204, response_class=Response, summary="What the server can do")
async def options(service: Svc) -> Response:
    return Response(
        status_code=204,
        headers={
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(service.settings.max_upload_bytes),
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        },
    )


@router.post("", status_code=201, response_class=Response, summary="Begin a resumable upload")
async def create(
    service: Svc, user_id: UserId, version: Version = None, length: Length = None, metadata: Metadata = ""
) -> Response:
    """`Location` is where its pieces go."""
    _check_version(version)
    if length is None:
        raise Problem(400, "Upload-Length is missing.", code="upload_length", hint="Say how long the file is.")
    row = await service.resumable.create(user_id, size_bytes=length, filename=_filename(metadata))
    return Response(status_code=201, headers={"Location": f"{router.prefix}/{row.id}", **_headers(row)})


@router.head("/{upload_id}", response_class=Response, summary="How much of it has come")
async def head(upload_id: UploadId, service: Svc, user_id: UserId, version: Version = None) -> Response:
    _check_version(version)
    row = await service.resumable.get(user_id, upload_id)
    return Response(headers={"Upload-Length": str(row.size_bytes), **_headers(row)})


@router.get("/{upload_id}", summary="The same as JSON, with the id of the file when it is whole")
async def state(upload_id: UploadId, service: Svc, user_id: UserId) -> UploadState:
    row = await service.resumable.get(user_id, upload_id)
    return UploadState(
        upload_id=row.id,
        filename=row.filename,
        size_bytes=row.size_bytes,
        offset_bytes=row.offset_bytes,
        file_id=row.file_id,
        file=file_resource(await service.uploads.get(user_id, row.file_id)) if row.file_id else None,
        expires_at=iso(row.expires_s),
    )


@router.patch(
    "/{upload_id}", status_code=204, response_class=Response, openapi_extra=_BODY, summary="Send the next piece"
)
async def append(
    request: Request,
    upload_id: UploadId,
    service: Svc,
    user_id: UserId,
    version: Version = None,
    offset: Offset = None,
    checksum: Sum = None,
) -> Response:
    """The last piece is answered when the file is probed and stored: 422 when it cannot be dubbed."""
    _check_version(version)
    if request.headers.get("content-type") != PIECE:
        raise Problem(415, f"A piece is sent as {PIECE}.", code="content_type")
    if offset is None:
        raise Problem(400, "Upload-Offset is missing.", code="upload_offset_missing")
    said = request.headers.get("content-length", "")
    announced = int(said) if said.isdigit() else 0
    row = await service.resumable.append(
        user_id, upload_id, offset, request.stream(), _checksum(checksum), announced_bytes=announced
    )
    return Response(status_code=204, headers=_headers(row))


@router.delete("/{upload_id}", status_code=204, response_class=Response, summary="Give it up")
async def end(upload_id: UploadId, service: Svc, user_id: UserId, version: Version = None) -> Response:
    _check_version(version)
    await service.resumable.end(user_id, upload_id)
    return Response(status_code=204)


@router.post("/{upload_id}", include_in_schema=False, response_class=Response)
async def overridden(
    request: Request,
    upload_id: UploadId,
    service: Svc,
    user_id: UserId,
    version: Version = None,
    offset: Offset = None,
    checksum: Sum = None,
) -> Response:
    """For clients behind something that knows only GET and POST."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method == "PATCH":
        return await append(request, upload_id, service, user_id, version, offset, checksum)
    if method == "DELETE":
        return await end(upload_id, service, user_id, version)
    if method == "HEAD":
        return await head(upload_id, service, user_id, version)
    raise Problem(405, "An upload takes PATCH, HEAD, GET and DELETE.", code="method_not_allowed")


def _check_version(version: str | None) -> None:
    if version != VERSION:
        raise Problem(
            412,
            "This service speaks version 1.0.0 of tus.",
            code="tus_version",
            hint="Send Tus-Resumable: 1.0.0.",
            headers={"Tus-Version": VERSION},
        )


def _headers(row: ResumableUpload) -> dict[str, str]:
    headers = {"Upload-Offset": str(row.offset_bytes)}
    if row.file_id is None:
        headers["Upload-Expires"] = formatdate(row.expires_s, usegmt=True)
    return headers


def _filename(metadata: str) -> str:
    """The file name in `Upload-Metadata`: pairs of a key and its value in base64, with commas between."""
    for pair in metadata.split(","):
        key, _, value = pair.strip().partition(" ")
        if key == "filename":
            return _decoded(value, "Upload-Metadata").decode("utf-8", "replace")
    return "video"


def _checksum(text: str | None) -> Checksum | None:
    if text is None:
        return None
    algorithm, _, value = text.partition(" ")
    if algorithm not in ALGORITHMS:
        raise Problem(400, "Upload-Checksum names an unknown algorithm.", code="checksum_algorithm")
    return Checksum(algorithm, _decoded(value, "Upload-Checksum"))


def _decoded(value: str, header: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise Problem(400, f"{header} is not base64.", code="header_invalid") from error
