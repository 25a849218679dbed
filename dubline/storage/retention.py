"""What is thrown away: results older than people want them kept, and objects that no record names any more."""

from __future__ import annotations

import re
import time
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

from dubline.models import Frozen
from dubline.storage.base import ArtifactStore
from dubline.storage.work import sweep_work

GRACE_S = 24 * 3600.0
"""Age below which an object is kept though nothing names it: a run may be about to."""

_DIGEST = re.compile(rb"\b[0-9a-f]{64}\b")
_DATED = ("jobs", "utterances", "heard", "back", "tracks", "mixes", "sounds")
_LIVING = (*_DATED, "uploads")


class Swept(Frozen):
    """What a sweep removed."""

    results: int = 0
    records: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    temporaries: int = 0


def sweep(
    store: ArtifactStore,
    results_dir: Path,
    work_dir: Path,
    *,
    retention_s: float,
    keep: Set[str] = frozenset(),
    grace_s: float = GRACE_S,
    now_s: float | None = None,
) -> Swept:
    """Remove cached results and records past their time, then objects that nothing names.

    Uploads are named by records of their own, which their owner removes; their content stays as long as those.

    Args:
        store: Where artifacts and records lie.
        results_dir: Prefect's result records, JSON files.
        work_dir: Work folders; those of dead processes go.
        retention_s: How long results and records are kept.
        keep: Digests that somebody else still names.
        grace_s: How long an object that nothing names is kept.
        now_s: Seconds since the epoch; for tests.
    """
    now_s = time.time() if now_s is None else now_s
    named = set(keep)
    results = _sweep_results(results_dir, now_s - retention_s, named)
    records = 0
    for folder in _LIVING:
        for record in list(store.records(folder)):
            if folder in _DATED and record.modified_s < now_s - retention_s:
                store.delete_record(record.name)
                records += 1
            else:
                named |= _digests(store.get_record(record.name) or b"")
    blobs = [b for b in store.blobs() if b.sha256 not in named and b.modified_s < now_s - grace_s]
    store.delete_many(b.sha256 for b in blobs)
    # Whose process is on another host only seems dead, so what is young stays.
    temporaries = sweep_work(work_dir, grace_s) + store.sweep_unfinished(grace_s)
    return Swept(
        results=results,
        records=records,
        blobs=len(blobs),
        blob_bytes=sum(b.size_bytes for b in blobs),
        temporaries=temporaries,
    )


def _sweep_results(folder: Path, before_s: float, named: set[str]) -> int:
    """Remove old result records; add what the others name."""
    removed = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if not path.is_file():
                continue
            if path.stat().st_mtime < before_s:
                path.unlink()
                removed += 1
            else:
                named |= _digests(path.read_bytes())
    return removed


def _digests(data: bytes) -> set[str]:
    return {m.decode() for m in _DIGEST.findall(data)}
