"""`python -m tests.web.screenshots docs/images`: the page in both widths and themes, over a real dub of the sample."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from dubline.sample import make_sample
from dubline.settings import get_settings
from tests.stack import Stack
from tests.web.browser import choose, dub, launch, wait_done

_TALL = 1100
_SHOTS = (
    # Name, view, width, theme
    ("new-wide-light", "new", 1440, "light"),
    ("new-narrow-dark", "new", 360, "dark"),
    ("job-wide-light", "job", 1440, "light"),
    ("job-narrow-light", "job", 360, "light"),
    ("editor-wide-dark", "job", 1440, "dark"),
    ("report-wide-dark", "job", 1440, "dark"),
    ("jobs-wide-light", "jobs", 1440, "light"),
    ("jobs-narrow-dark", "jobs", 360, "dark"),
    ("system-wide-light", "system", 1440, "light"),
)
_PLACES = {"new": "/", "jobs": "/#/jobs", "system": "/#/system"}
_PARTS = {"editor": ".editor", "report": ".report"}


def main(folder: Path) -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("There is no chromium on the path.", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="dubline-shots-"))
    settings = get_settings()
    clip = home / "sample.mp4"
    make_sample(clip, settings)
    # A state folder of its own, with the weights that `make setup` prepared.
    (home / "models").symlink_to(settings.weights_dir, target_is_directory=True)
    stack = Stack(home, SIMULATED_ENGINES="false")
    try:
        with sync_playwright() as playwright:
            browser = launch(playwright, chromium)
            _shoot(browser, stack, clip, folder)
            browser.close()
    finally:
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)
    return 0


def _shoot(browser: Browser, stack: Stack, clip: Path, folder: Path) -> None:
    first = _open(browser, stack, 1440, "dark")
    job_id = dub(first, clip, "A short talk about voices.mp4")
    first.locator(".steps .past").nth(2).wait_for(timeout=300_000)
    first.screenshot(path=folder / "work-wide-dark.png")
    wait_done(first, within_s=600)
    for name, view, width, theme in _SHOTS:
        page = _open(browser, stack, width, theme)
        page.goto(_PLACES.get(view, f"/#/jobs/{job_id}"))
        if view == "new":
            page.locator("#file").set_input_files(clip)
            choose(page, "Dub into", "brazil", "Brazilian Portuguese")
            page.locator(".outlook").wait_for()
        if view == "system":
            page.get_by_role("heading", name="All is well").wait_for()
        if view == "job":
            wait_done(page)
            page.locator(".timeline").wait_for()
            page.locator("video").evaluate("v => { v.currentTime = 8.5; }")
        part = _PARTS.get(name.partition("-")[0])
        if part == ".editor":
            page.locator(".line summary").nth(1).click()
        page.wait_for_timeout(1500)
        shown = page.locator(part) if part else page
        shown.screenshot(path=folder / f"{name}.png")
        page.context.close()


def _open(browser: Browser, stack: Stack, width: int, theme: str) -> Page:
    context = browser.new_context(
        base_url=stack.url,
        viewport={"width": width, "height": _TALL if width < 600 else 860},
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-GB",
        reduced_motion="reduce",
    )
    return context.new_page()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
