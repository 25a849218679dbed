"""Runs flows in a process of their own, as a worker does, against a real Prefect server: JSON in, JSON out.

Standard input holds a list of `{"flow", "params", "stop_at_stage"?}`; each answer says how that run ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from deployments.prefect_env import enter
from deployments.prefect_server import use_server
from dubline.cancel import STOP
from dubline.contract import Progress
from dubline.errors import DublineError
from dubline.settings import get_settings


def main() -> None:
    requests: list[dict[str, Any]] = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    settings = get_settings()
    with use_server(settings) as server:
        enter(settings, server.url)
        server.wait()
        from tasks.result_store import save_block

        save_block(settings)
        json.dump([_run(request) for request in requests], out)
    out.close()


def _run(request: dict[str, Any]) -> dict[str, Any]:
    from prefect.flows import load_flow_from_entrypoint

    from tasks._progress import TRACKER
    from tasks._run import OUTCOMES

    seen: list[float] = []

    def listen(progress: Progress) -> None:
        seen.append(progress.percentage)
        if progress.stage == request.get("stop_at_stage"):
            STOP.set()

    TRACKER._listeners[:] = [listen]
    answer: dict[str, Any] = {"error": None, "result": None}
    try:
        flow: Any = load_flow_from_entrypoint(request["flow"], use_placeholder_flow=False)
        answer["result"] = asyncio.run(flow(request["params"])).model_dump(mode="json")
    except DublineError as error:
        answer["error"] = error.code
    except OSError as error:
        answer["error"] = type(error).__name__
    return {**answer, "progress": seen, "tasks": OUTCOMES.total, "cached": OUTCOMES.cached}


if __name__ == "__main__":
    main()
