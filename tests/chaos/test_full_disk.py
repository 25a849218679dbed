"""A disk that fills: while a file comes in, and in the middle of a dub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from dubline.media.probe import probe
from dubline.sample import SHORT_TEXT, make_sample
from dubline.settings import Settings
from dubline.storage.local import LocalStore
from tests.api.conftest import PretendOrchestrator, settings_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]
_SIMULATED = ("--stt", "simulated", "--mt", "simulated", "--tts", "simulated", "--listen", "off")
_FIRST_BYTES, _GROWTH, _STEPS = 150_000, 1.4, 15  # to 16 MB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB, when this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_refuses_uploads_until_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    make_sample(tmp_path / "talk.mp4", settings_for(tmp_path), text=SHORT_TEXT, engine="espeak")
    clip = (tmp_path / "talk.mp4").read_bytes()
    settings = settings_for(small_disk, database_url=f"sqlite:///{tmp_path / 'jobs.db'}")
    store = LocalStore(settings.artifacts_dir)
    with TestClient(create_app(settings, store, PretendOrchestrator())) as client:

        def upload(data: bytes) -> tuple[int, str]:
            def body() -> Iterator[bytes]:  # no length is said, so nothing is known beforehand
                yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
                yield data
                yield b"\r\n--b--\r\n"

            headers = {"Content-Type": "multipart/form-data; boundary=b"}
            answer = client.post("/api/v1/upload", content=body(), headers=headers)
            return answer.status_code, answer.json().get("code", "")

        assert upload(clip + bytes(30_000_000)) == (507, "storage_full")
        assert list(store.blobs()) == []
        assert not list(settings.work_dir.glob("*"))
        (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - len(clip) // 2))
        assert upload(clip) == (507, "storage_full")
        (small_disk / "filler").write_bytes(b"")
        assert upload(clip) == (201, "")


def test_a_dub_on_a_disk_that_fills_is_refused_and_goes_on_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    """With a little more room each time, the disk fills at one stage after another. Prefect has a disk of its own."""
    home, clip, out = tmp_path / "home", tmp_path / "talk.mp4", tmp_path / "out"
    make_sample(clip, settings_for(tmp_path), text=SHORT_TEXT, engine="espeak")
    home.mkdir()
    for name in ("work", "artifacts", "results"):
        (small_disk / name).mkdir()
        (home / name).symlink_to(small_disk / name)
    command = [sys.executable, "-m", "dubline", "dub", str(clip), "--from", "en", "--to", "es", "--out", str(out)]
    refused, cached = 0, 0
    for step in range(_STEPS):
        filler = small_disk / "filler"
        filler.write_bytes(b"")
        room = round(_FIRST_BYTES * _GROWTH**step)
        filler.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - room)))
        done = subprocess.run(
            [*command, "--direct", "--json", *_SIMULATED],
            env={**os.environ, "DUBLINE_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        answer = json.loads(done.stdout)
        for blob in (small_disk / "artifacts" / "blobs").glob("??/*"):
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name, f"{blob} is half written"
        if done.returncode == 0:
            cached = answer["run"]["cached_task_runs"]
            break
        refused += 1
        assert answer["error"]["code"] == "storage_full", answer
        assert "Traceback" not in done.stderr
        assert not out.exists() or list(out.iterdir()) == []
    assert done.returncode == 0
    assert refused >= 3
    assert cached > 0  # it took up what had been finished
    settings = Settings(dubline_home=home, _env_file=None)
    assert abs(probe(out / "talk.es.mp4", settings).duration_s - probe(clip, settings).duration_s) < 0.05
