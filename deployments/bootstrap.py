"""Makes the Prefect server know the pool, its queues, the deployments and the result store. Harmless when repeated.

It leaves the server's address in a file: the worker imports meanwhile, and begins when it reads it there.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path

from deployments.prefect_env import enter
from deployments.prefect_server import READY_S, authorized, is_healthy
from deployments.queues import POOL, QUEUES
from dubline.errors import DublineError
from dubline.settings import Settings, get_settings

_NAMES = ("url", "fingerprint")


def _file(settings: Settings) -> Path:
    return settings.dubline_home / "run" / "registered.json"


def _registered(settings: Settings) -> dict[str, str]:
    try:
        return json.loads(_file(settings).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return dict.fromkeys(_NAMES, "")


def is_registered(settings: Settings, url: str) -> bool:
    """Whether the server at `url` has been told everything."""
    return _registered(settings)["url"] == url


def _fingerprint(settings: Settings) -> str:
    """Of all that is registered: it comes from the sources and from where results are kept."""
    digest = hashlib.sha256(f"{version('prefect')} {settings.results_dir.absolute()}".encode())
    root = Path(__file__).resolve().parents[1]
    for folder in ("deployments", "flows", "tasks", "dubline"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _knows(url: str, settings: Settings) -> bool:
    """Whether the server has the deployment; its database may be another one than last time."""
    request = authorized(f"{url}/deployments/name/translate_video/service", settings)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


async def bootstrap_queues() -> None:
    """The pool and its queues, with their priorities."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    async with get_client() as client:
        template = ProcessWorker.get_default_base_job_template()
        try:
            await client.read_work_pool(POOL)
        except ObjectNotFound:
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
        known = {q.name: q for q in await client.read_work_queues(work_pool_name=POOL)}
        for name, priority in QUEUES.items():
            if name not in known:
                await client.create_work_queue(name, priority=priority, work_pool_name=POOL)
            elif known[name].priority != priority:
                await client.update_work_queue(known[name].id, priority=priority)


def main() -> int:
    """Wait for the server, register unless it was done before. Exit status 1 when the server does not answer."""
    settings = get_settings()
    url = os.environ["PREFECT_API_URL"]
    enter(settings, url)
    fingerprint = _fingerprint(settings)
    is_known = _registered(settings)["fingerprint"] == fingerprint
    if not is_known:
        import deployments.registered  # noqa: F401  (takes seconds, which the server needs, too)
    deadline_s = time.monotonic() + READY_S
    while not is_healthy(url, settings):
        if time.monotonic() > deadline_s:
            print("The Prefect server does not answer.", file=sys.stderr)
            return 1
        time.sleep(0.1)
    try:
        if not (is_known and _knows(url, settings)):
            _register(settings)
    except DublineError as error:
        print(error.message, file=sys.stderr)
        return 1
    _file(settings).parent.mkdir(parents=True, exist_ok=True)
    temporary = _file(settings).with_suffix(".new")
    temporary.write_text(json.dumps(dict(zip(_NAMES, (url, fingerprint), strict=True))))
    temporary.replace(_file(settings))
    return 0


def _register(settings: Settings) -> None:
    from deployments.registered import SPECS, to_deployment
    from tasks.result_store import save_block

    asyncio.run(bootstrap_queues())
    save_block(settings)
    for spec in SPECS:
        to_deployment(spec).apply()


if __name__ == "__main__":
    sys.exit(main())
