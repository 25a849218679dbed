"""The form of a new dub: what is dropped, chosen and sent, and an upload that outlives its view and a reload."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, Request, Response, Route, expect

from tests.stack import Stack
from tests.web.browser import choose, drop, dub, fill, until

pytestmark = pytest.mark.timeout(300)
_COMMIT_BYTES = 8 * 1024**2


@pytest.fixture(scope="module")
def large(clip: Path) -> Path:
    """A video of which the service counts a part before it is whole: behind it stands a box that players skip."""
    path = clip.parent / "large.mp4"
    size = 3 * _COMMIT_BYTES
    path.write_bytes(clip.read_bytes() + struct.pack(">I4s", size, b"free") + bytes(size - 8))
    return path


def slow_line(page: Page, bytes_per_s: int) -> Callable[[], None]:
    """Make sending slow; returns how to make it fast again."""
    session = page.context.new_cdp_session(page)

    def limit(rate: int) -> None:
        values = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate}
        session.send("Network.emulateNetworkConditions", values)

    session.send("Network.enable")
    limit(bytes_per_s)
    return lambda: limit(-1)


def share_of(text: str) -> int:
    found = re.search(r"(\d+) %", text)
    assert found is not None, text
    return int(found[1])


def test_an_upload_goes_on_while_other_views_are_shown(page: Page, stack: Stack, large: Path) -> None:
    ended: list[str] = []
    dialogs: list[str] = []

    def asked(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.accept()

    page.on("request", lambda request: ended.append(request.url) if request.method == "DELETE" else None)
    page.on("dialog", asked)
    fast = slow_line(page, 1_500_000)
    page.goto("/")
    fill(page, large)
    page.get_by_text("More choices").click()
    page.locator("#background").select_option("keep")
    page.get_by_role("button", name="Dub this video").click()
    until(page, "Number(document.querySelector('.sending [role=progressbar]')?.getAttribute('aria-valuenow')) > 4")
    page.get_by_role("link", name="Jobs", exact=True).click()
    note = page.locator(".top .note")
    expect(note).to_contain_text(re.compile(r"Upload \d+ %"))
    first = share_of(note.inner_text())
    assert first >= 4
    until(page, f"Number(document.querySelector('.note').textContent.match(/[0-9]+/)[0]) > {first + 3}")

    note.click()
    expect(page.get_by_role("button", name="Stop the upload")).to_be_visible()
    expect(note).to_have_count(0)
    expect(page.locator(".drop .file-name")).to_have_text("large.mp4")
    expect(page.get_by_role("combobox", name="Dub into")).to_have_value("Brazilian Portuguese")
    expect(page.locator("#background")).to_have_value("keep")
    assert share_of(page.locator(".sending span").first.inner_text()) > first

    page.get_by_role("link", name="System").click()
    expect(note).to_be_visible()
    fast()
    expect(page.get_by_role("status").filter(has_text="large.mp4 is sent, and its job has begun.")).to_be_visible()
    expect(note).to_have_count(0)
    [job] = stack.call("GET", "/api/v1/jobs?q=large.mp4").json()["jobs"]
    assert (job["file_size"], job["target_language"]) == (large.stat().st_size, "pt-BR")
    assert job["processing_config"]["background"] == "keep"
    assert ended == []
    page.reload()
    assert dialogs == []


def test_a_reload_asks_and_the_same_file_goes_on_where_it_was(page: Page, stack: Stack, large: Path) -> None:
    offsets: list[int] = []
    begun: list[str] = []
    dialogs: list[str] = []

    def sent(request: Request) -> None:
        if request.method == "PATCH":
            offsets.append(int(request.headers["upload-offset"]))

    def answered(response: Response) -> None:
        if response.request.method == "POST" and response.url.endswith("/api/v1/uploads"):
            begun.append(response.headers["location"])

    def asked(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.accept()

    page.on("request", sent)
    page.on("response", answered)
    page.on("dialog", asked)
    fast = slow_line(page, 3_000_000)
    page.goto("/")
    fill(page, large)
    page.get_by_role("button", name="Dub this video").click()
    for _ in range(300):
        if begun and stack.call("GET", begun[0]).json()["offset_bytes"] >= _COMMIT_BYTES:
            break
        page.wait_for_timeout(100)
    page.reload()
    assert dialogs == ["beforeunload"]
    fast()
    fill(page, large)
    page.get_by_role("button", name="Dub this video").click()
    page.wait_for_url("**/#/jobs/*")
    assert len(begun) == 1
    assert offsets[0] == 0
    assert offsets[1] >= _COMMIT_BYTES
    assert stack.job(page.url.rpartition("/")[2])["file_size"] == large.stat().st_size
    assert remembered(page) == []


def remembered(page: Page) -> list[str]:
    """What the page keeps of uploads that may be taken up again."""
    return page.evaluate("Object.keys(localStorage).filter(k => k.startsWith('tus::'))")


def test_a_stopped_upload_is_gone_everywhere(page: Page, stack: Stack, large: Path) -> None:
    slow_line(page, 1_000_000)
    page.goto("/")
    fill(page, large)
    with page.expect_response(lambda r: r.request.method == "POST" and r.url.endswith("/uploads")) as begun:
        page.get_by_role("button", name="Dub this video").click()
    until(page, "Object.keys(localStorage).some(k => k.startsWith('tus::'))")
    with page.expect_response(lambda r: r.request.method == "DELETE"):
        page.get_by_role("button", name="Stop the upload").click()
    expect(page.get_by_role("button", name="Dub this video")).to_be_enabled()
    expect(page.get_by_role("alert")).to_have_count(0)
    # The service refuses to forget it while the piece that was cut is still being written; the page asks once more.
    until(page, "!Object.keys(localStorage).some(k => k.startsWith('tus::'))")
    assert stack.call("GET", begun.value.headers["location"]).status_code == 404


def test_an_upload_is_paused_goes_on_and_survives_a_cut_line(page: Page, clip: Path, stack: Stack) -> None:
    pieces: list[int] = []

    def pieces_fail(route: Route) -> None:
        if route.request.method != "PATCH":
            route.continue_()
            return
        pieces.append(int(route.request.headers["upload-offset"]))
        if len(pieces) == 2:
            route.abort()  # the line is cut
        elif len(pieces) > 2:
            route.continue_()
        # the first one hangs until it is paused

    page.route("**/api/v1/uploads/*", pieces_fail)
    page.goto("/")
    fill(page, clip, "held.mp4")
    page.get_by_role("button", name="Dub this video").click()
    while not pieces:
        page.wait_for_timeout(20)
    page.get_by_role("button", name="Pause the upload").click()
    expect(page.get_by_text("Paused, ")).to_be_visible()
    page.wait_for_timeout(800)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/#/jobs/*")
    job = stack.job(page.url.rpartition("/")[2])
    assert (job["filename"], job["file_size"]) == ("held.mp4", clip.stat().st_size)
    assert len(pieces) == 3


def test_a_file_that_is_refused_while_another_view_is_shown_is_told_there(page: Page) -> None:
    waiting: list[Route] = []
    page.route("**/api/v1/uploads/*", lambda route: waiting.append(route))
    page.goto("/")
    page.locator("#file").set_input_files({"name": "no.mp4", "mimeType": "video/mp4", "buffer": b"no video " * 99})
    choose(page, "Dub into", "brazil", "Brazilian Portuguese")
    page.get_by_role("button", name="Dub this video").click()
    while not waiting:
        page.wait_for_timeout(20)
    page.get_by_role("link", name="Jobs", exact=True).click()
    waiting[0].continue_()
    expect(page.locator(".note")).to_have_text("Upload failed")
    expect(page.locator(".news p")).not_to_be_empty()
    page.locator(".note").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator(".drop .file-name")).to_have_text("no.mp4")


def test_a_refused_file_says_why_and_the_form_stays(page: Page) -> None:
    page.goto("/")
    page.locator("input[type=file]").set_input_files(
        files=[{"name": "note.mp4", "mimeType": "video/mp4", "buffer": b"no video " * 99}]
    )
    choose(page, "Dub into", "brazil", "Brazilian Portuguese")
    page.get_by_role("button", name="Dub this video").click()
    alert = page.get_by_role("alert")
    expect(alert).to_be_visible()
    assert len(alert.inner_text()) > 20
    expect(page.get_by_role("button", name="Dub this video")).to_be_enabled()


def test_what_is_chosen_is_what_is_asked_for(page: Page, stack: Stack, clip: Path) -> None:
    page.goto("/")
    fill(page, clip, "chosen.mp4")
    page.get_by_text("More choices").click()
    chosen = {
        "background": "separate",
        "speakers": "2",
        "profile": "strict",
        "subtitles": "sidecar",
        "quality": "fast",
        "priority": "9",
        "stt_model": "base",
    }
    for name, value in chosen.items():
        page.locator(f"#{name}").select_option(value)
    assert page.locator("#speakers option").evaluate_all("all => all.map(o => o.value)") == [
        "one",
        "auto",
        *(str(n) for n in range(2, 9)),
    ]
    page.get_by_label("Keep the original sound").check()
    page.get_by_label("Glossary").fill("no equals sign")
    page.get_by_role("button", name="Dub this video").click()
    expect(page.get_by_role("alert")).to_contain_text("is no line of a glossary")
    page.get_by_label("Glossary").fill("step = passo\n\n long road=estrada = longa \n")
    page.get_by_label("Voice", exact=True).select_option("sim_pt-br")
    with page.expect_request(lambda r: r.method == "POST" and r.url.endswith("/api/v1/jobs")) as asked:
        page.get_by_role("button", name="Dub this video").click()
    page.wait_for_url("**/#/jobs/*")
    body = asked.value.post_data_json
    assert body is not None
    file_id = body.pop("file_id")
    assert body == {
        **chosen,
        "speakers": 2,
        "priority": 9,
        "source_language": "en-US",
        "target_language": "pt-BR",
        "tts_voice": "sim_pt-br",
        "tts_engine": "simulated",
        "keep_original_audio": True,
        "glossary": {"step": "passo", "long road": "estrada = longa"},
    }
    job = stack.job(page.url.rpartition("/")[2])
    assert (job["file_id"], job["priority"]) == (file_id, 9)
    assert job["processing_config"]["speakers"] == 2
    assert job["processing_config"]["glossary"] == body["glossary"]


def test_of_many_files_the_first_is_taken_and_a_near_miss_counts(page: Page, clip: Path) -> None:
    page.goto("/")
    drop(page, "body", ("first.mp4", clip), ("second.mp4", clip))
    expect(page.locator(".drop .file-name")).to_have_text("first.mp4")
    expect(page.get_by_role("status").filter(has_text="Of the 2 files only the first is taken")).to_be_visible()
    drop(page, "h1", ("third.mp4", clip))
    expect(page.locator(".drop .file-name")).to_have_text("third.mp4")
    expect(page.get_by_text("only the first is taken")).to_have_count(0)
    # Elsewhere a file that is let go does not take the page away.
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.locator("#app h1").filter(has_text="Jobs").wait_for()
    assert page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["x"], "x.mp4"));
            const event = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
            document.body.dispatchEvent(event);
            return event.defaultPrevented;
        }"""
    )


def test_it_comes_back_by_itself_when_the_service_does(page: Page, stack: Stack, clip: Path) -> None:
    job_id = dub(page, clip, "back.mp4")
    asked: list[str] = []
    page.goto("about:blank")
    page.route("**/api/v1/languages", lambda route: route.abort())
    page.route(
        f"**/api/v1/jobs/{job_id}", lambda route: route.fulfill(status=503, json={"detail": "Not now.", "hint": ""})
    )
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("The page tries again by itself.")
    expect(page.get_by_role("combobox", name="Dub into")).to_be_disabled()
    page.unroute("**/api/v1/languages")
    expect(page.get_by_role("combobox", name="Dub into")).to_be_enabled(timeout=6000)
    expect(page.get_by_role("alert")).to_have_count(0)

    page.goto(f"/#/jobs/{job_id}")
    expect(page.get_by_role("alert")).to_contain_text(re.compile("Not now.*The page tries again by itself"))
    page.unroute(f"**/api/v1/jobs/{job_id}")
    expect(page.locator("#app h1")).to_have_text("back.mp4", timeout=6000)

    # What is not there stays so, and nobody asks again.
    page.on("request", lambda request: asked.append(request.url) if "00000000" in request.url else None)
    page.goto("/#/jobs/00000000-0000-4000-8000-000000000000")
    expect(page.get_by_role("heading", name="No such job")).to_be_visible()
    expect(page.get_by_role("alert")).not_to_contain_text("tries again")
    page.wait_for_timeout(3000)
    assert len([url for url in asked if "/api/" in url]) == 1
