"""For those who see little, see it small or have no mouse: axe, no sideways scroll, keys for everything."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from api.routes import page as served
from tests.stack import Stack
from tests.web.browser import absent, wait_done
from tests.web.test_page import SCRIPT, pending

_AXE = Path(served.__file__).parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def places(stack: Stack, clip: Path) -> dict[str, str]:
    """Every view with something in it."""
    job_id = stack.submit()
    pending(stack, clip, ["a-name-without-any-place-to-break-" * 3 + ".mp4"])
    assert stack.wait([job_id], 180)[job_id]["status"] == "completed"
    return {"new": "/#/", "jobs": "/#/jobs", "job": f"/#/jobs/{job_id}", "system": "/#/system"}


def violations(page: Page) -> list[str]:
    page.evaluate(_AXE.read_text())
    found = page.evaluate("rules => axe.run({runOnly: rules}).then(r => r.violations)", _RULES)
    return [f"{v['id']}: {node['html'][:120]} {node['failureSummary'][:300]}" for v in found for node in v["nodes"]]


def answer(body: dict[str, Any]) -> Callable[[Route], None]:
    return lambda route: route.fulfill(json=body)


def settle(page: Page, name: str) -> None:
    page.locator("#app h1").wait_for()
    if name == "job":
        wait_done(page)
        page.locator(".timeline").wait_for()
    elif name == "system":
        page.get_by_role("heading", name="All is well").wait_for()
    elif name == "jobs":
        page.locator(".jobs li").first.wait_for()


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (360, "light"),
        pytest.param(1440, "dark", marks=pytest.mark.slow),
        pytest.param(360, "dark", marks=pytest.mark.slow),
        pytest.param(1440, "light", marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    browser: Browser, stack: Stack, places: dict[str, str], theme: Literal["light", "dark"], width: int
) -> None:
    if not _AXE.is_file():
        absent("axe-core is not installed: run make setup with npm")
    context = browser.new_context(
        base_url=stack.url, color_scheme=theme, viewport={"width": width, "height": 800}, reduced_motion="reduce"
    )
    page = context.new_page()
    found: list[str] = []
    for name, path in places.items():
        page.goto(path)
        settle(page, name)
        page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true; })")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        found += [f"{name}: {row}" for row in violations(page)]
    job_id = places["job"].rpartition("/")[2]
    job = stack.job(job_id)
    error = {"code": "media_unreadable", "message": "It is broken.", "hint": "", "retryable": False, "details": {}}
    for name, state, sign in (
        ("at work", {"status": "processing", "progress": 41, "progress_stage": "synthesis"}, ".under"),
        ("failed", {"status": "failed", "error": error, "error_message": "It is broken."}, ".trouble"),
    ):
        page.route(re.compile(f"{job_id}$"), answer({**job, **state}))
        page.route(re.compile(f"{job_id}/stream$"), lambda route: route.abort())
        page.goto(places["job"])
        page.reload()
        page.locator(sign).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        found += [f"{name}: {row}" for row in violations(page)]
        page.unroute_all()
    page.route(re.compile("/transcript$"), lambda route: route.fulfill(json=SCRIPT))
    page.goto(places["job"])
    page.reload()
    page.get_by_label("More for the line at 0:01").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found += [f"editor: {row}" for row in violations(page)]
    page.get_by_role("button", name="Keys").click()
    found += [f"keys: {row}" for row in violations(page)]
    context.close()
    assert found == []


def test_keys_lead_everywhere(page: Page, places: dict[str, str]) -> None:
    page.goto("/")
    page.locator("#app h1").wait_for()
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    expect(page).to_have_title("Jobs · Dubline")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    page.keyboard.press("n")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog.get_by_text("The jobs")).to_be_visible()
    dialog.get_by_label("Single keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="Dub a video")).to_be_visible()


def test_a_key_pressed_on_the_first_sight_of_the_page_is_not_lost(page: Page) -> None:
    """The press comes from within the page, before the browser has painted what is there."""
    page.add_init_script("""
        const press = new MutationObserver(() => {
          if (!document.querySelector("#app h1")) return;
          press.disconnect();
          dispatchEvent(new KeyboardEvent("keydown", { key: "j" }));
        });
        press.observe(document, { childList: true, subtree: true });
    """)
    page.goto("/")
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()


def test_a_language_is_chosen_with_keys_alone(page: Page) -> None:
    page.goto("/")
    box = page.get_by_role("combobox", name="Dub into")
    expect(box).to_be_enabled()
    box.focus()
    page.keyboard.type("jap")
    page.keyboard.press("Enter")
    expect(box).to_have_value("Japanese")
    expect(box).to_have_attribute("aria-expanded", "false")
