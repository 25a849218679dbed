"""What dispatcher and reconciler do with crashes, losses and double claims. Runs are pretended, the rows real."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import StateType

from api.db import Database, database_url
from api.dispatch import claim, fair_order
from api.leases import release_dead, take_lease, this_process
from api.reconcile import Reconciler, deadline_s
from api.runs import RunAlive, RunRefused, RunState
from api.service import Service
from api.states import STATUSES, job_status
from api.tables import Job
from dubline.errors import StorageUnavailable
from dubline.storage.local import LocalStore
from dubline.waking import Waking
from tests.api.conftest import Harness, PretendOrchestrator, settings_for


def test_every_state_of_prefect_has_a_status() -> None:
    for kind in StateType:
        assert job_status(kind.value, kind.value.title()) in STATUSES
    for name, status in (("Late", "queued"), ("AwaitingConcurrencySlot", "queued"), ("AwaitingRetry", "processing")):
        assert job_status("SCHEDULED", name) == status
    assert job_status("RUNNING", "Retrying") == "processing"
    assert job_status("FAILED", "TimedOut") == "failed"


def _crash(harness: Harness, run_id: str, ago_s: float) -> None:
    harness.soon(harness.orchestrator.move, run_id, "CRASHED", "Crashed", time.time() - ago_s)


def test_a_crashed_run_is_resumed_three_times_and_then_dead(harness: Harness) -> None:
    job_id = harness.upload(target_language="es")["job_id"]
    run_id = harness.run_of(job_id)
    for number in range(1, 4):
        harness.soon(harness.orchestrator.move, run_id, "RUNNING")
        _crash(harness, run_id, 1.0)
        harness.soon(harness.service.reconciler.once)
        assert harness.job(job_id)["crashes"] == number - 1, "too early: the worker may still be at it"
        _crash(harness, run_id, 11.0)
        harness.soon(harness.service.reconciler.once)
        assert harness.until(job_id, crashes=number)["status"] == "processing"
    assert harness.orchestrator.resumed == [run_id] * 3
    _crash(harness, run_id, 11.0)
    harness.soon(harness.service.reconciler.once)
    failed = harness.until(job_id, status="failed")
    assert failed["error"]["code"] == "worker_lost"
    letters = harness.client.get("/api/v1/dead-letters").json()
    assert [d["id"] for d in letters["dead_letters"]] == [job_id]
    assert harness.client.post(f"/api/v1/dead-letters/{job_id}/requeue").status_code == 202
    assert harness.client.get("/api/v1/dead-letters").json()["total_count"] == 0
    harness.complete(job_id)
    harness.until(job_id, status="completed", crashes=0)


def test_a_failure_that_might_pass_is_a_dead_letter_and_a_refused_video_is_not(harness: Harness) -> None:
    refused, lost = (harness.upload(target_language="es")["job_id"] for _ in range(2))
    harness.fail(refused)
    harness.fail(lost, "engine_out_of_memory", is_retryable=True)
    for job_id in (refused, lost):
        harness.until(job_id, status="failed")
    letters = harness.client.get("/api/v1/dead-letters").json()["dead_letters"]
    assert [(d["id"], d["error"]["code"]) for d in letters] == [(lost, "engine_out_of_memory")]
    assert harness.client.delete(f"/api/v1/dead-letters/{refused}").status_code == 404
    assert harness.client.delete(f"/api/v1/dead-letters/{lost}").status_code == 200
    assert harness.client.get(f"/api/v1/jobs/{lost}").status_code == 404


def test_a_run_that_prefect_forgot_is_made_anew(harness: Harness) -> None:
    job_id = harness.upload(target_language="es")["job_id"]
    run_id = harness.run_of(job_id)
    harness.orchestrator.runs.clear()
    harness.soon(harness.service.reconciler.once)
    harness.until(job_id, attempt=2)
    assert harness.run_of(job_id) != run_id


def test_silence_a_stuck_cancel_and_a_deadline_end_a_run(harness: Harness) -> None:
    silent, stuck, slow = (harness.upload(target_language="es")["job_id"] for _ in range(3))
    now_s = time.time()
    for job_id in (silent, stuck, slow):
        harness.soon(harness.orchestrator.move, harness.run_of(job_id), "RUNNING", "Running", now_s)
        harness.until(job_id, status="processing")
    harness.client.post(f"/api/v1/jobs/{stuck}/cancel")
    harness.soon(harness.service.reconciler.once, now_s + 100)
    harness.until(stuck, status="cancelled")
    assert harness.job(silent)["status"] == "processing"
    harness.soon(harness.service.reconciler.once, now_s + 130)
    assert harness.orchestrator.runs[harness.run_of(silent)]["state"].type == "CRASHED"
    harness.soon(harness.orchestrator.move, harness.run_of(slow), "RUNNING", "Running", now_s)
    harness.soon(harness.service.tracking.apply, RunAlive(run_id=harness.run_of(slow), at_s=now_s + 3690))
    harness.soon(harness.service.reconciler.once, now_s + 3700)
    assert harness.until(slow, status="failed")["error"]["code"] == "job_timeout"


def test_a_run_that_does_not_begin_is_taken_up_again(harness: Harness) -> None:
    job_id = harness.upload(target_language="es")["job_id"]
    now_s = time.time()
    harness.soon(harness.orchestrator.move, harness.run_of(job_id), "PENDING", "Submitting", now_s)
    harness.soon(harness.service.reconciler.once, now_s + 100)
    assert harness.orchestrator.runs[harness.run_of(job_id)]["state"].type == "PENDING"
    harness.soon(harness.service.reconciler.once, now_s + 130)
    assert harness.orchestrator.runs[harness.run_of(job_id)]["state"].type == "CRASHED"


def test_silence_counts_only_while_somebody_listens(harness: Harness) -> None:
    job_id = harness.upload(target_language="es")["job_id"]
    now_s = time.time()
    harness.soon(harness.orchestrator.move, harness.run_of(job_id), "RUNNING", "Running", now_s - 600)
    harness.until(job_id, status="processing")
    harness.soon(harness.service.reconciler.once, now_s)  # this service began a moment ago
    assert harness.orchestrator.runs[harness.run_of(job_id)]["state"].type == "RUNNING"
    harness.soon(harness.service.reconciler.once, now_s + 130)
    assert harness.orchestrator.runs[harness.run_of(job_id)]["state"].type == "CRASHED"


def test_a_result_that_cannot_be_read_keeps_no_other_job(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    unread, lost = (harness.upload(target_language="es")["job_id"] for _ in range(2))
    now_s = time.time()
    get = harness.store.get_record

    def away(name: str) -> bytes | None:
        if unread in name:
            raise StorageUnavailable("The bucket does not answer.")
        return get(name)

    monkeypatch.setattr(harness.store, "get_record", away)
    monkeypatch.setattr(harness.service.tracking._store, "get_record", away)
    harness.soon(harness.orchestrator.move, harness.run_of(unread), "COMPLETED", "Completed", now_s)
    harness.soon(harness.orchestrator.move, harness.run_of(lost), "CRASHED", "Crashed", now_s - 20)
    harness.soon(harness.service.reconciler.once, now_s)
    assert harness.orchestrator.resumed == [harness.run_of(lost)]
    assert harness.job(unread)["status"] != "failed"


async def test_a_fault_in_one_loop_leaves_the_other_not_behind() -> None:
    ended: list[str] = []

    class Faulty(Reconciler):
        def __init__(self) -> None: ...

        async def _look(self, stop: asyncio.Event) -> None:
            raise ValueError("a fault")

        async def _watch(self, stop: asyncio.Event) -> None:
            await stop.wait()
            ended.append("watch")

    with pytest.raises(ValueError, match="a fault"):
        await asyncio.wait_for(Faulty().run(asyncio.Event()), 5)
    assert ended == ["watch"]


def test_a_job_that_prefect_refuses_fails_and_stops_no_other(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    create = harness.orchestrator.create_run

    async def refuse(**named: Any) -> RunState:
        if named["parameters"]["options"]["target_language"] == "fr":
            raise RunRefused("The workflow engine does not take these options.")
        return await create(**named)

    monkeypatch.setattr(harness.orchestrator, "create_run", refuse)
    refused = harness.upload(target_language="fr")["job_id"]
    assert harness.until(refused, status="failed")["error"]["code"] == "run_refused"
    harness.run_of(harness.upload(target_language="es")["job_id"])


@pytest.mark.parametrize(
    ("glossary", "code"),
    [({"__prefect_kind": "jinja"}, "option_unsupported"), ({"a": "д" * 40_000}, "options_too_large")],
)
def test_what_prefect_would_refuse_is_refused_at_the_door(
    harness: Harness, glossary: dict[str, str], code: str
) -> None:
    file_id = harness.upload()["file_id"]
    body = {"file_id": file_id, "target_language": "es", "glossary": glossary}
    answer = harness.client.post("/api/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_the_worker_is_woken_for_a_run_that_is_handed_over(harness: Harness) -> None:
    waking = Waking(harness.service.settings)
    harness.run_of(harness.upload(target_language="es")["job_id"])
    assert select.select([waking], [], [], 5)[0]
    waking.close()


def test_a_run_that_no_job_points_to_is_ended(harness: Harness) -> None:
    job_id = harness.upload(target_language="es")["job_id"]
    mine = harness.run_of(job_id)
    stray = harness.client.portal.call(_make_stray, harness, job_id)
    now_s = time.time()
    harness.soon(harness.service.reconciler.once, now_s)
    harness.soon(harness.service.reconciler.once, now_s + 31)
    assert harness.orchestrator.runs[stray]["state"].type == "CANCELLED"
    assert harness.orchestrator.runs[mine]["state"].type == "SCHEDULED"


def test_old_jobs_and_uploads_are_deleted_and_open_ones_stay(harness: Harness) -> None:
    done, at_work = (harness.upload(target_language="es")["job_id"] for _ in range(2))
    harness.complete(done)
    harness.until(done, status="completed")
    spare = harness.upload()["file_id"]
    run = harness.client.portal.call
    assert run(harness.service.retention.once, time.time() + 29 * 24 * 3600) == (0, 0)
    assert run(harness.service.retention.once, time.time() + 31 * 24 * 3600) == (1, 2)
    assert harness.client.get(f"/api/v1/jobs/{done}").status_code == 404
    assert harness.job(at_work)["status"] == "queued"
    assert harness.client.post("/api/v1/jobs", json={"file_id": spare, "target_language": "es"}).status_code == 404
    assert [r.name for r in harness.store.records("uploads")] == [f"uploads/{harness.job(at_work)['file_id']}.json"]


async def _make_stray(harness: Harness, job_id: str) -> str:
    run: RunState = await harness.orchestrator.create_run(
        flow="translate_video", parameters={}, queue="normal", key="another", job_id=job_id
    )
    return run.run_id


def test_the_deadline_grows_with_the_media(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, job_timeout=600)
    short, long = (Job(id="j", user_id="u", media_s=m) for m in (10.0, 7200.0))
    assert (deadline_s(short, settings), deadline_s(long, settings)) == (600.0, 144_000.0)


def _waiting(number: int, user: str, priority: int = 5) -> Job:
    return Job(
        id=f"{user}-{number}",
        user_id=user,
        job_type="video_translate",
        status="queued",
        source_uri="",
        filename="a.mp4",
        priority=priority,
        created_s=float(number),
        updated_s=float(number),
    )


def test_the_first_job_of_one_user_is_not_behind_a_thousand_of_another() -> None:
    waiting = [_waiting(n, "a") for n in range(1000)] + [_waiting(5000, "b")]
    assert [j.id for j in fair_order(waiting, Counter({"a": 2}), 3)] == ["b-5000", "a-0", "a-1"]
    urgent = [_waiting(2, "a", 10), _waiting(1, "a", 0)]
    assert [j.id for j in fair_order(urgent, Counter(), 2)] == ["a-2", "a-1"]


async def test_the_lease_of_a_dead_process_is_free_at_once(tmp_path: Path) -> None:
    db = Database(database_url(settings_for(tmp_path)))
    try:
        await db.migrate()
        living = this_process()
        with subprocess.Popen([sys.executable, "-c", ""]) as child:
            pid = child.pid
        dead = living.replace(f":{os.getpid()}:", f":{pid}:")
        assert await take_lease(db, "dispatch", dead, for_s=30) is not None
        assert await take_lease(db, "reconcile", living, for_s=30) is not None
        await release_dead(db)
        assert await take_lease(db, "dispatch", "next", for_s=30) is not None
        assert await take_lease(db, "reconcile", "next", for_s=30) is None
    finally:
        await db.close()


async def test_what_a_dead_dispatcher_had_claimed_is_handed_over_at_once(tmp_path: Path) -> None:
    orchestrator = PretendOrchestrator()
    service = Service(settings_for(tmp_path), LocalStore(tmp_path / "artifacts"), orchestrator)
    stop = asyncio.Event()
    try:
        await service.db.migrate()
        async with service.db.begin() as session:
            session.add(_waiting(1, "a"))
        assert await claim(service.db, "a-1", for_s=1000) is not None
        loop = asyncio.create_task(service.dispatcher.run(stop))
        async with asyncio.timeout(10):
            while not orchestrator.created:
                await asyncio.sleep(0.02)
        stop.set()
        await loop
        assert orchestrator.created == ["a-1"]
    finally:
        await service.db.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_no_job_is_claimed_twice(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    given = f"sqlite:///{tmp_path / 'jobs.db'}" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    url = database_url(settings_for(tmp_path, database_url=given))
    one, two = Database(url), Database(url)
    try:
        await asyncio.gather(one.migrate(), two.migrate())
        async with one.begin() as session:
            for number in range(60):
                session.add(_waiting(number, f"claims-{kind}"))
        ids = [f"claims-{kind}-{n}" for n in range(60)]
        fences = await asyncio.gather(*(claim(db, i) for i in ids for db in (one, two, one, two)))
        assert sum(f is not None for f in fences) == 60
        later = time.time() + 31
        again = await asyncio.gather(*(claim(db, i, now_s=later) for i in ids for db in (one, two)))
        assert sorted(f for f in again if f is not None) == [2] * 60
        first = await take_lease(one, "dispatch", "first", for_s=30)
        assert first is not None
        assert await take_lease(two, "dispatch", "second", for_s=30) is None
        # A clock two hours ahead takes the lease, and gets a higher fence; it never runs beside a valid one.
        taken = await take_lease(two, "dispatch", "second", for_s=30, now_s=time.time() + 7200)
        assert taken is not None
        assert taken > first
    finally:
        await one.close()
        await two.close()
