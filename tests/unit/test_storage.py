"""The local store: whole objects or none, verified content, nothing left behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dubline.errors import ArtifactMissing, StorageError, StorageFull
from dubline.models import ArtifactRef, EngineChoice, Line, Spoken, Utterance
from dubline.stages.synthesize import line_key, stored_line
from dubline.storage.export import file_name
from dubline.storage.local import LocalStore, sweep_temporaries
from dubline.storage.work import sweep_work, work_folder


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_content_comes_back_and_is_kept_once(store: LocalStore, tmp_path: Path) -> None:
    first = store.put_bytes(b"voice", "audio/wav")
    (tmp_path / "same").write_bytes(b"voice")
    assert store.put_file(tmp_path / "same", "audio/wav") == first
    assert store.fetch(first).read_bytes() == b"voice"
    assert len([p for p in (tmp_path / "store").rglob("*") if p.is_file()]) == 1


def test_a_flipped_byte_is_a_missing_artifact(store: LocalStore) -> None:
    ref = store.put_bytes(b"voice", "audio/wav")
    path = store.fetch(ref)
    path.write_bytes(b"vOice")
    assert not store.holds(ref)
    with pytest.raises(ArtifactMissing):
        store.fetch(ref)
    assert store.put_bytes(b"voice", "audio/wav") == ref
    assert store.holds(ref)


def test_disk_full_leaves_nothing(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        store.put_bytes(b"x" * 4096, "audio/wav")
    assert [p for p in (tmp_path / "store").rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    "uri", ["artifact:blobs/aa/../../etc/passwd", "file:///etc/passwd", "artifact:blobs/aa/" + "b" * 64]
)
def test_foreign_references_are_refused(store: LocalStore, uri: str) -> None:
    with pytest.raises(ArtifactMissing):
        store.fetch(ArtifactRef(uri=uri, sha256="c" * 64, size_bytes=1, media_type="x/y"))


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a", "jobs/../../x", "jobs/.hidden"])
def test_record_names_are_checked(store: LocalStore, name: str) -> None:
    with pytest.raises(StorageError):
        store.put_record(name, b"{}")


def test_leftovers_of_dead_processes_are_swept(store: LocalStore, tmp_path: Path) -> None:
    store.put_bytes(b"x", "a/b")
    dead = 2**22 + 1  # above the kernel's largest pid
    (tmp_path / "store" / "blobs" / f".{dead}-abc").write_bytes(b"half")
    alive = tmp_path / "store" / "blobs" / f".{os.getpid()}-abc"
    alive.write_bytes(b"half")
    assert sweep_temporaries(tmp_path / "store") == 1
    assert alive.exists()
    work = tmp_path / "work"
    (work / f"{dead}-x").mkdir(parents=True)
    with work_folder(work) as folder:
        assert sweep_work(work) == 1
        assert folder.exists()
    assert not folder.exists()


def test_a_spoken_line_of_another_version_is_none(store: LocalStore) -> None:
    choice = EngineChoice(kind="tts", engine="e", model="", version="1", fingerprint="f", voice="v")
    line = Line(utterance=Utterance(id="u0", start_s=0, end_s=1, slot_end_s=1, text="One."), text="Um.")
    record = f"utterances/{line_key(line.text, 'pt-BR', choice)}.json"
    for data in (b"{}", b"no JSON", b'{"utterance_id": "u0", "samples": "many"}'):
        store.put_record(record, data)
        assert stored_line(line, choice, store, language="pt-BR") is None
    spoken = Spoken(utterance_id="u9", audio=None, samples=0, sample_rate_hz=24_000, engine="e", voice="v")
    store.put_record(record, spoken.model_dump_json().encode())
    assert stored_line(line, choice, store, language="pt-BR") == spoken.model_copy(update={"utterance_id": "u0"})


def test_long_names_are_cut_to_what_a_file_system_takes() -> None:
    name = file_name("é" * 200, "pt-BR.bilingual.srt")
    assert len(os.fsencode(name)) <= 255
    assert name.endswith(".pt-BR.bilingual.srt")
    assert file_name("talk", "pt-BR.srt") == "talk.pt-BR.srt"
