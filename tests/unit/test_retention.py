"""The sweep: old results go, what a record names stays, what is new stays."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

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
