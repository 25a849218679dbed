"""How the browser is started, and the steps that tests and screenshots share."""

from __future__ import annotations

import time
from pathlib import Path

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


def launch(playwright: Playwright, chromium: str) -> Browser:
    """A browser with a new profile of its own, which Playwright removes with it."""
    return playwright.chromium.launch(executable_path=chromium, args=_FLAGS)


def choose(page: Page, field: str, search: str, row: str) -> None:
    """Pick a row of a list with search."""
    box = page.get_by_role("combobox", name=field)
    box.click()
    box.press_sequentially(search)
    page.get_by_role("option", name=row).first.click()


def dub(page: Page, clip: Path, name: str | None = None) -> str:
    """Send a file through the form; the id of its job."""
    page.goto("/")
    file = {"name": name or clip.name, "mimeType": "video/mp4", "buffer": clip.read_bytes()}
    page.locator("input[type=file]").set_input_files(files=[file])  # pyright: ignore[reportArgumentType]
    choose(page, "Spoken language", "eng", "English en")
    choose(page, "Dub into", "brazil", "Brazilian Portuguese")
    page.get_by_role("button", name="Dub this video").click()
    page.wait_for_url("**/#/jobs/*")
    return page.url.rpartition("/")[2]


def until(page: Page, expression: str, within_s: float = 20.0) -> None:
    """Wait for a JavaScript expression to hold. Playwright's own wait needs `eval`, which the page's policy forbids."""
    deadline_s = time.monotonic() + within_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline_s, expression
        page.wait_for_timeout(50)


def wait_done(page: Page, within_s: float = 120.0) -> None:
    expect(page.locator("video")).to_be_visible(timeout=within_s * 1000)
