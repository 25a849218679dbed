"""The built-in clip of the simulated engines: made by the service, stored like an upload, the same for every job."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from api.tables import StoredFile
from dubline.media.probe import probe
from dubline.settings import Settings

if TYPE_CHECKING:
    from api.service import Service

_SPACE = uuid.UUID("1d8f0b7c-1f0e-5d5b-8a0e-9c1f6f5a2b10")
CLIP_NAME = "simulated.mp4"


async def built_in_file(service: Service, user_id: str) -> StoredFile:
    """The clip as a stored file of the user; made and stored when first asked for."""
    file_id = str(uuid.uuid5(_SPACE, user_id))
    async with service.db.read() as session:
        row = await session.get(StoredFile, file_id)
    if row is not None:
        return row

    def make():
        service.settings.work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=service.settings.work_dir) as folder:
            path = Path(folder) / CLIP_NAME
            _speak(path, service.settings)
            media = probe(path, service.settings)
            return service.store.put_file(path, "application/octet-stream"), media

    ref, media = await asyncio.to_thread(make)
    row = StoredFile(
        id=file_id,
        user_id=user_id,
        filename=CLIP_NAME,
        size_bytes=ref.size_bytes,
        sha256=ref.sha256,
        media_type="video",
        duration_s=media.duration_s,
        media=media.model_dump(mode="json"),
        created_s=time.time(),
    )
    await service.uploads.record(row)
    return row


def _speak(path: Path, settings: Settings) -> None:
    """In a process of its own: the voice, and what it needs, would stay in this one's memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(_make, path, settings).result()


def _make(path: Path, settings: Settings) -> None:
    from dubline.sample import SHORT_TEXT, make_sample

    make_sample(path, settings, text=SHORT_TEXT, engine="espeak")
