"""How the browser is started, and the steps that tests and screenshots share."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def absent(reason: str) -> None:
    """Skip; fail where these tests must run."""
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def launch(playwright: Playwright, chromium: str) -> Browser:
    """A browser with a new profile of its own, which Playwright removes with it."""
    return playwright.chromium.launch(executable_path=chromium, args=_FLAGS)


def choose(page: Page, field: str, search: str, row: str) -> None:
    """Pick a row of a list with search."""
    box = page.get_by_role("combobox", name=field)
    box.click()
    box.press_sequentially(search)
    page.get_by_role("option", name=row).first.click()


def fill(page: Page, clip: Path, name: str | None = None) -> None:
    """Choose a file and both languages in the form that is shown."""
    if name is None:
        page.locator("#file").set_input_files(clip)
    else:
        page.locator("#file").set_input_files({"name": name, "mimeType": "video/mp4", "buffer": clip.read_bytes()})
    choose(page, "Spoken language", "eng", "English en")
    choose(page, "Dub into", "brazil", "Brazilian Portuguese")


def drop(page: Page, place: str, *files: tuple[str, Path]) -> None:
    """Let files go over a place, as a hand with a mouse does."""
    page.locator(".drop").wait_for()
    page.evaluate(
        """([place, files]) => {
            const data = new DataTransfer();
            for (const [name, content] of files) {
                const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
                data.items.add(new File([bytes], name, {type: "video/mp4"}));
            }
            document.querySelector(place).dispatchEvent(
                new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        [place, [[name, base64.b64encode(path.read_bytes()).decode()] for name, path in files]],
    )


def dub(page: Page, clip: Path, name: str | None = None) -> str:
    """Send a file through the form; the id of its job."""
    page.goto("/")
    fill(page, clip, name)
    page.get_by_role("button", name="Dub this video").click()
    page.wait_for_url("**/#/jobs/*")
    return page.url.rpartition("/")[2]


def watch_progress(page: Page) -> None:
    """Note every change of the bar and the stage from now on; `progress_seen` tells them."""
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                const bar = document.querySelector(".under [role=progressbar]");
                const step = document.querySelector(".steps .now > span:nth-child(2)");
                if (bar) window.seen.push([Number(bar.getAttribute("aria-valuenow")), step?.textContent || ""]);
            }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
        }"""
    )


def progress_seen(page: Page) -> tuple[list[int], set[str]]:
    """Shares in percent in the order in which they were shown, and the names of the stages."""
    seen = page.evaluate("window.seen")
    return [share for share, _ in seen], {step for _, step in seen}


def until(page: Page, expression: str, within_s: float = 20.0) -> None:
    """Wait for a JavaScript expression to hold. Playwright's own wait needs `eval`, which the page's policy forbids."""
    deadline_s = time.monotonic() + within_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline_s, expression
        page.wait_for_timeout(50)


def wait_done(page: Page, within_s: float = 120.0) -> None:
    expect(page.locator("video")).to_be_visible(timeout=within_s * 1000)
