"""The sweep: old results go, what a record names stays, what is new stays."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from dubline.storage.local import LocalStore
from dubline.storage.retention import sweep

_DAY_S = 24 * 3600.0


def _age(path: Path, days: float) -> None:
    at_s = time.time() - days * _DAY_S
    os.utime(path, (at_s, at_s))


def test_what_nothing_names_goes_and_the_rest_stays(tmp_path: Path) -> None:
    store, results = LocalStore(tmp_path / "store"), tmp_path / "results"
    refs = {
        name: store.put_bytes(name.encode(), "text/plain") for name in ("upload", "cached", "expired", "orphan", "new")
    }
    for name, ref in refs.items():
        if name != "new":
            _age(store.fetch(ref), 40)
    results.mkdir()
    for name, days in (("cached", 5), ("expired", 31)):
        (results / name).write_text(json.dumps({"ref": refs[name].model_dump()}))
        _age(results / name, days)
    store.put_record("uploads/f1.json", json.dumps({"ref": {"sha256": refs["upload"].sha256}}).encode())
    store.put_record("jobs/j1/manifest.json", b"{}")
    _age(tmp_path / "store/records/uploads/f1.json", 400)
    _age(tmp_path / "store/records/jobs/j1/manifest.json", 31)
    swept = sweep(store, results, tmp_path / "work", retention_s=30 * _DAY_S)
    assert (swept.results, swept.records, swept.blobs, swept.blob_bytes) == (1, 1, 2, len(b"expired" + b"orphan"))
    assert {b.sha256 for b in store.blobs()} == {refs[n].sha256 for n in ("upload", "cached", "new")}
    assert [r.name for r in store.records("uploads")] == ["uploads/f1.json"]
    assert sweep(store, results, tmp_path / "work", retention_s=30 * _DAY_S).blobs == 0


@pytest.mark.parametrize("folder", ["utterances", "heard", "back", "tracks", "sounds"])
def test_what_a_render_remembers_keeps_its_artifact_until_its_time_is_over(tmp_path: Path, folder: str) -> None:
    store = LocalStore(tmp_path / "store")
    ref = store.put_bytes(b"remembered", "audio/aac")
    store.put_record(f"{folder}/a.json", ref.model_dump_json().encode())
    _age(store.fetch(ref), 40)
    assert sweep(store, tmp_path / "results", tmp_path / "work", retention_s=30 * _DAY_S).blobs == 0
    _age(tmp_path / f"store/records/{folder}/a.json", 31)
    swept = sweep(store, tmp_path / "results", tmp_path / "work", retention_s=30 * _DAY_S)
    assert (swept.records, swept.blobs) == (1, 1)


def test_what_somebody_else_names_or_puts_again_stays(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    kept, renewed, lost = (store.put_bytes(text, "text/plain") for text in (b"kept", b"renewed", b"lost"))
    for ref in (kept, renewed, lost):
        _age(store.fetch(ref), 40)
    store.put_bytes(b"renewed", "text/plain")
    sweep(store, tmp_path / "results", tmp_path / "work", retention_s=30 * _DAY_S, keep={kept.sha256})
    assert {b.sha256 for b in store.blobs()} == {kept.sha256, renewed.sha256}


def test_work_of_dead_processes_goes_once_it_is_old(tmp_path: Path) -> None:
    store, dead = LocalStore(tmp_path / "store"), 2**22 + 1  # above the kernel's largest pid
    (tmp_path / "store/blobs").mkdir()
    half = tmp_path / "store/blobs" / f".{dead}-x"
    half.write_bytes(b"half")
    for name, days in (("old", 2), ("young", 0)):
        (tmp_path / f"work/{dead}-{name}").mkdir(parents=True)
        _age(tmp_path / f"work/{dead}-{name}", days)
    _age(half, 2)
    swept = sweep(store, tmp_path / "results", tmp_path / "work", retention_s=30 * _DAY_S)
    assert swept.temporaries == 2
    assert not half.exists()
    assert [p.name for p in (tmp_path / "work").iterdir()] == [f"{dead}-young"]
