"""`dubline load`: many simulated jobs through a running service, and what came of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx

from dubline.errors import ApiError, WaitTimeout
from dubline.models import Frozen

_BULK = 1000
_POLL_S = 0.5


class LoadReport(Frozen):
    """Times in seconds. `lost` are jobs that the service no longer knows or that did not end in time."""

    jobs: int
    submit_s: float
    wall_s: float
    completed: int
    failed: int
    cancelled: int
    lost: int
    jobs_per_minute: float
    status_p50_s: float
    status_p99_s: float


def run_load(
    url: str, jobs: int, *, within_s: float, told: Callable[[int, int], None] = lambda _done, _all: None
) -> LoadReport:
    """Submit jobs over the built-in clip in bulk calls, and wait for their ends.

    Args:
        url: The service's address.
        jobs: How many.
        within_s: Longest wait for the last one.
        told: Called with how many have ended, and of how many.

    Raises:
        ApiError: the service refuses; it must run with the simulated engines.
    """
    with httpx.Client(base_url=url, timeout=60.0) as client:
        first = _answer(client.post("/translate", json={"source_language": "en", "target_language": "es"}))
        file_id = _answer(client.get(f"/api/v1/jobs/{first['job_id']}"))["file_id"]
        ids: list[str] = [first["job_id"]]
        row = {"file_id": file_id, "source_language": "en", "target_language": "es", "quality": "fast"}
        began_s = time.monotonic()
        submit_s = 0.0
        while len(ids) < jobs:
            count = min(_BULK, jobs - len(ids))
            called_s = time.monotonic()
            made = _answer(client.post("/api/v1/jobs/bulk", json={"jobs": [row] * count}))
            submit_s = max(submit_s, time.monotonic() - called_s)
            ids += [r["job_id"] for r in made["rows"] if r["status"] == 201]
        ends: dict[str, str] = {}
        times: list[float] = []
        at = 0
        while len(ends) < len(ids) and time.monotonic() - began_s < within_s:
            waiting = [i for i in ids if i not in ends]
            # A window that moves on: the oldest end first, and none is asked for too often.
            for job_id in waiting[at : at + 50]:
                asked_s = time.monotonic()
                answer = client.get(f"/api/v1/jobs/{job_id}/status")
                times.append(time.monotonic() - asked_s)
                status = answer.json()["status"] if answer.status_code == 200 else "lost"
                if status in ("completed", "failed", "cancelled"):
                    ends[job_id] = status
            at = 0 if at + 50 >= len(waiting) else at + 50
            told(len(ends), len(ids))
            time.sleep(_POLL_S)
        wall_s = time.monotonic() - began_s
    counts = {s: list(ends.values()).count(s) for s in ("completed", "failed", "cancelled")}
    times.sort()
    return LoadReport(
        jobs=len(ids),
        submit_s=round(submit_s, 3),
        wall_s=round(wall_s, 1),
        lost=len(ids) - len(ends),
        jobs_per_minute=round(60 * len(ends) / wall_s, 1),
        status_p50_s=round(statistics.median(times), 4),
        status_p99_s=round(times[int(0.99 * (len(times) - 1))], 4),
        **counts,
    )


def rows(report: LoadReport) -> list[tuple[str, str, str, bool | None]]:
    """Name, value, target, and whether it is met; None where there is no target."""
    good = report.completed == report.jobs
    return [
        ("jobs that ended right", f"{report.completed} of {report.jobs}", "all", good),
        ("lost", str(report.lost), "0", report.lost == 0),
        ("longest bulk call", f"{report.submit_s:.2f} s", "< 5 s", report.submit_s < 5),
        ("job status, median", f"{1000 * report.status_p50_s:.0f} ms", "", None),
        ("job status, p99", f"{1000 * report.status_p99_s:.0f} ms", "< 50 ms", report.status_p99_s < 0.05),
        ("jobs a minute", f"{report.jobs_per_minute:.1f}", "", None),
        ("until the last end", f"{report.wall_s:.0f} s", "", None),
    ]


def check_finished(report: LoadReport) -> None:
    """Raise when a job did not end as completed.

    Raises:
        WaitTimeout: some have not ended.
    """
    if report.lost:
        raise WaitTimeout(f"{report.lost} of {report.jobs} jobs did not end in time.", code="load_unfinished")


def _answer(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    if response.is_error:
        raise ApiError(body["detail"], code=body.get("code"), hint=body.get("hint", ""))
    return body
