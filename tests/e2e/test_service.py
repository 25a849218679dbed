"""The clients of the seed documents, unchanged in what they send and read, against the whole running service.

Engines are simulated, everything else is real: Prefect, worker, engine server, API, ffmpeg.
"""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import requests
import soundfile
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from dubline.heap import ONE_HEAP
from dubline.media.finished import decode_mono
from dubline.media.probe import probe
from dubline.settings import Settings
from tests.stack import Stack

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60) as opened:
        yield opened


def test_a_voice_is_heard_before_it_is_chosen(client: httpx.Client) -> None:
    asked = {"language": "pt", "engine": "espeak"}  # a real voice
    answer = client.get("/api/v1/voices/sample", params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "audio/wav"
    sound, rate_hz = soundfile.read(io.BytesIO(answer.content))
    assert 2 < len(sound) / rate_hz < 10
    assert np.sqrt(np.mean(sound**2)) > 0.01
    began_s = time.monotonic()
    assert client.get("/api/v1/voices/sample", params=asked).content == answer.content
    assert time.monotonic() - began_s < 1
    for wrong in ({"language": "klingon?"}, {"language": "pt", "voice": "nobody"}, {"language": "pt", "engine": "x"}):
        refused = client.get("/api/v1/voices/sample", params=wrong)
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json"), wrong


def test_upload_poll_and_download_with_requests(stack: Stack, clip: Path, tmp_path: Path) -> None:
    base = stack.url
    with clip.open("rb") as video:
        data = {"target_language": "spa", "source_language": "eng", "stt_engine": "auto", "tts_engine": "auto"}
        upload_response = requests.post(f"{base}/api/v1/upload", files={"file": video}, data=data, timeout=60)
    assert upload_response.status_code == 201
    job_id = upload_response.json()["job_id"]
    seen = set()
    deadline_s = time.monotonic() + 120
    while True:
        assert time.monotonic() < deadline_s
        status_response = requests.get(f"{base}/api/v1/jobs/{job_id}/status", timeout=30)
        status = status_response.json()["status"]
        seen.add(status)
        if status == "completed":
            download_url = status_response.json()["download_url"]
            break
        assert status != "failed", status_response.json()["error_message"]
        time.sleep(0.1)
    assert {"uploaded", "processing"} <= seen | {"uploaded"}
    target = tmp_path / "dubbed.mp4"
    target.write_bytes(requests.get(download_url, timeout=60).content)
    settings = Settings(dubline_home=tmp_path, _env_file=None)
    source, dubbed = probe(clip, settings), probe(target, settings)
    assert abs(source.duration_s - dubbed.duration_s) < 0.05
    assert dubbed.video is not None
    assert dubbed.audio
    preview = requests.get(f"{base}/api/v1/jobs/{job_id}/preview", timeout=30).json()
    assert len(preview["thumbnails"]) == 3
    assert requests.get(preview["thumbnails"][0], timeout=30).content[:3] == b"\xff\xd8\xff"
    assert requests.get(preview["clip_url"], timeout=30).status_code == 200
    lines = requests.get(f"{base}/api/v1/jobs/{job_id}/transcript", timeout=30).json()["segments"]
    assert all(line["text"] and line["end_s"] > line["start_s"] for line in lines)
    queue = requests.get(f"{base}/api/v1/queue/status", timeout=30).json()
    assert queue["database"]["total_jobs"] >= 1
    assert queue["queue"]["max_concurrent_jobs"] == 2


def test_the_first_minute_can_be_watched_while_the_rest_is_made(stack: Stack, tmp_path: Path) -> None:
    settings = Settings(dubline_home=tmp_path, _env_file=None)
    talk = stack.new_talk()
    source = probe(talk, settings)
    assert source.duration_s > 125
    job_at = _submitted(stack, talk, "spa")
    assert requests.get(f"{job_at}/artifacts/first_minute", timeout=30).status_code == 404
    deadline_s = time.monotonic() + 150
    while not (preview := requests.get(f"{job_at}/preview", timeout=30).json())["first_minute_url"]:
        assert preview["status"] not in ("completed", "failed")
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    assert preview["status"] == "processing"
    early = tmp_path / "early.mp4"
    early.write_bytes(requests.get(preview["first_minute_url"], timeout=60).content)
    seen = probe(early, settings)
    assert seen.duration_s == pytest.approx(60.0, abs=0.3)  # a copied picture ends some frames later
    assert seen.video is not None
    assert source.video is not None
    assert (seen.video.codec, seen.video.width) == (source.video.codec, source.video.width)
    while (status := requests.get(f"{job_at}/status", timeout=30).json()["status"]) != "completed":
        assert status != "failed"
        assert time.monotonic() < deadline_s
        time.sleep(0.2)
    assert requests.get(f"{job_at}/preview", timeout=30).json()["first_minute_url"] is None
    assert requests.get(f"{job_at}/artifacts/first_minute", timeout=30).status_code == 404
    report = requests.get(f"{job_at}/artifacts/report", timeout=30).json()
    spoken = [stage for stage in report["provenance"]["stages"] if stage["stage"] == "synthesize"]
    asked = sum(stage["made"] + stage["reused"] for stage in spoken)
    assert 0 < asked <= len(report["timing"]["lines"])  # what was spoken ahead is not asked for again
    # It is the whole's own beginning: the same voice at the same time.
    whole = tmp_path / "whole.mp4"
    whole.write_bytes(requests.get(f"{job_at}/download", timeout=60).content)
    heard = []
    for path in (early, whole):
        sound = decode_mono(path, work_dir=tmp_path / path.stem, media_s=300)
        heard.append(np.fromfile(sound, "<i2")[: 58 * 16_000].astype(float))
    assert np.corrcoef(heard[0], heard[1])[0, 1] > 0.9
    # In another language nothing is recognised any more: the rest is begun before the first minute is put together.
    names = _tasks(job_at)
    assert names.index("preview beginning") < max(i for i, name in enumerate(names) if name == "recognise chunk")
    other_at = _submitted(stack, talk, "fra")
    deadline_s = time.monotonic() + 150
    while (status := requests.get(f"{other_at}/status", timeout=30).json()["status"]) != "completed":
        assert status != "failed"
        assert time.monotonic() < deadline_s
        time.sleep(0.2)
    names = _tasks(other_at)
    assert names.index("preview beginning") > max(i for i, name in enumerate(names) if name == "recognise chunk")


def _submitted(stack: Stack, talk: Path, language: str) -> str:
    """Address of a job that dubs an English talk."""
    answer = requests.post(
        f"{stack.url}/api/v1/upload",
        files={"file": ("talk.mp4", talk.read_bytes())},
        data={"target_language": language, "source_language": "eng"},
        timeout=60,
    )
    return f"{stack.url}/api/v1/jobs/{answer.json()['job_id']}"


def _tasks(job_at: str) -> list[str]:
    """Names of a job's tasks, in the order in which they began."""
    return [task["name"].rsplit("-", 1)[0] for task in requests.get(f"{job_at}/tasks", timeout=30).json()["tasks"]]


def test_the_progress_socket_tells_the_whole_story(stack: Stack) -> None:
    job_id = stack.submit()
    socket_url = stack.url.replace("http", "ws")
    stages, percentages = [], []
    with connect(f"{socket_url}/api/v1/jobs/{job_id}/progress") as websocket:
        websocket.send(json.dumps({"type": "get_status"}))
        while True:
            data = json.loads(websocket.recv(timeout=90))
            if data["type"] == "ping":
                websocket.send(json.dumps({"type": "pong"}))
                continue
            assert data["type"] == "progress_update"
            stages.append(data["data"]["stage"])
            percentages.append(data["data"]["percentage"])
            if data["data"]["status"] in ("completed", "failed"):
                assert data["data"]["status"] == "completed"
                break
    assert percentages == sorted(percentages)
    assert percentages[-1] == 100.0
    assert {"transcription", "synthesis", "assembly"} <= set(stages)


def test_an_unknown_job_over_a_socket(stack: Stack) -> None:
    socket_url = stack.url.replace("http", "ws")
    with connect(f"{socket_url}/api/v1/jobs/test-job/progress") as websocket:
        with pytest.raises(ConnectionClosed):
            websocket.recv(timeout=10)
        assert websocket.close_code == 4404


def test_create_by_json_and_the_update_socket(stack: Stack, clip: Path, client: httpx.Client) -> None:
    stored = client.post("/api/v1/upload", files={"file": ("talk.mp4", clip.read_bytes())}).json()
    response = client.post(
        "/api/v1/jobs/",
        json={
            "file_id": stored["file_id"],
            "job_type": "transcription",
            "priority": 5,
            "options": {"language": "en", "audio_format": "wav", "max_clips": 10},
        },
    )
    assert response.status_code == 201
    job_id = response.json()["id"]
    response = client.get(f"/api/v1/jobs/{job_id}")
    assert response.status_code == 200
    assert response.json()["status"] in ["pending", "queued", "processing"]
    with connect(f"{stack.url.replace('http', 'ws')}/ws/{job_id}") as websocket:
        first = json.loads(websocket.recv(timeout=30))
        assert (first["type"], first["data"]["id"]) == ("initial_status", job_id)
        while True:
            data = json.loads(websocket.recv(timeout=90))
            assert data["type"] in ("job_update", "ping")
            if data["type"] == "job_update" and data["data"]["status"] == "completed":
                break
    done = client.get(f"/api/v1/jobs/{job_id}").json()
    assert done["transcript"]
    assert client.get("/api/v1/jobs/", params={"status_filter": "completed", "limit": 10, "offset": 0}).json()["jobs"]
    refused = client.post("/api/v1/jobs/", json={"youtube_url": "https://youtu.be/x", "job_type": "transcription"})
    assert (refused.status_code, refused.json()["code"]) == (422, "source_unsupported")


def test_audio_extraction(stack: Stack, clip: Path, client: httpx.Client) -> None:
    stored = client.post("/api/v1/upload", files={"file": ("talk.mp4", clip.read_bytes())}).json()
    request = {"file_id": stored["file_id"], "job_type": "audio_extraction", "options": {"audio_format": "flac"}}
    job_id = client.post("/api/v1/jobs", json=request).json()["id"]
    assert stack.wait([job_id], 90)[job_id]["status"] == "completed"
    sound = client.get(f"/api/v1/jobs/{job_id}/download")
    assert sound.content[:4] == b"fLaC"
    assert 'filename="talk.audio.flac"' in sound.headers["content-disposition"]


def test_the_short_form_and_its_socket(stack: Stack, client: httpx.Client) -> None:
    answer = client.post("/translate", json={"source_language": "en", "target_language": "es", "metadata": {}})
    assert answer.status_code == 202
    body = answer.json()
    assert set(body) == {"job_id", "status", "message"}
    with connect(f"{stack.url.replace('http', 'ws')}/ws/job/{body['job_id']}") as websocket:
        websocket.send("heartbeat")
        while True:
            data = json.loads(websocket.recv(timeout=90))
            if data.get("status") == "completed":
                assert data["completed_at"] or data["type"] == "heartbeat"
                break
    status = client.get(f"/job/{body['job_id']}").json()
    assert (status["status"], status["source_language"], status["target_language"]) == ("completed", "en", "es")


def test_three_steps_and_the_stream(stack: Stack, clip: Path, client: httpx.Client) -> None:
    stored = client.post("/api/v1/upload?file_type=video", files={"file": ("talk.mp4", clip.read_bytes())}).json()
    assert {"file_id", "storage_path", "filename", "size_bytes"} <= set(stored)
    request = {
        "file_id": stored["file_id"],
        "storage_path": stored["storage_path"],
        "source_language": "en",
        "target_language": "fr",
        "model_size": "base",
    }
    made = client.post("/api/v1/jobs/video-translate/create", json=request)
    assert (made.status_code, made.json()["status"]) == (201, "pending")
    job_id = made.json()["id"]
    assert client.post(f"/api/v1/jobs/{job_id}/process").status_code == 202
    rows = []
    with client.stream("GET", f"/api/v1/jobs/{job_id}/stream", params={"token": "x"}, timeout=90) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                rows.append(json.loads(line[6:]))
    assert rows[-1]["status"] == "completed"
    assert {"progress_percentage", "phase", "current_step", "started_at", "output_file"} <= set(rows[-1])
    assert client.get(f"/api/v1/download/{job_id}").status_code == 200


def test_a_running_job_is_cancelled_and_retried(stack: Stack) -> None:
    job_id = stack.submit()
    deadline_s = time.monotonic() + 60
    while stack.job(job_id)["status"] != "processing":
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert "cancelled successfully" in stack.call("DELETE", f"/api/v1/jobs/{job_id}").json()["message"]
    assert stack.wait([job_id], 60)[job_id]["status"] in ("cancelled", "completed")
    if stack.job(job_id)["status"] == "cancelled":
        assert stack.call("POST", f"/api/v1/jobs/{job_id}/retry").status_code == 202
        assert stack.wait([job_id], 90)[job_id]["status"] == "completed"


def test_jobs_are_taken_while_prefect_is_away_and_the_api_forgets_nothing(stack: Stack) -> None:
    os.kill(stack.state["pids"]["prefect"], signal.SIGSTOP)
    try:
        jobs = [stack.submit() for _ in range(2)]
    finally:
        os.kill(stack.state["pids"]["prefect"], signal.SIGCONT)
    os.kill(stack.state["pids"]["api"], signal.SIGKILL)
    rows = stack.wait(jobs, 180)
    assert {r["status"] for r in rows.values()} == {"completed"}


def test_engines_share_one_heap(stack: Stack) -> None:
    assert ONE_HEAP.items() <= psutil.Process(stack.state["pids"]["engines"]).environ().items()


def test_a_large_upload_is_not_held_in_memory(stack: Stack, clip: Path) -> None:
    api = psutil.Process(stack.state["pids"]["api"])
    start, blocks = clip.read_bytes(), 400
    before = peak = api.memory_info().rss

    def body() -> Iterator[bytes]:
        nonlocal peak
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.mp4"\r\n\r\n' + start
        yield struct.pack(">I4s", 8 + (blocks << 20), b"free")  # a box that players pass over
        for _ in range(blocks):
            yield bytes(1 << 20)
            peak = max(peak, api.memory_info().rss)
        yield b"\r\n--b--\r\n"

    answer = httpx.post(
        f"{stack.url}/api/v1/upload",
        content=body(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        timeout=120,
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["size_bytes"] == len(start) + 8 + (blocks << 20)
    assert max(peak, api.memory_info().rss) - before < 20_000_000


@pytest.mark.slow
def test_status_stays_quick_under_many_readers(stack: Stack) -> None:
    job_id = stack.submit()
    times = []

    def read(_number: int) -> None:
        with httpx.Client(base_url=stack.url, timeout=30) as client:
            for _ in range(10):
                began_s = time.monotonic()
                assert client.get(f"/api/v1/jobs/{job_id}/status").status_code == 200
                times.append(time.monotonic() - began_s)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(8)))
    assert sorted(times)[len(times) // 2] < 1.0
    assert stack.wait([job_id], 120)[job_id]["status"] == "completed"
