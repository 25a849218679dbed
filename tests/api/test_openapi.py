"""Every path under thousands of generated requests: no fault, no undocumented status. Runs are pretended."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.app import create_app
from dubline.storage.local import LocalStore
from tests.api.conftest import PretendOrchestrator, settings_for


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_for(Path(folder))
        app = create_app(settings, LocalStore(settings.artifacts_dir), PretendOrchestrator())
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(15)


def test_the_page_of_the_api_needs_no_other_host(served: str) -> None:
    schema = httpx.get(f"{served}/openapi.json").json()
    assert "ProblemDocument" in schema["components"]["schemas"]
    for path in ("/docs", "/redoc"):
        page = httpx.get(f"{served}{path}").text
        assert "http://" not in page.replace(served, "")
        assert "https://" not in page
    assert httpx.get(f"{served}/docs/static/swagger-ui-bundle.js").status_code == 200


@pytest.mark.parametrize(
    ("phases", "cases", "least"),
    [
        ("examples,fuzzing", 6, 100),
        pytest.param("examples,coverage,fuzzing", 40, 2000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
    ],
)
def test_generated_requests_find_no_fault(served: str, tmp_path: Path, phases: str, cases: int, least: int) -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{served}/openapi.json",
            "--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            "--exclude-path-regex=.*/stream$",
            "--exclude-operation-id=append_api_v1_uploads__upload_id__patch",  # no generator for its media type
            f"--max-examples={cases}",
            f"--phases={phases}",
            "--generation-database=none",
            "--request-timeout=20",
            "--seed=7",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    generated = re.search(r"([\d,]+) generated", done.stdout)
    assert generated is not None, done.stdout[-2000:]
    assert int(generated[1].replace(",", "")) >= least
