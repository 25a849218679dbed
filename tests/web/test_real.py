"""The whole way on the page with the real engines: drop, watch, play, mend a sentence, render, download, and listen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from dubline.engines.base import SttEngine
from dubline.engines.pool import acquire
from dubline.engines.registry import choose_mt, choose_stt, choose_tts
from dubline.errors import EngineUnavailable, InputError
from dubline.media.finished import decode_mono
from dubline.sample import make_sample
from dubline.settings import Settings, get_settings
from tests.stack import Stack
from tests.web.browser import choose, drop, progress_seen, until, wait_done, watch_progress

pytestmark = [pytest.mark.engines, pytest.mark.timeout(400)]
_TEXT = ("Good morning, and welcome to a short talk about voices.", "Thank you for listening, and see you tomorrow.")


@pytest.fixture(scope="module")
def settings() -> Settings:
    found = get_settings()
    try:
        choose_stt(found, engine="faster-whisper", model=None, language="en")
        choose_mt(found, engine="bergamot", model=None, source="en", target="pt-BR")
        choose_tts(found, engine="kokoro", language="pt-BR", voice=None)
    except (EngineUnavailable, InputError) as error:
        pytest.skip(error.message)
    return found


@pytest.fixture(scope="module")
def real_page(browser: Browser, settings: Settings, new_home: Callable[[], Path]) -> Iterator[Page]:
    home = new_home()
    (home / "models").symlink_to(settings.weights_dir, target_is_directory=True)
    stack = Stack(home, SIMULATED_ENGINES="false")
    context = browser.new_context(base_url=stack.url, viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()
    stack.stop()


def heard(video: Path, settings: Settings, work: Path) -> str:
    """What a recogniser that knows nothing of the text hears in a file."""
    choice = choose_stt(settings, engine="faster-whisper", model=None, language="pt-BR")
    with acquire(choice, settings) as engine:
        assert isinstance(engine, SttEngine)
        sound = np.fromfile(decode_mono(video, work_dir=work, media_s=60), "<i2").astype(np.float32) / 32768
        result = engine.transcribe(sound, language="pt-BR")
    return " ".join(s.text for s in result.segments).lower()


def test_a_video_becomes_portuguese_and_a_mended_sentence_is_spoken(
    real_page: Page, settings: Settings, tmp_path: Path
) -> None:
    page = real_page
    clip = tmp_path / "talk.mp4"
    make_sample(clip, settings, text=_TEXT)
    page.goto("/")
    drop(page, ".drop", ("talk.mp4", clip))
    choose(page, "Spoken language", "eng", "English en")
    choose(page, "Dub into", "brazil", "Brazilian Portuguese")
    page.get_by_role("button", name="Dub this video").click()
    page.wait_for_url("**/#/jobs/*")
    watch_progress(page)
    wait_done(page, within_s=180)
    shares, steps = progress_seen(page)
    assert shares == sorted(shares)
    assert len(set(shares)) >= 3
    assert {"Understand", "Translate", "Speak"} <= steps, steps
    lines = page.locator(".line textarea")
    expect(lines.first).to_be_visible()
    said = " ".join(lines.nth(n).input_value() for n in range(lines.count())).lower()
    assert {"vozes", "obrigado"} <= set(said.replace(",", " ").replace(".", " ").split()), said
    page.locator("video").evaluate("v => v.play()")
    until(page, "document.querySelector('video').currentTime > 1")

    lines.first.fill("Hoje vamos falar sobre cavalos brancos.")
    lines.first.blur()
    page.get_by_role("button", name="Render what changed").click()
    expect(page.locator(".under")).to_be_visible()
    wait_done(page, within_s=120)
    page.locator("video").evaluate("v => v.play()")
    until(page, "document.querySelector('video').currentTime > 1")
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Download", exact=True).click()
    video = tmp_path / "dub.mp4"
    fetched.value.save_as(video)
    words = heard(video, settings, tmp_path)
    assert "cavalos brancos" in words, words
    assert "amanhã" in words, words
