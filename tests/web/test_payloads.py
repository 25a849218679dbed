"""Strings that would be scripts on a careless page. All of them are shown as they are, and nothing runs."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.stack import Stack
from tests.web.test_page import SCRIPT, pending

PAYLOADS = [
    "<script>ran(1)</script>",
    "<img src=x onerror=ran(1)>",
    "<svg onload=ran(1)>",
    "<svg><script>ran(1)</script></svg>",
    "<iframe srcdoc='<script>parent.ran(1)</script>'>",
    "<iframe src=javascript:parent.ran(1)>",
    "<body onload=ran(1)>",
    "<details open ontoggle=ran(1)>",
    "<video><source onerror=ran(1)></video>",
    "<audio src=x onerror=ran(1)>",
    "<input autofocus onfocus=ran(1)>",
    "<a href=javascript:ran(1)>x</a>",
    "<math><mtext><img src=x onerror=ran(1)></mtext></math>",
    "<template><img src=x onerror=ran(1)></template>",
    "<style>@import 'javascript:ran(1)';</style>",
    "<link rel=stylesheet href=javascript:ran(1)>",
    "<object data=javascript:ran(1)>",
    "<embed src=javascript:ran(1)>",
    "<form action=javascript:ran(1)><button>x</button></form>",
    "<marquee onstart=ran(1)>",
    '"><img src=x onerror=ran(1)>',
    "'><img src=x onerror=ran(1)>",
    '" onmouseover=ran(1) x="',
    "' onfocus=ran(1) autofocus x='",
    "javascript:ran(1)",
    "${ran(1)}",
    "{{constructor.constructor('ran(1)')()}}",
    "</title><script>ran(1)</script>",
    "<!--><img src=x onerror=ran(1)>-->",
    "&lt;img src=x onerror=ran(1)&gt;",
]


def watch(page: Page) -> None:
    page.add_init_script("window.runs = 0; window.ran = () => { window.runs += 1; }")
    page.on("dialog", lambda dialog: (dialog.dismiss(), page.evaluate("ran()")))


def listed(page: Page) -> list[str]:
    """The names of all jobs, over every page of the list."""
    page.goto("/#/jobs")
    names: list[str] = []
    while True:
        rows = page.locator(".jobs .what > a")
        rows.first.wait_for()
        names += rows.all_inner_texts()
        older = page.get_by_role("button", name="Older")
        if not older.count() or older.is_disabled():
            return names
        with page.expect_response(lambda r: "/api/v1/jobs?page=" in r.url):
            older.click()
        page.wait_for_timeout(200)


def test_as_names_of_files(page: Page, stack: Stack, clip: Path) -> None:
    watch(page)
    assert len(PAYLOADS) == 30
    ids = pending(stack, clip, PAYLOADS)
    kept = [stack.job(i)["filename"] for i in ids]
    assert {" ".join(name.split()) for name in kept} <= {" ".join(name.split()) for name in listed(page)}
    for job_id, name in zip(ids[:6], kept[:6], strict=True):
        page.goto(f"/#/jobs/{job_id}")
        expect(page.locator("#app h1")).to_have_text(name)
    assert page.evaluate("runs") == 0


def by_multipart(stack: Stack, clip: Path, name: str) -> str:
    answer = stack.call("POST", "/api/v1/upload", files={"file": (name, clip.read_bytes(), "video/mp4")})
    assert answer.status_code == 201, answer.text
    return answer.json()["file_id"]


def by_pieces(stack: Stack, clip: Path, name: str) -> str:
    content = clip.read_bytes()
    said = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(content)), "Upload-Metadata": said}
    at = stack.call("POST", "/api/v1/uploads", headers=headers).headers["location"]
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert stack.call("PATCH", at, headers=headers, content=content).status_code == 204
    return stack.call("GET", at).json()["file_id"]


@pytest.mark.parametrize("send", [by_multipart, by_pieces])
def test_as_names_that_came_with_the_file(
    page: Page, stack: Stack, clip: Path, send: Callable[[Stack, Path, str], str]
) -> None:
    watch(page)
    names: list[str] = []
    for payload in PAYLOADS[::3] + PAYLOADS[1:3]:
        made = stack.call(
            "POST",
            "/api/v1/jobs/video-translate/create",
            json={"file_id": send(stack, clip, payload), "target_language": "pt-BR"},
        ).json()
        names.append(made["filename"])
        page.goto(f"/#/jobs/{made['id']}")
        expect(page.locator("#app h1")).to_have_text(made["filename"])
        expect(page.locator(".facts")).to_contain_text(made["filename"])
    # Some of it must have come through, or nothing was tried.
    assert any("onerror=ran(1)" in name for name in names)
    page.goto("/")
    expect(page.locator(".latest")).to_contain_text(names[-1])
    assert page.evaluate("runs") == 0


def test_as_why_a_job_failed_in_the_list_and_the_dead_letters(page: Page, stack: Stack, clip: Path) -> None:
    watch(page)
    ids = pending(stack, clip, [f"dead{n}.mp4" for n in range(len(PAYLOADS))])
    with closing(sqlite3.connect(stack.home / "dubline.db", timeout=20)) as db, db:
        for job_id, payload in zip(ids, PAYLOADS, strict=True):
            error = {"code": "x", "message": payload, "hint": payload, "retryable": True, "details": {}}
            values = (json.dumps(error), job_id)
            db.execute("UPDATE jobs SET status = 'failed', is_dead = 1, error = ? WHERE id = ?", values)
    page.goto("/#/system")
    for payload in PAYLOADS:
        expect(page.locator("section", has_text="Dead letters")).to_contain_text(payload)
    page.goto("/#/jobs")
    page.get_by_role("searchbox").fill("dead")
    expect(page.get_by_role("navigation", name="Pages")).to_contain_text("1–20 of 30")
    shown = page.locator(".jobs .bad-text")
    assert set(shown.all_inner_texts()) <= set(PAYLOADS)
    assert shown.count() == 20
    stack.call("POST", "/api/v1/jobs/bulk/delete", json={"job_ids": ids})
    assert page.evaluate("runs") == 0


def test_as_lines_events_errors_and_report(page: Page, stack: Stack, clip: Path) -> None:
    watch(page)
    [job_id] = pending(stack, clip, ["victim.mp4"])
    job = stack.job(job_id)
    everything = " ".join(PAYLOADS)
    evil: dict[str, Any] = {"status": "failed", "current_step": everything, "target_language": PAYLOADS[1]}
    evil |= {"detected_language": PAYLOADS[2], "flow_run_id": PAYLOADS[20], "error_message": everything}
    evil["error"] = {"message": everything, "hint": everything, "code": everything, "retryable": True}
    state = {"job": {**job, **evil}}
    lines = [
        {**SCRIPT["segments"][0], "id": f"u{n}", "text": p, "source_text": f"{p} ", "voice": p}
        for n, p in enumerate(PAYLOADS)
    ]

    def serve(route: Route) -> None:
        tail = route.request.url.rpartition(job_id)[2]
        if tail == "/events":
            route.fulfill(json={"events": [{"at": "2026-01-01T00:00:00Z", "message": p, "type": p} for p in PAYLOADS]})
        elif tail == "/transcript":
            route.fulfill(
                json={**SCRIPT, "segments": lines, "source_language": PAYLOADS[1], "target_language": PAYLOADS[2]}
            )
        elif tail == "/artifacts":
            rows = [
                {"name": n, "filename": PAYLOADS[1], "media_type": "video/mp4", "size_bytes": 1}
                for n in ("video", "report")
            ]
            route.fulfill(json={"artifacts": rows})
        elif "/artifacts/report" in tail:
            route.fulfill(json=report())
        elif tail == "":
            route.fulfill(json=state["job"])
        else:
            route.fulfill(status=404, json={"detail": everything, "hint": everything})

    page.route(re.compile(job_id), serve)
    page.goto(f"/#/jobs/{job_id}")
    expect(page.get_by_role("alert")).to_contain_text(PAYLOADS[0])
    expect(page.locator(".events li")).to_have_count(len(PAYLOADS))
    state["job"] = {**job, **evil, "status": "completed", "verdict": "review", "error": None}
    page.reload()
    expect(page.locator(".line textarea")).to_have_count(len(PAYLOADS))
    assert page.locator(".line textarea").evaluate_all("all => all.map(t => t.value)") == PAYLOADS
    expect(page.locator(".line .source").nth(1)).to_contain_text(PAYLOADS[1])
    expect(page.locator(".worst li")).to_have_count(len(PAYLOADS))
    assert page.evaluate("runs") == 0
    assert page.locator("#app script, #app iframe, #app object, #app embed, #app math").count() == 0


def report() -> dict[str, Any]:
    line = {"start_s": 1.0, "end_s": 2.0, "source_start_s": 1.0, "slot_s": 1.5, "stretch": 1.0, "onset_error_s": 0.0}
    line |= {"overrun_s": 0.0, "is_silent": False}
    return {
        "verdict": "review",
        "message": PAYLOADS[1],
        "reasons": PAYLOADS,
        "provenance": {"media_s": 9.0},
        "recognition": {"speech_coverage": None},
        "translation": {
            "lines": 30,
            "numbers_kept": None,
            "back_translation_chrf": None,
            "back_translation_reason": PAYLOADS[20],
        },
        "timing": {
            "lines": [{**line, "utterance_id": f"u{n}", "target_text": p} for n, p in enumerate(PAYLOADS)],
            "share_pace_le_1_2": None,
            "speech_overlap_iou": None,
        },
        "voice": {"wer": None, "reason": PAYLOADS[20]},
        "mix": {"loudness_error_lu": None},
        "container": {"video_stream_hash_equal": None, "video_stream_hash_reason": PAYLOADS[22]},
        "worst_lines": [
            {"utterance_id": "u0", "start_s": 1.0, "problem": p, "mend": p, "proposal": p} for p in PAYLOADS
        ],
    }
