"""A real browser before the real service; only the engines are simulated."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from api.routes.page import LIBRARIES
from tests.stack import Stack
from tests.web.browser import absent, launch


@pytest.fixture(scope="package")
def chromium() -> str:
    """Where the browser is."""
    found = shutil.which("chromium")
    if found is None:
        absent("no chromium on the path")
    if not all(path.is_file() for path in LIBRARIES.values()):
        absent("the page's libraries are not installed: run make setup with npm")
    return found or ""


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    # Not for longer than a module: while Playwright's own loop runs, no asynchronous test can.
    with sync_playwright() as playwright:
        opened = launch(playwright, chromium)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def stack(chromium: str, new_home: Callable[[], Path]) -> Iterator[Stack]:
    started = Stack(new_home())
    yield started
    started.stop()


@pytest.fixture(scope="package")
def clip(stack: Stack) -> Path:
    return stack.new_clip()


@pytest.fixture
def context(browser: Browser, stack: Stack) -> Iterator[BrowserContext]:
    # bypass_csp stays off: the policy is part of what is tested.
    opened = browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900}, locale="en-GB")
    opened.set_default_timeout(20_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that may have no fault of its own: an error of a script, or something that the policy refused."""
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "console",
        lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield opened
    assert not faults
