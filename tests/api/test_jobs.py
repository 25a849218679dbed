"""Jobs through the HTTP facade, in every shape of the clients. Runs are pretended."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.tables import Job
from tests.api.conftest import Harness


def test_upload_follow_download(harness: Harness) -> None:
    made = harness.upload(target_language="spa", source_language="eng")
    assert made["status"] == "uploaded"
    assert made["original_filename"] == "talk.mp4"
    assert made["processing_config"]["target_language"] == "spa"
    job_id = made["job_id"]
    run_id = harness.run_of(job_id)
    assert harness.orchestrator.runs[run_id]["parameters"]["options"]["target_language"] == "es"
    harness.soon(harness.orchestrator.move, run_id, "RUNNING")
    harness.until(job_id, status="processing")
    harness.soon(harness.orchestrator.progress, run_id, 45.0)
    job = harness.until(job_id, progress=45.0)
    assert (job["phase"], job["progress_stage"], job["current_step"]) == ("SYNTHESIZING", "synthesis", "Speaking")
    harness.soon(harness.orchestrator.progress, run_id, 30.0, "mix", "Mixing")
    assert harness.until(job_id, current_step="Mixing")["progress"] == 45.0
    assert harness.client.get(f"/api/v1/jobs/{job_id}/download").status_code == 409
    harness.complete(job_id)
    status = harness.until(job_id, status="completed")
    assert status["progress"] == 100.0
    assert status["transcript"] == "Hello"
    short = harness.client.get(f"/api/v1/jobs/{job_id}/status").json()
    whole = harness.client.get(short["download_url"])
    assert (whole.status_code, len(whole.content)) == (200, 5000)
    assert 'filename="talk.es.mp4"' in whole.headers["content-disposition"]
    part = harness.client.get(short["download_url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.headers["content-range"]) == (206, "bytes 10-19/5000")
    etag = whole.headers["etag"]
    assert harness.client.get(short["download_url"], headers={"If-None-Match": etag}).status_code == 304
    head = harness.client.head(f"/api/v1/download/{job_id}")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "5000", b"")
    beyond = harness.client.get(short["download_url"], headers={"Range": "bytes=9000-"})
    assert beyond.status_code == 416


def test_errors_are_problem_documents(harness: Harness) -> None:
    for answer, status, code in (
        (harness.client.get("/api/v1/jobs/nothing"), 404, "job_not_found"),
        (harness.client.post("/api/v1/jobs", json={"target_language": "es"}), 422, "source_missing"),
        (harness.client.post("/api/v1/jobs", json={"nonsense": 1}), 422, "request_invalid"),
        (
            harness.client.post("/api/v1/jobs/", json={"youtube_url": "https://youtu.be/x", "target_language": "es"}),
            422,
            "source_unsupported",
        ),
        (harness.client.post("/api/v1/upload", data={"target_language": "es"}), 422, "file_missing"),
        (harness.client.get("/nowhere"), 404, "path_not_found"),
        (harness.client.post("/api/v1/translate"), 410, "gone"),
    ):
        body = answer.json()
        assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["detail"]
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"target_language": "klingonese"}, "language_unknown"),
        ({"target_language": "es", "tts_engine": "festival"}, "engine_unknown"),
        ({"target_language": "es", "voice_cloning": True}, "option_unsupported"),
        ({"target_language": "es", "background": "louder"}, "request_invalid"),
        ({"target_language": "es", "job_type": "clip_generation"}, "option_unsupported"),
        ({"target_language": "es", "webhook_url": "http://127.0.0.1/"}, "option_unsupported"),
        ({}, "target_language_missing"),
        ({"target_language": "es", "options": {"colour": "red"}}, "option_unknown"),
        ({"target_language": "en", "source_language": "eng"}, "same_language"),
    ],
)
def test_what_cannot_be_done_is_refused_at_the_door(harness: Harness, fields: dict, code: str) -> None:
    file_id = harness.upload()["file_id"]
    answer = harness.client.post("/api/v1/jobs", json={"file_id": file_id, **fields})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert harness.client.get("/api/v1/jobs").json()["total_count"] == 0


def test_three_steps_and_a_retry_after_failure(harness: Harness) -> None:
    stored = harness.upload(file_type="video")
    assert stored["size_bytes"] == harness.clip.stat().st_size
    request = {"storage_path": stored["storage_path"], "source_language": "en", "target_language": "es"}
    made = harness.client.post("/api/v1/jobs/video-translate/create", json={**request, "model_size": "base"})
    assert (made.status_code, made.json()["status"]) == (201, "pending")
    job_id = made.json()["id"]
    started = harness.client.post(f"/api/v1/jobs/{job_id}/process")
    assert (started.status_code, started.json()["status"]) == (202, "queued")
    assert harness.client.post(f"/api/v1/jobs/{job_id}/process").status_code == 409
    first = harness.run_of(job_id)
    harness.soon(harness.orchestrator.move, first, "RUNNING")
    harness.fail(job_id)
    failed = harness.until(job_id, status="failed")
    assert (failed["error"]["code"], failed["error_message"]) == ("media_unreadable", "It is broken.")
    assert harness.client.post(f"/api/v1/jobs/{job_id}/process").status_code == 202
    harness.until(job_id, attempt=2)
    assert harness.run_of(job_id) != first
    harness.complete(job_id)
    harness.until(job_id, status="completed")
    kinds = [e["type"] for e in harness.client.get(f"/api/v1/jobs/{job_id}/events").json()["events"]]
    assert kinds[:3] == ["created", "started", "queued"]
    assert "retried" in kinds


def test_cancel_and_delete(harness: Harness) -> None:
    job_id = harness.upload(target_language="es")["job_id"]
    run_id = harness.run_of(job_id)
    harness.soon(harness.orchestrator.move, run_id, "RUNNING")
    harness.until(job_id, status="processing")
    message = harness.client.delete(f"/api/v1/jobs/{job_id}").json()["message"]
    assert message == f"Job {job_id} cancelled successfully"
    assert harness.job(job_id)["is_cancelling"]
    harness.soon(harness.orchestrator.move, run_id, "CANCELLED")
    harness.until(job_id, status="cancelled")
    assert harness.client.post(f"/api/v1/jobs/{job_id}/cancel").status_code == 409
    assert harness.client.delete(f"/api/v1/jobs/{job_id}").status_code == 200
    assert harness.client.get(f"/api/v1/jobs/{job_id}").status_code == 404


def test_deleting_a_job_leaves_what_another_shows(harness: Harness) -> None:
    first, second = (harness.upload(target_language="es")["job_id"] for _ in range(2))
    for job_id in (first, second):
        harness.complete(job_id)
        harness.until(job_id, status="completed")
    assert harness.client.delete(f"/api/v1/jobs/{first}").status_code == 200
    assert harness.client.get(f"/api/v1/jobs/{second}/download").status_code == 200
    assert harness.client.delete(f"/api/v1/jobs/{second}").status_code == 200
    assert [b.size_bytes for b in harness.store.blobs()] == [harness.clip.stat().st_size]


def test_deleting_a_job_takes_nothing_from_one_at_work(harness: Harness) -> None:
    done, at_work = (harness.upload(target_language="es")["job_id"] for _ in range(2))
    harness.complete(done)
    harness.until(done, status="completed")
    harness.soon(harness.orchestrator.move, harness.run_of(at_work), "RUNNING")
    harness.until(at_work, status="processing")
    before = {b.sha256 for b in harness.store.blobs()}
    assert harness.client.delete(f"/api/v1/jobs/{done}").status_code == 200
    assert {b.sha256 for b in harness.store.blobs()} == before


def test_fifty_posts_with_one_key_make_one_job(harness: Harness) -> None:
    file_id = harness.upload()["file_id"]

    def post(_number: int) -> tuple[int, str]:
        body = {"file_id": file_id, "target_language": "es"}
        answer = harness.client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "k1"})
        return answer.status_code, answer.text

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(post, range(50)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 201
    assert harness.client.get("/api/v1/jobs").json()["total_count"] == 1
    other = harness.client.post(
        "/api/v1/jobs", json={"file_id": file_id, "target_language": "fr"}, headers={"Idempotency-Key": "k1"}
    )
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_lists_filters_and_pages(harness: Harness) -> None:
    file_id = harness.upload()["file_id"]
    rows = [{"file_id": file_id, "target_language": t} for t in ("es", "fr", "it", "de", "ja")]
    rows += [{"file_id": file_id, "target_language": "xx-nothing"}, {"file_id": "gone", "target_language": "es"}]
    made = harness.client.post("/api/v1/jobs/bulk", json={"jobs": rows})
    assert (made.status_code, made.json()["succeeded"], made.json()["failed"]) == (207, 5, 2)
    assert [r["status"] for r in made.json()["rows"]] == [201] * 5 + [422, 404]
    page = harness.client.get("/api/v1/jobs", params={"page": 2, "page_size": 2}).json()
    assert (page["total_count"], page["page"], page["offset"]) == (5, 2, 2)
    assert [j["target_language"] for j in page["jobs"]] == ["it", "fr"]
    french = harness.client.get("/api/v1/jobs", params={"target_language": "fr"}).json()
    assert french["total_count"] == 1
    assert harness.client.get("/api/v1/jobs", params={"q": "alk.m", "limit": 100}).json()["total_count"] == 5
    assert harness.client.get("/api/v1/jobs", params={"q": "%"}).json()["total_count"] == 0
    assert harness.client.get("/api/v1/jobs", params={"status": "failed"}).json()["total_count"] == 0
    cleared = harness.client.delete("/api/v1/jobs/queue/clear").json()
    assert cleared["cancelled"] == 5


def test_jobs_wait_while_prefect_is_away(harness: Harness) -> None:
    harness.orchestrator.is_away = True
    job_id = harness.upload(target_language="es")["job_id"]
    assert harness.client.get("/health").status_code == 503
    assert harness.client.get("/health/ready").status_code == 200
    assert harness.job(job_id)["flow_run_id"] is None
    harness.orchestrator.is_away = False
    harness.run_of(job_id)
    assert harness.orchestrator.created == [job_id]


def test_an_estimate_learns_from_the_jobs_done_here(harness: Harness) -> None:
    def told(**query: object) -> dict:
        answer = harness.client.get("/api/v1/estimate", params={"media_seconds": 100, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()

    first = told()
    assert (first["basis"], first["jobs_measured"], first["waiting_seconds"]) == ("typical", 0, 0)

    now_s = time.time()  # what ended long ago is swept

    def finished(target: str, media_s: float, spent_s: float, made_s: float) -> None:
        async def add() -> None:
            async with harness.service.db.begin() as session:
                session.add(
                    Job(
                        id=str(uuid.uuid4()),
                        user_id="local",
                        job_type="video_translate",
                        status="completed",
                        source_uri="",
                        filename="a.mp4",
                        media_s=media_s,
                        target_language=target,
                        started_s=now_s,
                        ended_s=now_s + spent_s,
                        created_s=now_s,
                        updated_s=now_s,
                        result={"stats": [{"stage": "synthesize", "seconds": made_s}]},
                    )
                )

        harness.soon(add)

    for spent_s in (100.0, 120.0, 400.0):
        finished("es", 200.0, spent_s, made_s=spent_s)
    finished("es", 200.0, 2.0, made_s=100.0)  # found all of it made before: no measure of speed
    finished("pt-BR", 200.0, 200.0, made_s=150.0)
    assert told(target_language="spa")["processing_seconds"] == 60.0
    assert told(target_language="spa")["jobs_measured"] == 3
    assert told(target_language="pt")["processing_seconds"] == 100.0
    assert told(target_language="fr")["basis"] == "jobs"
    harness.upload(target_language="es")
    assert told(target_language="es")["waiting_seconds"] > 0
    for wrong in ({"media_seconds": 0}, {"media_seconds": "nan"}, {"target_language": "?"}):
        assert harness.client.get("/api/v1/estimate", params={"media_seconds": 1, **wrong}).status_code == 422
