"""Downloads that go on where they were cut and are checked against their hash."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import httpx

from dubline.client.resources import Artifact
from dubline.client.transport import Transport, refusal, retry_after_s
from dubline.errors import ApiError

_CHUNK_BYTES = 1 << 20
_ATTEMPTS = 8


async def fetch(
    transport: Transport, path: str, artifact: Artifact, target: Path, told: Callable[[int, int], None]
) -> Path:
    """Write an artifact to `target`, whole or not at all; what an earlier attempt left is used.

    Args:
        transport: The service.
        path: The artifact's path there.
        artifact: What it must be.
        target: A file, written over.
        told: Called with the bytes that are here, and all.

    Raises:
        ApiError: `download_cut` when the line is cut too often, `download_corrupt` when the content is not what was
            promised, or the service's refusal.
    """
    # Named after the content: a part of something else is never taken up.
    part = target.with_name(f".{artifact.sha256[:16]}.part")
    fresh_tries = 0
    for attempt in range(_ATTEMPTS):
        have = part.stat().st_size if part.exists() else 0
        if have < artifact.size_bytes:
            pause_s = await _receive(transport, path, artifact, part, have, told)
            if pause_s is not None:
                await asyncio.sleep(pause_s or transport.pause_s(attempt))
                continue
        if await asyncio.to_thread(_sha256, part) == artifact.sha256:
            os.replace(part, target)
            return target
        part.unlink()
        fresh_tries += 1
        if fresh_tries > 1:
            raise ApiError("What was downloaded is not what was promised.", code="download_corrupt", retryable=True)
    raise ApiError(
        "The download was cut again and again.",
        code="download_cut",
        hint="The same command goes on where it stopped.",
        retryable=True,
    )


async def _receive(
    transport: Transport, path: str, artifact: Artifact, part: Path, have: int, told: Callable[[int, int], None]
) -> float | None:
    """Add to the part. None when all is here, else the seconds to wait before the next try (0: it did not say)."""
    headers = {"Range": f"bytes={have}-", "If-Range": f'"{artifact.sha256}"'} if have else {}
    try:
        async with transport.http.stream("GET", path, headers=headers) as answer:
            if answer.status_code == 429 or answer.status_code >= 500:
                return retry_after_s(answer) or 0.0
            if answer.is_error:
                await answer.aread()
                raise refusal(answer)
            with part.open("ab" if answer.status_code == 206 else "wb") as file:
                async for chunk in answer.aiter_bytes(_CHUNK_BYTES):
                    file.write(chunk)
                    told(file.tell(), artifact.size_bytes)
                have = file.tell()
    except httpx.TransportError:
        return 0.0
    return None if have >= artifact.size_bytes else 0.0


def _sha256(path: Path) -> str:
    if not path.exists():  # nothing to receive: an empty artifact
        path.touch()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
