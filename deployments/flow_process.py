"""Processes of flow runs, forked from one that has imported everything: the nest.

Importing Prefect and the flows takes seconds; a fork takes milliseconds. The run itself is Prefect's own engine, as in
`python -m prefect.engine`. Where forks are no good (macOS, Windows), a process imports for itself and is one run.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from typing import get_args

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_LATE = ("prefect.utilities.visualization", "anyio._backends._asyncio", "jiwer", "num2words", "sacrebleu.metrics.chrf")
"""What would be imported when a first task is called, a first text compared."""
MOST_BYTES = 128 * 1024
"""Of one message between worker and nest; more than the environment of a process ever is."""


def main() -> None:
    """The nest on the socket at stdin; with `--one`, the run whose environment comes by stdin as JSON."""
    from deployments.registered import SPECS
    from dubline.engines.base import EngineKind
    from dubline.engines.registry import plugins
    from dubline.errors import EngineUnavailable
    from dubline.media.ffmpeg import ffmpeg_path

    flows = (spec.entrypoint.rpartition(".")[0] for spec in SPECS)
    for name in ("prefect.flow_engine", *_LATE, *flows):
        importlib.import_module(name)
    # What every run would look for: the engines that are installed, and ffmpeg.
    for kind in get_args(EngineKind):
        plugins(kind)
    with suppress(EngineUnavailable):
        ffmpeg_path()
    if "--one" in sys.argv:
        _be(json.load(sys.stdin))
        return
    gc.collect()
    gc.freeze()  # what is shared by all forks stays shared: no collection writes to it
    _serve(socket.socket(fileno=0))


def _serve(worker: socket.socket) -> None:
    """A process for each message, which is the environment of a run.

    The answer is `{"pid"}`; when the process has ended, `{"ended", "code"}` follows.
    """

    def reap(_number: int, _frame: object) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            worker.send(json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}).encode())

    signal.signal(signal.SIGCHLD, reap)
    nest = os.getpid()
    while message := worker.recv(MOST_BYTES):
        # No end may be told before its beginning.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if not pid:
            _leave(worker, nest)
            _be(json.loads(message))
            return
        _own_group(pid)
        worker.send(json.dumps({"pid": pid}).encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _leave(worker: socket.socket, nest: int) -> None:
    """In the fork: nothing of the nest stays but its modules, and its end is this one's."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    _own_group(os.getpid())
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != nest:  # it died before the wish was known
        os._exit(1)
    worker.detach()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _own_group(pid: int) -> None:
    """Called on both sides of the fork: whoever is told of the process may signal its group at once."""
    try:
        os.setpgid(pid, pid)
    except (PermissionError, ProcessLookupError):  # it is past that, or gone
        return


def _be(variables: dict[str, str]) -> None:
    os.environ.update(variables)
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
