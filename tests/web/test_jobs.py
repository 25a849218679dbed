"""The list of jobs and what can be done with them, there and in their own view."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from api.resources import iso
from tests.stack import Stack
from tests.web.browser import dub, wait_done
from tests.web.test_page import pending

pytestmark = pytest.mark.timeout(300)


class PretendList:
    """Answers the list of jobs out of many; keeps what was asked for."""

    def __init__(self, page: Page, rows: list[dict[str, Any]]) -> None:
        self._page, self.rows = page, rows
        self.asked: list[dict[str, str]] = []
        page.route(re.compile(r"/api/v1/jobs\?"), self._serve)

    def _serve(self, route: Route) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(route.request.url).query).items()}
        self.asked.append(query)
        rows = [r for r in self.rows if query.get("q", "") in r["filename"]]
        size = int(query["page_size"])
        start = (int(query["page"]) - 1) * size
        route.fulfill(json={"jobs": rows[start : start + size], "total_count": len(rows)})

    def until_asked(self, query: dict[str, str]) -> None:
        """Wait until this is what was asked for last."""
        deadline_s = time.monotonic() + 10
        while self.asked[-1] != query:
            assert time.monotonic() < deadline_s, self.asked[-1]
            self._page.wait_for_timeout(50)


@pytest.fixture
def rows(stack: Stack, clip: Path) -> list[dict[str, Any]]:
    """137 jobs, made of one that is there."""
    [job_id] = pending(stack, clip, ["row.mp4"])
    job = stack.job(job_id)
    return [{**job, "id": f"{job_id[:-3]}{n:03}", "filename": f"row{n}.mp4"} for n in range(137)]


def test_the_list_is_turned_over_page_by_page(page: Page, rows: list[dict[str, Any]]) -> None:
    served = PretendList(page, rows)
    page.goto("/#/jobs")
    pages = page.get_by_role("navigation", name="Pages")
    expect(pages).to_contain_text("1–20 of 137")
    expect(pages.get_by_role("button", name="Newer")).to_be_disabled()
    for _ in range(6):
        pages.get_by_role("button", name="Older").click()
    expect(pages).to_contain_text("121–137 of 137")
    expect(page.locator(".jobs > li")).to_have_count(17)
    expect(page.locator(".jobs > li").last).to_contain_text("row136.mp4")
    expect(pages.get_by_role("button", name="Older")).to_be_disabled()
    # When the last page is gone, the one before it is shown.
    served.rows = rows[:60]
    page.get_by_label("Mark row120.mp4").check()
    pages.get_by_role("button", name="Newer").click()
    expect(pages).to_contain_text("41–60 of 60")
    expect(page.locator(".bulk")).to_contain_text("60 jobs")


def test_the_list_is_narrowed_and_the_search_waits_for_the_word(page: Page, rows: list[dict[str, Any]]) -> None:
    served = PretendList(page, rows)
    page.goto("/#/jobs")
    page.get_by_role("button", name="Older").click()
    expect(page.get_by_role("navigation", name="Pages")).to_contain_text("21–40 of 137")
    page.get_by_label("Kind").select_option("Dub")
    page.get_by_label("Language").select_option("Brazilian Portuguese")
    page.get_by_label("Show").select_option("Not started")
    expect(page.get_by_role("navigation", name="Pages")).to_contain_text("1–20 of 137")
    wanted = {"job_type": "video_translate", "target_language": "pt-BR", "status": "pending"}
    served.until_asked({"page": "1", "page_size": "20", **wanted})
    page.get_by_role("searchbox").press_sequentially("row136", delay=40)
    expect(page.locator(".jobs > li")).to_have_count(1)
    assert [query["q"] for query in served.asked if "q" in query] == ["row136"]
    assert served.asked[-1] == {"page": "1", "page_size": "20", "q": "row136", **wanted}
    page.get_by_role("searchbox").fill("nowhere")
    expect(page.get_by_text("No job is like that.")).to_be_visible()


def test_the_filters_are_those_of_the_service(page: Page, stack: Stack, clip: Path) -> None:
    pending(stack, clip, ["narrow.mp4"])
    page.goto("/#/jobs")
    page.get_by_role("searchbox").fill("narrow")
    expect(page.locator(".jobs > li")).to_have_count(1)
    for label, fitting, other in [("Kind", "Dub", "Transcript"), ("Language", "Brazilian Portuguese", "Japanese")]:
        page.get_by_label(label).select_option(other)
        expect(page.get_by_text("No job is like that.")).to_be_visible()
        page.get_by_label(label).select_option(fitting)
        expect(page.locator(".jobs > li")).to_have_count(1)


def test_a_job_at_work_tells_the_time_left(page: Page, rows: list[dict[str, Any]]) -> None:
    work = {"status": "processing", "progress": 41.0, "current_step": "Speaking", "progress_stage": "synthesis"}
    PretendList(page, [{**rows[0], **work, "estimated_completion": iso(time.time() + 95)}])
    page.goto("/#/jobs")
    row = page.locator(".jobs > li")
    expect(row).to_contain_text(re.compile(r"Speaking · 41 % · about 1 min 3\d s left"))
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "41")


def test_the_history_grows_while_it_is_looked_at(page: Page, rows: list[dict[str, Any]]) -> None:
    work = {"status": "processing", "progress": 41.0, "current_step": "Speaking", "progress_stage": "synthesis"}
    job = {**rows[0], **work}
    events = [{"at": iso(time.time()), "type": "state", "message": "A worker has it."}]
    page.route("**/stream", lambda route: route.abort())
    page.route(f"**/api/v1/jobs/{job['id']}", lambda route: route.fulfill(json=job))
    page.route("**/events", lambda route: route.fulfill(json={"events": events}))
    page.goto(f"/#/jobs/{job['id']}")
    expect(page.locator(".events li")).to_have_count(1)
    job["crashes"] = 1
    events.append({"at": iso(time.time()), "type": "crash", "message": "The worker was lost; start 2."})
    expect(page.locator(".events li").last).to_have_text(re.compile("The worker was lost; start 2."))


def fail(stack: Stack, job_id: str) -> None:
    """Make a job one that failed and may succeed."""
    error = {"code": "engine_lost", "message": "The engine was lost.", "hint": "", "retryable": True, "details": {}}
    with closing(sqlite3.connect(stack.home / "dubline.db", timeout=20)) as db, db:
        db.execute("UPDATE jobs SET status = 'failed', error = ? WHERE id = ?", (json.dumps(error), job_id))


def test_a_job_is_cancelled_and_tried_again_and_leads_to_its_run(page: Page, stack: Stack, clip: Path) -> None:
    job_id = dub(page, clip, "turned.mp4")
    head = page.locator(".head")
    head.get_by_role("button", name="Cancel").click()
    expect(head.locator(".status")).to_have_text("Cancelled", timeout=60_000)
    assert stack.job(job_id)["status"] == "cancelled"
    # The history is asked for anew when something happens.
    expect(page.locator(".events")).to_contain_text(re.compile("[Cc]ancelled"))

    fail(stack, job_id)
    page.reload()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The engine was lost.")
    expect(alert).to_contain_text("Try again: what was finished is not made anew.")
    alert.get_by_role("button", name="Try again").click()
    wait_done(page)
    job = stack.job(job_id)
    assert (job["status"], job["attempt"]) == ("completed", 2)
    page.locator("summary").filter(has_text="History").click()
    expect(page.locator(".events li").last).to_contain_text(re.compile("finished|done|complete", re.IGNORECASE))
    prefect = stack.call("GET", "/", headers={"Accept": "application/json"}).json()["prefect"]
    link = page.get_by_role("link", name="The run in Prefect")
    expect(link).to_have_attribute("href", f"{prefect}/runs/flow-run/{job['flow_run_id']}")


def test_many_failed_jobs_are_tried_again_at_once(page: Page, stack: Stack, clip: Path) -> None:
    ids = pending(stack, clip, ["lost0.mp4", "lost1.mp4"])
    for job_id in ids:
        fail(stack, job_id)
    page.goto("/#/jobs")
    page.get_by_role("searchbox").fill("lost")
    expect(page.locator(".jobs > li")).to_have_count(2)
    expect(page.locator(".jobs > li").first).to_contain_text("The engine was lost.")
    page.locator(".bulk").get_by_role("checkbox").check()
    page.get_by_role("button", name="Try again (2)").click()
    expect(page.get_by_role("status").filter(has_text="2 jobs started again.")).to_be_visible()
    assert {job["status"] for job in stack.wait(ids, 120).values()} == {"completed"}


@pytest.mark.slow
def test_the_first_minute_is_watched_while_the_rest_is_made(page: Page, stack: Stack) -> None:
    talk = stack.new_talk()
    answer = stack.call(
        "POST",
        "/api/v1/upload",
        files={"file": ("talk.mp4", talk.read_bytes())},
        data={"target_language": "es", "source_language": "en"},
    )
    page.goto(f"/#/jobs/{answer.json()['job_id']}")
    expect(page.get_by_role("heading", name="The first minute")).to_be_visible(timeout=120_000)
    assert page.get_by_role("heading", name="Report").count() == 0  # the rest is not there yet
    video = page.locator("video")
    page.wait_for_function("document.querySelector('video').readyState >= 1")
    assert video.evaluate("v => v.duration") == pytest.approx(60, abs=0.3)
    expect(page.get_by_role("heading", name="The first minute")).to_have_count(0, timeout=120_000)
    wait_done(page)
