"""The process of one flow run, started before the run is known: everything is imported when its name comes by stdin.

Importing Prefect and the flows takes seconds; a job that finds a process waiting begins at once. The run itself is
Prefect's own engine, as in `python -m prefect.engine`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import sys

_PR_SET_NAME = 15


def main() -> None:
    """Wait for one JSON object, the environment of a run, then be that run. Nothing on stdin: nobody needs us."""
    from deployments.registered import SPECS

    for name in ("prefect.flow_engine", *(spec.entrypoint.rpartition(".")[0] for spec in SPECS)):
        importlib.import_module(name)
    text = sys.stdin.read()
    if not text:
        return
    os.environ.update(json.loads(text))
    sys.stdin = open(os.devnull)  # noqa: SIM115  (it stays)
    if sys.platform.startswith("linux"):
        # What is in a flow process can be seen from outside: the name of its run, in the 15 letters that there are.
        ctypes.CDLL(None).prctl(_PR_SET_NAME, process_name(os.environ["PREFECT__FLOW_RUN_ID"]).encode(), 0, 0, 0)
    sys.argv = ["prefect.engine"]
    sys.modules.pop("prefect.engine", None)  # the package imports it; now it is the program
    runpy.run_module("prefect.engine", run_name="__main__")


def process_name(run_id: str) -> str:
    """The name of the process of a flow run, as `ps` shows it."""
    return f"run-{run_id[:11]}"


if __name__ == "__main__":
    main()
