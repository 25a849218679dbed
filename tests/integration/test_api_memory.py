"""What the API process must not hold: each of these is ten megabytes or more, and it is to serve a thousand clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_HEAVY = ("prefect", "numpy", "alembic", "onnxruntime", "av", "soundfile")

_SCRIPT = """
import asyncio, json, sys
import httpx
from api.app import create_app
from api.orchestrator import PrefectOrchestrator
from dubline.settings import get_settings
from dubline.storage.open import open_store

async def main():
    settings = get_settings()
    app = create_app(settings, open_store(settings), PrefectOrchestrator())
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            body = {"source_language": "en", "target_language": "es"}
            made = await client.post("/translate", json=body)
            listed = await client.get("/api/v1/jobs")
            print(json.dumps([made.status_code, listed.json()["total_count"], list(sys.modules)]))

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_job_is_taken_without_what_only_flows_need(tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text(_SCRIPT)
    environment = {
        **os.environ,
        "DUBLINE_HOME": str(tmp_path / "home"),
        "SIMULATED_ENGINES": "true",
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    subprocess.run([sys.executable, "-m", "api", "migrate"], env=environment, check=True, capture_output=True)
    done = subprocess.run([sys.executable, str(script)], env=environment, check=True, capture_output=True, text=True)
    status, jobs, modules = json.loads(done.stdout.splitlines()[-1])
    assert (status, jobs) == (202, 1)
    assert [name for name in _HEAVY if name in modules] == []
