"""Result records: believed only when they are plain and what they name is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.results import ResultRecord, ResultRecordMetadata
from prefect.serializers import JSONSerializer

from dubline.models import StageStats
from dubline.storage.local import LocalStore
from tasks import _policies, result_store
from tasks.extract_audio import BedResult
from tasks.result_store import VerifyingResultStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    local = LocalStore(tmp_path / "artifacts")
    monkeypatch.setattr(_policies, "store", lambda: local)
    monkeypatch.setattr(result_store, "store", lambda: local)
    return local


@pytest.fixture
def block(tmp_path: Path) -> VerifyingResultStore:
    return VerifyingResultStore(folder=str(tmp_path / "results"))


def _record(store: LocalStore) -> bytes:
    result = BedResult(
        bed=store.put_bytes(b"bed", "audio/wav"),
        measured=store.put_bytes(b"measured", "application/octet-stream"),
        levels=store.put_bytes(b"levels", "application/octet-stream"),
        rate_hz=48_000,
        samples=1,
        stats=StageStats(stage="extract"),
    )
    return ResultRecord(
        result=result, metadata=ResultRecordMetadata(serializer=JSONSerializer(), storage_key="extract/v1/abc")
    ).serialize()


def _read(block: VerifyingResultStore, key: str) -> bytes:
    return block.read_path(key)


def test_a_whole_record_comes_back(store: LocalStore, block: VerifyingResultStore) -> None:
    block.write_path("extract/v1/abc", _record(store))
    loaded: ResultRecord[Any] = ResultRecord.deserialize(_read(block, "extract/v1/abc"))
    assert isinstance(loaded.result, BedResult)


@pytest.mark.parametrize("harm", ["gone", "flipped"])
def test_a_record_whose_artifact_is_not_whole_is_a_miss(
    store: LocalStore, block: VerifyingResultStore, harm: str
) -> None:
    block.write_path("extract/v1/abc", _record(store))
    path = store.fetch(store.put_bytes(b"bed", "audio/wav"))
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"bad")
    with pytest.raises(FileNotFoundError):
        _read(block, "extract/v1/abc")


@pytest.mark.parametrize(
    "poison",
    [
        {"serializer": {"type": "pickle"}},
        {"serializer": {"jsonlib": "os"}},
        {"serializer": {"object_decoder": "os.system"}},
        {"serializer": {"loads_kwargs": {"object_pairs_hook": "os.system"}}},
        {"class": "subprocess.Popen"},
        {"class": "tasks._policies.store"},
        {"class": "dubline.models.ArtifactRef"},
    ],
)
def test_a_poisoned_record_is_refused(store: LocalStore, block: VerifyingResultStore, poison: dict[str, Any]) -> None:
    record = json.loads(_record(store))
    record["metadata"]["serializer"].update(poison.get("serializer", {}))
    if "class" in poison:
        inner = json.loads(record["result"]) if isinstance(record["result"], str) else record["result"]
        inner["__class__"] = poison["class"]
        record["result"] = json.dumps(inner) if isinstance(record["result"], str) else inner
    block.write_path("extract/v1/abc", json.dumps(record).encode())
    with pytest.raises(ValueError, match="result record"):
        _read(block, "extract/v1/abc")


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../b", ""])
def test_keys_stay_inside(block: VerifyingResultStore, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        _read(block, key)
