"""What a render leaves to the next of the same source and language: a file, and what is known of it."""

from __future__ import annotations

import hashlib
import json
from typing import TypeVar

from dubline.models import ArtifactRef, Frozen
from dubline.storage.recall import recall
from tasks._policies import store


class Kept(Frozen):
    """A file that was made before; each stage adds what it knows of it."""

    file: ArtifactRef


K = TypeVar("K", bound=Kept)


def record_of(folder: str, *parts: str | int) -> str:
    """Where it is kept; `parts` are what the render shares with the next, and the version of what is kept."""
    return f"{folder}/{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.json"


def keep(record: str, kept: Kept) -> None:
    """Leave it to the next render. Of two at once, one is remembered."""
    store().put_record(record, kept.model_dump_json().encode())


def find(record: str, shape: type[K], *, refresh: bool) -> K | None:
    """What was left, while its file is there; nothing where all is to be made anew, or its shape is not today's."""
    kept = None if refresh else recall(store(), record, shape)
    return kept if kept is not None and store().holds(kept.file) else None
