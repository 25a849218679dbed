"""The worker's side of the nest (`deployments.flow_process`): asks it for processes and hears of their ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from deployments.child import bound
from deployments.flow_process import MOST_BYTES

_PROGRAM = [sys.executable, "-P", "-m", "deployments.flow_process"]
_KILLED = -int(signal.SIGKILL)


class RunProcess:
    """The process of one run. `returncode` is None until it has ended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    def end(self, code: int) -> None:
        """Note that it has ended."""
        if self.returncode is None:
            self.returncode = code
            self._ended.set()

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Nest:
    """One process that forks the others. It ends with this one, and its forks end with it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._listening: asyncio.Task[None] | None = None
        self._asked: asyncio.Future[RunProcess] | None = None
        self._lock = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Have it import, unless it has. Call from the main thread: the nest is bound to the life of the thread."""
        if self._socket is not None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(bound(_PROGRAM), stdin=theirs.fileno(), start_new_session=True)
        ours.setblocking(False)
        self._socket = ours
        self._listening = asyncio.create_task(self._listen(self._process, ours))

    async def fork(self, variables: dict[str, str]) -> RunProcess:
        """A process that is the run of these variables.

        Raises:
            RuntimeError: the nest died, and so did a second one.
        """
        message = json.dumps(variables).encode()
        if len(message) > MOST_BYTES:
            raise RuntimeError("the environment of the run is too large")
        asking = asyncio.create_task(self._ask(message))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(_end_unwanted)  # the answer comes all the same, and is nobody else's
            raise

    async def _ask(self, message: bytes) -> RunProcess:
        loop = asyncio.get_running_loop()
        async with self._lock:
            for _ in range(2):
                self.start()
                assert self._socket is not None
                self._asked = loop.create_future()
                with suppress(OSError):
                    await loop.sock_sendall(self._socket, message)
                    return await self._asked
        raise RuntimeError("the nest of flow processes does not stay alive")

    async def _listen(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        """Until the nest is gone, and its forks with it."""
        runs: dict[int, RunProcess] = {}
        with ours:
            try:
                while data := await asyncio.get_running_loop().sock_recv(ours, MOST_BYTES):
                    said = json.loads(data)
                    if "pid" in said:
                        run = runs[said["pid"]] = RunProcess(said["pid"])
                        if self._asked is not None and not self._asked.done():
                            self._asked.set_result(run)
                    elif run := runs.pop(said["ended"], None):
                        run.end(said["code"])
            except ConnectionError:
                pass
            finally:
                self._socket = None
                for run in runs.values():
                    run.end(_KILLED)
                if self._asked is not None and not self._asked.done():
                    self._asked.set_exception(ConnectionResetError("the nest is gone"))
        await asyncio.to_thread(process.wait)

    async def close(self) -> None:
        """End it, and all that it forked."""
        if self._process is not None:
            self._process.kill()
        if self._listening is not None:
            await self._listening


def _end_unwanted(asking: asyncio.Task[RunProcess]) -> None:
    if not asking.cancelled() and asking.exception() is None:
        asking.result().kill()
