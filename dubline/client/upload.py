"""Uploads that go on where they were cut (tus 1.0)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx

from dubline.client.resources import StoredFile
from dubline.client.transport import Transport, refusal, retry_after_s
from dubline.errors import ApiError

_TUS = {"Tus-Resumable": "1.0.0"}
_BLOCK_BYTES = 1 << 20
_ATTEMPTS = 8
_STORE_S = 3600.0
"""The last piece is answered when the service has looked into the file and stored it."""
_BUSY = frozenset((409, 423))


async def send(transport: Transport, file: Path, filename: str, told: Callable[[int, int], None]) -> StoredFile:
    """Store a file's content under a name.

    Args:
        transport: The service.
        file: What is sent.
        filename: Its name there.
        told: Called with the bytes that were sent, and all.

    Raises:
        ApiError: `upload_cut` when the line is cut again and again without progress, or the service's refusal.
    """
    size_bytes = file.stat().st_size
    name = base64.b64encode(filename.encode()).decode()
    headers = {**_TUS, "Upload-Length": str(size_bytes), "Upload-Metadata": f"filename {name}"}
    made = await transport.call("POST", "/api/v1/uploads", headers=headers)
    at = made.headers["Location"]
    offset = failures = 0
    while failures < _ATTEMPTS:
        pause_s = await _append(transport, at, file, offset, size_bytes, told)
        if pause_s is None:
            return StoredFile.model_validate((await transport.call("GET", at)).json()["file"])
        await asyncio.sleep(pause_s or transport.pause_s(failures))
        seen = int((await transport.call("HEAD", at, headers=_TUS)).headers["Upload-Offset"])
        failures = 0 if seen > offset else failures + 1
        offset = seen
        if offset == size_bytes:
            return StoredFile.model_validate((await transport.call("GET", at)).json()["file"])
    raise ApiError(
        "The upload was cut again and again.",
        code="upload_cut",
        hint="Try again when the line is better.",
        retryable=True,
    )


async def _append(
    transport: Transport, at: str, file: Path, offset: int, size_bytes: int, told: Callable[[int, int], None]
) -> float | None:
    """Send what is left. None when all is there, else the seconds to wait before the next try (0: nobody said)."""
    headers = {
        **_TUS,
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(size_bytes - offset),
        "Upload-Offset": str(offset),
    }
    try:
        answer = await transport.http.patch(
            at,
            content=_blocks(file, offset, lambda sent: told(sent, size_bytes)),
            headers=headers,
            timeout=httpx.Timeout(transport.timeout_s, read=_STORE_S),
        )
    except httpx.TransportError:
        return 0.0
    if answer.status_code in _BUSY or answer.status_code == 429 or answer.status_code >= 500:
        return retry_after_s(answer) or 0.0
    if answer.is_error:
        raise refusal(answer)
    return None


async def _blocks(file: Path, offset: int, told: Callable[[int], Any]) -> AsyncIterator[bytes]:
    with file.open("rb") as content:
        content.seek(offset)
        while block := await asyncio.to_thread(content.read, _BLOCK_BYTES):
            yield block
            told(content.tell())
