"""Makes the Prefect server know the pool, its queues, the deployments and the result store. Harmless when repeated.

It leaves the server's address in a file: the worker imports meanwhile, and begins when it reads it there.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from deployments.prefect_env import enter
from deployments.prefect_server import READY_S, is_healthy
from deployments.queues import POOL, QUEUES
from dubline.errors import DublineError
from dubline.settings import Settings, get_settings


def _file(settings: Settings) -> Path:
    return settings.dubline_home / "run" / "registered"


def is_registered(settings: Settings, url: str) -> bool:
    """Whether the server at `url` has been told everything."""
    try:
        return _file(settings).read_text() == url
    except FileNotFoundError:
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
    """Import while the server starts, wait for it, register. Exit status 1 when the server does not answer."""
    settings = get_settings()
    url = os.environ["PREFECT_API_URL"]
    enter(settings, url)
    from deployments.registered import SPECS, to_deployment
    from tasks.result_store import save_block

    rows = [to_deployment(spec) for spec in SPECS]
    deadline_s = time.monotonic() + READY_S
    while not is_healthy(url, settings):
        if time.monotonic() > deadline_s:
            print("The Prefect server does not answer.", file=sys.stderr)
            return 1
        time.sleep(0.1)
    try:
        asyncio.run(bootstrap_queues())
        save_block(settings)
        for row in rows:
            row.apply()  # pyright: ignore[reportUnusedCoroutine]
    except DublineError as error:
        print(error.message, file=sys.stderr)
        return 1
    _file(settings).parent.mkdir(parents=True, exist_ok=True)
    _file(settings).write_text(url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
