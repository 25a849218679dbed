"""The page as the API serves it: to whom, with which headers, how much, and nothing else of the folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.routes import page
from tests.api.conftest import Harness

_BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
_MOST_BYTES = 200_000


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_programs_get_json_at_the_root(harness: Harness, accept: str) -> None:
    answer = harness.client.get("/", headers={"Accept": accept})
    assert answer.json()["prefect"] == "http://prefect.test"
    assert answer.headers["vary"] == "Accept"


def test_browsers_get_the_page_under_a_strict_policy(harness: Harness) -> None:
    first, second = (harness.client.get("/", headers=_BROWSER) for _ in range(2))
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    nonce = re.search(r"'nonce-([^']+)'", first.headers["content-security-policy"])
    assert nonce is not None
    assert f'content="{nonce[1]}"' in first.text
    assert first.headers["content-security-policy"] == (
        "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; "
        f"style-src 'self' 'nonce-{nonce[1]}'; form-action 'none'"
    )
    assert nonce[1] not in second.text
    for script in re.findall(r"<script[^>]*>(.*?)</script>", first.text, re.DOTALL):
        assert not script.strip()
    assert not re.findall(r"(?i)<style|\son\w+=|style=|https?://", first.text)


def test_everything_the_page_names_is_there_and_small(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    web = Path(page.__file__).parents[1] / "web"
    text = harness.client.get("/", headers=_BROWSER).text
    size = len(text)
    named = set(re.findall(r'(?:href|src)="(/web/[^"]+)"', text))
    seen = set()
    while named - seen:
        path = (named - seen).pop()
        seen.add(path)
        if path.startswith("/web/lib/") and not page.LIBRARIES[path.rpartition("/")[2]].is_file():
            continue
        answer = harness.client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        size += len(answer.content)
        if path.endswith(".js") and "/lib/" not in path:
            for target in re.findall(r'(?:from|import\()\s*"([^"]+)"', answer.text):
                named.add(
                    str(Path("/web") / (web / path[5:].rpartition("/")[0] / target).resolve().relative_to(web))
                    if target.startswith(".")
                    else target
                )
    assert {"/web/views/job.js", "/web/lib/wavesurfer.js"} <= seen
    assert size <= _MOST_BYTES


@pytest.mark.parametrize(
    "path", ["package.json", "index.html", "../app.py", "%2e%2e/app.py", "node_modules/htm/package.json", "lib/htm.js"]
)
def test_nothing_else_of_the_folder_is_served(harness: Harness, path: str) -> None:
    assert harness.client.get(f"/web/{path}").status_code == 404


def test_a_missing_library_says_what_to_do(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(page.LIBRARIES, "preact.js", Path("/nowhere/preact.js"))
    answer = harness.client.get("/web/lib/preact.js")
    assert (answer.status_code, answer.json()["code"]) == (404, "page_library_missing")
    assert "make setup" in answer.json()["hint"]
