"""The page as the API serves it: to whom, with which headers, how much, and nothing else of the folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import httpx
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


def test_the_whole_page_is_small_on_the_line(harness: Harness) -> None:
    """All that the page can load, as sent to a browser: its own files, and every library that is installed."""
    sizes = {"/": len(harness.client.get("/", headers=_BROWSER).content)}
    named = {f"/web/{name}" for name in page.OWN}
    named |= {f"/web/lib/{name}" for name, path in page.LIBRARIES.items() if path.is_file()}
    for path in named:
        answer = harness.client.get(path, headers={"Accept-Encoding": "gzip, deflate, br"})
        assert answer.status_code == 200, path
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["x-content-type-options"] == "nosniff"
        sizes[path] = int(answer.headers["content-length"])
        assert sizes[path] < len(answer.content)
    assert sum(sizes.values()) <= _MOST_BYTES, sizes


def test_the_page_names_only_what_is_served_and_all_of_it(harness: Harness) -> None:
    web = Path(page.__file__).parents[1] / "web"
    known = {f"/web/{name}" for name in page.OWN} | {f"/web/lib/{name}" for name in page.LIBRARIES}
    named = set(re.findall(r'(?:href|src)="(/web/[^"]+)"', harness.client.get("/", headers=_BROWSER).text))
    for name, path in page.OWN.items():
        text = path.read_text()
        # Imports, and the library that is added as a script.
        for target in re.findall(r'(?:from |import\(|import |src(?:="| = "))"?([./][^"]+\.(?:js|svg))"', text):
            place = (web / name).parent / target
            named.add(f"/web/{place.resolve().relative_to(web)}" if target.startswith(".") else target)
    assert named == known


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br;q=1.0, gzip;q=0.8", "gzip"),
        ("", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip; q=0.0, br", None),
    ],
)
def test_a_file_is_packed_when_the_browser_takes_it(harness: Harness, accepted: str, coding: str | None) -> None:
    plain = (Path(page.__file__).parents[1] / "web" / "app.js").read_text()
    answer = harness.client.get("/web/app.js", headers={"Accept-Encoding": accepted})
    assert answer.text == plain
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"].startswith("text/javascript")


def test_a_file_is_sent_again_only_when_it_changed(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "words.js"
    copy.write_text("// one\n")
    monkeypatch.setitem(page.OWN, "words.js", copy)

    def ask(tag: str = "", coding: str = "gzip") -> httpx.Response:
        headers = {"Accept-Encoding": coding, **({"If-None-Match": tag} if tag else {})}
        return harness.client.get("/web/words.js", headers=headers)

    first = ask()
    tag = first.headers["etag"]
    again = ask(f'"other", W/{tag}')
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (again.headers["vary"], again.headers["cache-control"]) == ("Accept-Encoding", "no-cache")
    assert "content-encoding" not in again.headers
    # What is packed and what is not are two things to a cache.
    assert ask(tag, "identity").status_code == 200
    copy.write_text("// two\n")
    os.utime(copy, ns=(1, copy.stat().st_mtime_ns + 1))
    changed = ask(tag)
    assert (changed.status_code, changed.text) == (200, "// two\n")


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
