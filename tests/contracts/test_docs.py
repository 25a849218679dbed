"""Docs that move with the code: settings, options, links, keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dubline.cli import app
from dubline.settings import Settings
from dubline.settings_page import page

_ROOT = Path(__file__).resolve().parents[2]
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]


def test_every_setting_is_documented_with_its_own_words() -> None:
    text = (_ROOT / "docs" / "reference.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| [^|]* \| ([^|]*) \|$", text, re.MULTILINE))
    assert rows == {name.upper(): field.description for name, field in Settings.model_fields.items()}
    assert text == page()


@pytest.mark.parametrize("page", _PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_options_named_in_the_docs_exist() -> None:
    wide = {"COLUMNS": "250", "TERM": "dumb"}
    helped = "".join(CliRunner().invoke(app, [*command, "--help"], env=wide).output for command in ([], ["dub"]))
    named = set(re.findall(r"`?(--[a-z-]+)", (_ROOT / "docs" / "howto.md").read_text()))
    assert named - {"--help"} <= set(re.findall(r"--[a-z-]+", helped))


def test_every_key_of_the_page_is_documented() -> None:
    sources = "".join(p.read_text() for p in (_ROOT / "api" / "web").glob("**/*.js") if "node_modules" not in p.parts)
    bound = {shown or key for key, shown in re.findall(r'\{ key: "([^"]+)"(?:, shown: "([^"]+)")?', sources)}
    named = set(
        re.findall(r"`([^`]+)`", (_ROOT / "docs" / "page.md").read_text().partition("## Keys")[2].partition("\n## ")[0])
    )
    assert bound == named
