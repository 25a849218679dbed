"""What people do on the page, in a real browser against the real service."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.stack import Stack
from tests.web.browser import choose, drop, dub, progress_seen, until, wait_done, watch_progress

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def done(stack: Stack, clip: Path) -> str:
    """A finished dub."""
    answer = stack.call(
        "POST",
        "/api/v1/upload",
        files={"file": ("talk.mp4", clip.read_bytes())},
        data={"source_language": "en", "target_language": "pt-BR"},
    )
    job_id = answer.json()["job_id"]
    assert stack.wait([job_id], 180)[job_id]["status"] == "completed"
    return job_id


def seconds_of(page: Page, media: str) -> float:
    return page.locator(media).evaluate("m => m.currentTime")


def until_plays(page: Page, media: str, least_s: float) -> None:
    until(page, f"document.querySelector('{media}')?.currentTime > {least_s}")


def test_drop_a_file_watch_it_and_play_the_dub(page: Page, stack: Stack) -> None:
    clip = stack.new_clip()  # one that is dubbed already would be done at once
    page.goto("/")
    drop(page, ".drop", ("dropped talk.mp4", clip))
    expect(page.get_by_text("dropped talk.mp4")).to_be_visible()
    choose(page, "Spoken language", "eng", "English en")
    choose(page, "Dub into", "brazil", "Brazilian Portuguese")
    page.get_by_role("button", name="Dub this video").click()
    page.wait_for_url("**/#/jobs/*")
    watch_progress(page)
    wait_done(page)
    shares, steps = progress_seen(page)
    assert shares == sorted(shares)
    assert len(set(shares)) >= 3
    assert len(steps - {""}) >= 3, steps  # which of them is chance where all are short; test_real.py wants names

    page.locator("video").evaluate("v => v.play()")
    until_plays(page, "video", 0.7)
    page.get_by_role("button", name="Original").click()
    until_plays(page, "audio", 0.8)
    assert page.locator("video").evaluate("v => v.muted")
    assert abs(seconds_of(page, "video") - seconds_of(page, "audio")) < 0.4
    page.get_by_role("group", name="Sound").get_by_role("button").first.click()
    until(page, "!document.querySelector('video').muted")  # the page does so after it has painted

    page.get_by_label("Subtitles").select_option("Brazilian Portuguese")
    until(page, "[...document.querySelector('video').textTracks].some(t => t.mode == 'showing' && t.cues?.length)")
    until(page, "document.querySelector('.wave div')?.shadowRoot?.querySelectorAll('[part~=region]').length > 0")
    assert page.locator(".timeline svg .speech").count() >= 2
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Download", exact=True).click()
    assert fetched.value.suggested_filename == "dropped talk.pt-BR.mp4"
    assert fetched.value.path().stat().st_size > 10_000


def test_a_voice_is_heard_and_the_time_is_told_before_the_start(page: Page, clip: Path) -> None:
    page.goto("/")
    choose(page, "Dub into", "brazil", "Brazilian Portuguese")
    page.evaluate(
        "() => { const play = Audio.prototype.play;"
        " Audio.prototype.play = function () { window.heard = this; return play.call(this); }; }"
    )
    page.get_by_label("Voice", exact=True).select_option(index=1)
    with page.expect_response("**/api/v1/voices/sample?*") as asked:
        page.get_by_role("button", name="Hear it").click()
    assert asked.value.status == 200
    until(page, "window.heard?.currentTime > 0.3")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Hear it")).to_be_visible()
    assert page.evaluate("window.heard.paused")

    expect(page.locator(".outlook")).to_have_count(0)
    page.locator("#file").set_input_files(clip)
    expect(page.locator(".outlook")).to_contain_text(re.compile(r"\d+ s of video: ready about .* after the upload"))
    expect(page.locator(".outlook")).to_contain_text("of processor time and no money")
    page.locator("#file").set_input_files({"name": "a.mkv", "mimeType": "video/x-matroska", "buffer": b"nothing"})
    expect(page.locator(".outlook")).to_have_count(0)


def test_a_line_is_played_when_it_is_clicked(page: Page, done: str) -> None:
    page.goto(f"/#/jobs/{done}")
    wait_done(page)
    page.locator(".line .stamp").last.click()
    start_s = page.evaluate(
        "path => fetch(path).then(r => r.json()).then(r => r.timing.lines.at(-1).start_s)",
        f"/api/v1/jobs/{done}/artifacts/report",
    )
    until_plays(page, "video", start_s)
    expect(page.locator(".line.now")).to_have_count(1)


def test_without_the_stream_it_looks_every_two_seconds(page: Page, clip: Path) -> None:
    polled_s: list[float] = []

    def look(route: Route) -> None:
        polled_s.append(time.monotonic())
        route.continue_()

    page.route("**/stream", lambda route: route.abort())
    page.route(re.compile(r"/api/v1/jobs/[0-9a-f-]{36}$"), look)
    dub(page, clip, "polled.mp4")
    wait_done(page)
    expect(page.locator(".status").first).to_have_text("Have a look")
    # The first look is the view's own; after eight more the stream is tried again.
    gaps_s = [b - a for a, b in pairwise(polled_s[1:9])]
    assert gaps_s
    assert min(gaps_s) > 1.8
    assert median(gaps_s) < 3.0


SCRIPT: dict[str, Any] = {
    "source_language": "en",
    "target_language": "pt-BR",
    "revision": 0,
    "rendered_revision": 0,
    "revisions": [],
    "segments": [
        {
            "id": f"u{n}",
            "start_s": 1.0 + 3 * n,
            "end_s": 3.0 + 3 * n,
            "source_text": f"Line {n} as it was said.",
            "text": f"Linha {n} como foi dita.",
            "speaker": "S1",
            "voice": "sim_pt-br",
            "edited": False,
            "spoken_start_s": 1.0 + 3 * n,
            "spoken_end_s": 3.0 + 3 * n,
            "pace": 1.0,
            "fits": True,
            "estimated_s": 2.0,
            "slot_s": 3.0,
        }
        for n in range(3)
    ],
}


def test_the_editor_asks_for_what_the_contract_says(page: Page, done: str) -> None:
    script = json.loads(json.dumps(SCRIPT))
    asked: list[tuple[str, str, Any]] = []
    warnings = [{"id": "u0", "message": "It takes 4.0 s and has 3.0 s.", "proposal": "Curta."}]
    plan = {"stages_again": [], "lines_again": ["u0"], "seconds_expected": 8.0, "warnings": warnings}

    def serve(route: Route) -> None:
        request = route.request
        tail = request.url.rpartition(done)[2]
        body = request.post_data_json if request.method != "GET" else None
        if body is not None:
            asked.append((request.method, tail, body))
        if tail == "/transcript" and body is not None:
            script["revision"] += 1
            for edit in body["edits"]:
                if edit["op"] == "change":
                    row = next(r for r in script["segments"] if r["id"] == edit["id"])
                    row.update({k: v for k, v in edit.items() if k not in ("op", "id")}, edited=True)
            route.fulfill(json={**script, "plan": plan})
        elif tail == "/transcript/undo":
            script["revision"] += 1
            route.fulfill(json=script)
        elif tail == "/render":
            route.fulfill(json={"plan": plan}) if body.get("dry_run") else route.fulfill(status=202, json={})
        else:
            route.fulfill(json=script)

    page.route(re.compile(f"{done}/(transcript|render)"), serve)
    page.goto(f"/#/jobs/{done}")
    first = page.get_by_role("textbox", name="Translation at 0:01")
    first.fill("Uma linha que é longa demais para o seu tempo.")
    first.press("Control+Enter")
    expect(page.get_by_role("textbox", name="Translation at 0:04")).to_be_focused()
    expect(page.get_by_text("It takes 4.0 s and has 3.0 s.")).to_be_visible()
    page.get_by_role("button", name="Take Curta.").click()
    expect(first).to_have_value("Curta.")
    first.evaluate("t => t.setSelectionRange(3, 3)")
    first.press("Alt+s")
    first.press("Alt+m")
    page.locator("#app h1").click()
    page.keyboard.press("Control+z")
    expect(page.get_by_text("1 line is spoken again, about 8 s.")).to_be_visible()
    page.get_by_role("button", name="Render what changed").click()
    until(page, "!document.querySelector('.render button:not([disabled])')")
    assert asked == [
        (
            "PUT",
            "/transcript",
            {
                "revision": 0,
                "edits": [{"op": "change", "id": "u0", "text": "Uma linha que é longa demais para o seu tempo."}],
            },
        ),
        ("PUT", "/transcript", {"revision": 1, "edits": [{"op": "change", "id": "u0", "text": "Curta."}]}),
        ("PUT", "/transcript", {"revision": 2, "edits": [{"op": "split", "id": "u0", "at_char": 3}]}),
        ("PUT", "/transcript", {"revision": 3, "edits": [{"op": "merge", "id": "u0", "with_id": "u1"}]}),
        ("POST", "/transcript/undo", {"revision": 4}),
        ("POST", "/render", {"dry_run": True}),
        ("POST", "/render", {"revision": 5}),
    ]


def pending(stack: Stack, clip: Path, names: list[str]) -> list[str]:
    """Jobs that wait for their person, by the names of their files."""
    stored = stack.call("POST", "/api/v1/upload", files={"file": ("a.mp4", clip.read_bytes())}).json()["file_id"]
    rows = [
        stack.call(
            "POST",
            "/api/v1/jobs/video-translate/create",
            json={"file_id": stored, "target_language": "pt-BR", "filename": name},
        )
        for name in names
    ]
    return [row.json()["id"] for row in rows]


def test_search_mark_and_delete_many(page: Page, stack: Stack, clip: Path) -> None:
    pending(stack, clip, [f"many{n}.mp4" for n in range(3)])
    page.goto("/#/jobs")
    page.get_by_role("searchbox").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("many")
    expect(page.locator(".jobs > li")).to_have_count(3)
    page.get_by_label("Mark many0.mp4").check()
    page.get_by_label("Mark many2.mp4").check()
    page.get_by_role("button", name="Cancel (2)").click()
    expect(page.get_by_role("status").filter(has_text="2 jobs cancelled.")).to_be_visible()
    page.get_by_label("Show").select_option("Cancelled")
    page.get_by_label("Mark many0.mp4").check()
    page.get_by_role("button", name="Delete (1)").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".jobs > li")).to_have_count(1)


def test_a_missing_library_is_said_on_the_page(context: BrowserContext) -> None:
    page = context.new_page()
    page.route("**/web/lib/preact.js", lambda route: route.fulfill(status=404, body="{}"))
    page.goto("/")
    expect(page.get_by_role("heading", name="The page is not complete")).to_be_visible()
    expect(page.get_by_text("make setup")).to_be_visible()


def test_the_page_is_there_within_a_second(context: BrowserContext) -> None:
    times_ms = []
    for _ in range(3):
        page = context.new_page()
        page.goto("/")
        page.get_by_role("heading", name="Dub a video").wait_for()
        times_ms.append(page.evaluate("performance.now()"))
        page.close()
    assert min(times_ms) < 1000


def test_a_dead_letter_is_put_back(page: Page, stack: Stack, clip: Path) -> None:
    job_id = dub(page, clip, "unlucky.mp4")
    wait_done(page)
    error = {"code": "engine_lost", "message": "It was lost too often.", "hint": "", "retryable": True, "details": {}}
    with closing(sqlite3.connect(stack.home / "dubline.db", timeout=20)) as db, db:
        values = ("failed", json.dumps(error), job_id)
        db.execute("UPDATE jobs SET status = ?, error = ?, is_dead = 1 WHERE id = ?", values)
    page.goto("/#/system")
    letter = page.get_by_role("listitem").filter(has_text="unlucky.mp4")
    letter.get_by_role("button", name="Put back").click()
    expect(letter).to_have_count(0)
    assert stack.wait([job_id], 120)[job_id]["status"] == "completed"
    assert stack.job(job_id)["attempt"] == 2
