"""Uploads in pieces: by hand, by a known client, and over an API that is killed in the middle."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tusclient.client import TusClient

from api.resumable import COMMIT_BYTES
from api.tables import ResumableUpload
from tests.api.conftest import Harness

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


def _begin(harness: Harness, size_bytes: int, name: str = "talk.mp4") -> str:
    metadata = f"filename {base64.b64encode(name.encode()).decode()},kind dmlkZW8="
    headers = {**TUS, "Upload-Length": str(size_bytes), "Upload-Metadata": metadata}
    made = harness.client.post("/api/v1/uploads", headers=headers)
    assert made.status_code == 201, made.text
    assert made.headers["upload-expires"].endswith("GMT")
    return made.headers["location"]


def _send(harness: Harness, at: str, offset: int, data: bytes, **headers: str) -> Any:
    return harness.client.patch(at, content=data, headers={**PIECE, "Upload-Offset": str(offset), **headers})


def test_pieces_become_a_file_that_a_job_takes(harness: Harness) -> None:
    can = harness.client.options("/api/v1/uploads")
    assert can.status_code == 204
    assert set(can.headers["tus-extension"].split(",")) == {"creation", "termination", "expiration", "checksum"}
    data = harness.clip.read_bytes()
    at = _begin(harness, len(data), "../évil\n.mp4")
    half = len(data) // 2
    assert _send(harness, at, 0, data[:half]).headers["upload-offset"] == str(half)
    seen = harness.client.head(at, headers=TUS)
    assert (seen.headers["upload-offset"], seen.headers["upload-length"]) == (str(half), str(len(data)))
    assert seen.headers["cache-control"] == "no-store"
    assert harness.client.get(at).json()["file_id"] is None
    ended = _send(harness, at, half, data[half:])
    assert (ended.status_code, ended.headers["upload-offset"]) == (204, str(len(data)))
    state = harness.client.get(at).json()
    assert (state["filename"], state["file_id"]) == ("évil.mp4", state["upload_id"])
    assert list((harness.service.settings.dubline_home / "uploads").iterdir()) == []
    job = harness.client.post("/api/v1/jobs", json={"file_id": state["file_id"], "target_language": "es"})
    assert job.status_code == 201, job.text
    assert job.json()["file_size"] == len(data)


def test_what_is_wrong_is_said_and_changes_nothing(harness: Harness) -> None:
    data = harness.clip.read_bytes()
    at = _begin(harness, len(data))
    assert _send(harness, at, 0, data[:100]).status_code == 204
    wrong = _send(harness, at, 50, data[50:100])
    assert (wrong.status_code, wrong.json()["details"]) == (409, {"offset": 100})
    long = _send(harness, at, 100, data)
    assert long.status_code == 413
    for answer in (long, harness.client.head("/api/v1/uploads/00000000-0000-4000-8000-000000000000", headers=TUS)):
        assert (answer.headers["tus-resumable"], answer.headers["cache-control"]) == ("1.0.0", "no-store")
    assert harness.client.head(at, headers=TUS).headers["upload-offset"] == "100"
    assert harness.client.patch(at, content=b"x", headers={**TUS, "Upload-Offset": "100"}).status_code == 415
    old = harness.client.patch(at, content=b"x", headers={**PIECE, "Tus-Resumable": "0.2.2", "Upload-Offset": "100"})
    assert (old.status_code, old.headers["tus-version"]) == (412, "1.0.0")
    sums = {"Upload-Checksum": "sha1 " + base64.b64encode(hashlib.sha1(b"other").digest()).decode()}
    assert _send(harness, at, 100, data[100:200], **sums).status_code == 460
    assert _send(harness, at, 100, b"x", **{"Upload-Checksum": "crc7 AAAA"}).status_code == 400
    assert harness.client.head(at, headers=TUS).headers["upload-offset"] == "100"
    sums = {"Upload-Checksum": "sha1 " + base64.b64encode(hashlib.sha1(data[100:200]).digest()).decode()}
    assert _send(harness, at, 100, data[100:200], **sums).headers["upload-offset"] == "200"
    too_much = {**TUS, "Upload-Length": str(2**50)}
    assert harness.client.post("/api/v1/uploads", headers=too_much).status_code == 413
    assert harness.client.post("/api/v1/uploads", headers=TUS).status_code == 400
    assert harness.client.head(f"/api/v1/uploads/{'0' * 8}-0000-4000-8000-{'0' * 12}", headers=TUS).status_code == 404


def test_a_piece_while_another_is_written_waits_for_nothing(harness: Harness) -> None:
    at = _begin(harness, 1000)
    (part,) = (harness.service.settings.dubline_home / "uploads").iterdir()
    with part.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert _send(harness, at, 0, b"x").status_code == 423
        assert harness.client.delete(at, headers=TUS).status_code == 423
    assert _send(harness, at, 0, b"x").status_code == 204


def test_no_media_given_up_and_expired_ones_leave_nothing(harness: Harness) -> None:
    at = _begin(harness, 1000)
    refused = _send(harness, at, 0, bytes(1000))
    assert refused.status_code == 422
    assert harness.client.head(at, headers=TUS).status_code == 404
    at = _begin(harness, 1000)
    override = harness.client.post(at, headers={**TUS, "X-HTTP-Method-Override": "DELETE"})
    assert override.status_code == 204
    assert harness.client.head(at, headers=TUS).status_code == 404
    at = _begin(harness, 1000)

    async def age() -> None:
        async with harness.service.db.begin() as session:
            row = await session.get(ResumableUpload, at.rpartition("/")[2])
            assert row is not None
            row.expires_s = time.time() - 1
            session.add(row)

    harness.soon(age)
    assert harness.client.head(at, headers=TUS).status_code == 410
    assert list((harness.service.settings.dubline_home / "uploads").iterdir()) != []
    harness.soon(harness.service.retention.once)
    assert harness.client.head(at, headers=TUS).status_code == 404
    assert list((harness.service.settings.dubline_home / "uploads").iterdir()) == []


def test_lost_pieces_are_never_taken_for_zeros_and_an_ended_upload_stays_ended(harness: Harness) -> None:
    data = harness.clip.read_bytes()
    folder = harness.service.settings.dubline_home / "uploads"
    at = _begin(harness, len(data))
    assert _send(harness, at, 0, data[:1000]).status_code == 204
    (part,) = folder.iterdir()
    os.truncate(part, 500)
    assert _send(harness, at, 1000, data[1000:]).json()["code"] == "upload_lost"
    part.unlink()
    assert _send(harness, at, 1000, data[1000:]).status_code == 410
    assert harness.client.delete(at, headers=TUS).status_code == 204
    at = _begin(harness, len(data))
    assert _send(harness, at, 0, data).status_code == 204
    assert _send(harness, at, len(data), b"").status_code == 204
    assert _send(harness, at, 0, data).status_code == 409
    file_id = harness.client.get(at).json()["file_id"]
    assert harness.client.delete(at, headers=TUS).status_code == 204
    assert list(folder.iterdir()) == []
    job = harness.client.post("/api/v1/jobs", json={"file_id": file_id, "target_language": "es"})
    assert job.status_code == 201


class Api:
    """The API as a process of its own; nobody answers as Prefect."""

    def __init__(self, home: Path) -> None:
        self._home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        environment = {
            **os.environ,
            "DUBLINE_HOME": str(self._home),
            "PORT": str(self.port),
            "SIMULATED_ENGINES": "true",
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
        }
        self.process = subprocess.Popen([sys.executable, "-m", "api"], env=environment, stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{self.url}/health/live", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline_s
            time.sleep(0.1)

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(30)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    started = Api(tmp_path / "home")
    yield started
    started.end(signal.SIGKILL)


@pytest.fixture
def large(clip: Path, tmp_path: Path) -> Path:
    """A real clip with forty megabytes behind it that players skip."""
    file = tmp_path / "large.mp4"
    filling = os.urandom(40 * 1024**2)
    file.write_bytes(clip.read_bytes() + struct.pack(">I4s", len(filling) + 8, b"free") + filling)
    return file


def test_killed_in_the_middle_it_goes_on_and_is_the_same(api: Api, large: Path) -> None:
    data = large.read_bytes()
    with httpx.Client(base_url=api.url, timeout=30) as client:
        at = client.post("/api/v1/uploads", headers={**TUS, "Upload-Length": str(len(data))}).headers["location"]
    sent = 0

    def body(first: int) -> Iterator[bytes]:
        nonlocal sent
        for start in range(first, len(data), 65536):
            if kills and start - first > 20 * 1024**2:
                kills.pop().end(signal.SIGKILL)
            sent += 65536
            yield data[start : start + 65536]

    kills = [api]
    with pytest.raises(httpx.TransportError), httpx.Client(base_url=api.url, timeout=30) as client:
        client.patch(at, content=body(0), headers={**PIECE, "Upload-Offset": "0"})
    api.start()
    with httpx.Client(base_url=api.url, timeout=60) as client:
        offset = int(client.head(at, headers=TUS).headers["upload-offset"])
        assert COMMIT_BYTES <= offset < len(data)
        ended = client.patch(at, content=body(offset), headers={**PIECE, "Upload-Offset": str(offset)})
        assert ended.status_code == 204, ended.text
        file_id = client.get(at).json()["file_id"]
        job = client.post("/api/v1/jobs", json={"file_id": file_id, "target_language": "es"}).json()
        assert job["file_size"] == len(data)
    stored = {p.name for p in (large.parent / "home" / "artifacts" / "blobs").glob("??/*")}
    assert hashlib.sha256(data).hexdigest() in stored


def test_a_known_client_uploads_breaks_off_and_goes_on(api: Api, large: Path) -> None:
    with large.open("rb") as file:
        known = TusClient(f"{api.url}/api/v1/uploads")
        first = known.uploader(
            file_stream=file, chunk_size=6 * 1024**2, metadata={"filename": "large.mp4"}, upload_checksum=True
        )
        first.upload(stop_at=14 * 1024**2)
        second = TusClient(f"{api.url}/api/v1/uploads").uploader(
            file_stream=file, chunk_size=50 * 1024**2, url=first.url
        )
        assert second.offset >= 14 * 1024**2
        second.upload()
    state = httpx.get(str(first.url)).json()
    assert (state["filename"], state["size_bytes"]) == ("large.mp4", large.stat().st_size)
    assert state["file_id"]
