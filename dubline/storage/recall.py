"""Records that only save work: one that cannot be read is as good as none."""

from __future__ import annotations

import logging
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from dubline.storage.base import ArtifactStore

_log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)


def recall(store: ArtifactStore, record: str, shape: type[M]) -> M | None:
    """What is remembered under a record's name; None where nothing is, or it was written by another version.

    Args:
        store: Where the records are.
        record: Its name.
        shape: What it holds.

    Raises:
        StorageError: The store does not answer.
    """
    data = store.get_record(record)
    if data is None:
        return None
    try:
        return shape.model_validate_json(data)
    except ValidationError:
        _log.warning("The record %s is not of this version and is made anew.", record)
        return None
