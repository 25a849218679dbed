"""Shared fixtures. Real media live outside the project; tests that need them skip when the folder is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def media_dir() -> Path:
    """The folder with real speech and videos (`DUBLINE_TEST_MEDIA`, default beside the checkout)."""
    folder = Path(os.environ.get("DUBLINE_TEST_MEDIA", _ROOT.parent / "shared" / "media"))
    if not folder.is_dir():
        pytest.skip("real media folder absent: set DUBLINE_TEST_MEDIA")
    return folder
