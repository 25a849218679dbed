"""Lines changed on the page in every way there is, rendered, and read back from the service; simulated engines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from dubline.sample import make_sample
from dubline.settings import Settings
from tests.stack import Stack
from tests.web.browser import until, wait_done

pytestmark = pytest.mark.timeout(300)
_TEXT = (
    "This is the first of some longer sentences, so that there are lines to be changed.",
    "The second one follows after a pause, and is as long as the one before it was.",
    "The third one has many words too, and none of them matters to anybody who hears it.",
)


@pytest.fixture(scope="module")
def talk(stack: Stack) -> str:
    """A finished dub into English, which has two simulated voices."""
    clip: Path = stack.home / "long.mp4"
    settings = Settings(dubline_home=stack.home, _env_file=None)
    make_sample(clip, settings, text=_TEXT, engine="espeak")
    answer = stack.call(
        "POST",
        "/api/v1/upload",
        files={"file": ("long.mp4", clip.read_bytes())},
        data={"source_language": "es", "target_language": "en"},
    )
    job_id = answer.json()["job_id"]
    assert stack.wait([job_id], 180)[job_id]["status"] == "completed"
    return job_id


def test_lines_are_changed_in_every_way_and_rendered(page: Page, stack: Stack, talk: str) -> None:
    def transcript() -> dict[str, Any]:
        return stack.call("GET", f"/api/v1/jobs/{talk}/transcript").json()

    def lines() -> Locator:
        return page.locator(".line")

    def saved(revision: int) -> list[dict[str, Any]]:
        """The lines as the service has them, once it has so many revisions and the page shows them."""
        for _ in range(200):
            now = transcript()
            if now["revision"] == revision:
                break
            page.wait_for_timeout(50)
        assert now["revision"] == revision
        rows = now["segments"]
        expect(lines()).to_have_count(len(rows))
        until(
            page,
            "JSON.stringify([...document.querySelectorAll('.line textarea')].map(t => t.value)) == "
            f"JSON.stringify({[row['text'] for row in rows]!r})",
        )
        return rows

    def tools(n: int) -> Locator:
        """The menu of a line, open."""
        line = lines().nth(n)
        if line.locator("details[open]").count() == 0:
            line.locator("summary").click()
        return line.locator(".line-tools")

    page.goto(f"/#/jobs/{talk}")
    wait_done(page)
    made = transcript()["segments"]
    assert len(made) >= 4, [row["text"] for row in made]
    last = len(made) - 1

    # A text that is far too long: the service proposes the one it had, which fits.
    box = lines().first.locator("textarea")
    box.fill(" ".join([made[0]["text"]] * 4))
    box.blur()
    saved(1)
    take = lines().first.get_by_role("button", name=re.compile("^Take"))
    expect(take).to_contain_text(made[0]["text"])
    take.click()
    assert saved(2)[0]["text"] == made[0]["text"]
    box.fill("Good morning to all of you.")
    box.blur()
    saved(3)

    other = next(v for v in ("sim_en", "sim_en-us") if v != made[1]["voice"])
    tools(1).get_by_role("combobox").select_option(other)
    assert saved(4)[1]["voice"] == other

    to_s = round(made[1]["end_s"] - 0.25, 2)
    tools(1).get_by_label("End").fill(str(to_s))
    tools(1).get_by_label("End").press("Enter")
    assert saved(5)[1]["end_s"] == pytest.approx(to_s, abs=0.01)
    from_s = round(made[1]["start_s"] + 0.25, 2)
    tools(1).get_by_label("Start").fill(f"0:{from_s:05.2f}")
    tools(1).get_by_label("Start").press("Enter")
    assert saved(6)[1]["start_s"] == pytest.approx(from_s, abs=0.01)

    cut = made[2]["text"].index(" ") + 1
    lines().nth(2).locator("textarea").evaluate(f"t => {{ t.focus(); t.setSelectionRange({cut}, {cut}); }}")
    tools(2).get_by_role("button", name="Split at the cursor").click()
    halves = saved(7)
    assert [row["text"] for row in halves[2:4]] == [made[2]["text"][:cut].strip(), made[2]["text"][cut:].strip()]
    tools(2).get_by_role("button", name="Merge with the next line").click()
    assert saved(8)[2]["text"] == made[2]["text"]

    tools(last).get_by_role("button", name="Delete the line").click()
    assert len(saved(9)) == len(made) - 1
    page.get_by_role("button", name="Undo the last change").click()
    assert saved(10)[-1]["text"] == made[-1]["text"]
    tools(last).get_by_role("button", name="Delete the line").click()
    saved(11)

    before = stack.spoken()
    page.get_by_role("button", name="Render what changed").click()
    expect(page.locator(".under")).to_be_visible()
    wait_done(page)
    after = transcript()
    assert (after["revision"], after["rendered_revision"]) == (11, 11)
    rows = after["segments"]
    assert [row["text"] for row in rows] == ["Good morning to all of you.", *(row["text"] for row in made[1:-1])]
    assert rows[1]["voice"] == other
    assert (rows[1]["start_s"], rows[1]["end_s"]) == (pytest.approx(from_s, abs=0.01), pytest.approx(to_s, abs=0.01))
    assert all(row["spoken_start_s"] is not None for row in rows)
    # The new text, and the line that has another voice.
    assert set(stack.spoken() - before) == {"Good morning to all of you.", made[1]["text"]}
    expect(lines()).to_have_count(len(rows))
    expect(page.get_by_role("button", name="Render what changed")).to_have_count(0)
