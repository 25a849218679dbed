"""The Prefect server of the local stack: on loopback, on a free port, alive as long as somebody uses it.

Users hold a shared lock on a file; the server looks for holders and stops by itself a while after the last one
left. So a killed user never leaves a server behind, and two commands at once share one.
"""

from __future__ import annotations

import base64
import fcntl
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.prefect_env import auth_string, enter
from dubline.errors import DublineError
from dubline.settings import Settings, get_settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

READY_S = 60.0
LINGER_S = 20.0
_AGAIN_S = b"0.2"


def _state_file(settings: Settings) -> Path:
    return settings.prefect_dir / "server.json"


def _users_file(settings: Settings) -> Path:
    return settings.prefect_dir / "users.lock"


def free_port() -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def authorized(url: str, settings: Settings) -> urllib.request.Request:
    """A GET of a page of the server, with its password."""
    token = base64.b64encode(auth_string(settings).encode()).decode()
    return urllib.request.Request(url, headers={"Authorization": f"Basic {token}"})


def is_healthy(url: str, settings: Settings) -> bool:
    """Whether the server at `url` answers, as ours (our password is accepted)."""
    try:
        with urllib.request.urlopen(authorized(f"{url}/admin/version", settings), timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


@contextmanager
def starting(settings: Settings) -> Iterator[None]:
    """Only one process at a time looks for a server and starts one."""
    settings.prefect_dir.mkdir(parents=True, exist_ok=True)
    with (settings.prefect_dir / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def use_server(settings: Settings) -> Iterator[ServerHandle]:
    """A handle on the running server; one is started when there is none. Ready only after `wait()`."""
    settings.prefect_dir.mkdir(parents=True, exist_ok=True)
    with _users_file(settings).open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield ServerHandle(settings)


class ServerHandle:
    """Starts the server in the background at once; `wait` gives its address when it answers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with starting(settings):
            self.url = self._running() or self._start()
            """Of the API; it may not answer before `wait` returned."""

    def _running(self) -> str | None:
        try:
            state = json.loads(_state_file(self._settings).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if not Path(f"/proc/{state['pid']}").exists():
            return None
        # A server still starting counts: its starter holds a lease in the file until it answers.
        if is_healthy(state["url"], self._settings) or time.time() - state["started_s"] < READY_S:
            return str(state["url"])
        return None

    def _start(self) -> str:
        port = free_port()
        url = f"http://127.0.0.1:{port}/api"
        log = (self._settings.prefect_dir / "server.log").open("ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", "deployments.prefect_server", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own session: Ctrl-C of one user must not stop what another one uses.
                start_new_session=True,
            )
        write_state(self._settings, process.pid, url)
        self._process = process
        return url

    def wait(self) -> None:
        """Return when the server answers.

        Raises:
            DublineError: `prefect_start`, when it does not within a minute.
        """
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s:
            if is_healthy(self.url, self._settings):
                return
            process = getattr(self, "_process", None)
            if process is not None and process.poll() is not None:
                break
            time.sleep(0.1)
        raise DublineError(
            "The Prefect server did not start.",
            code="prefect_start",
            hint="Read prefect/server.log in the state folder (dubline doctor names it).",
        )


def write_state(settings: Settings, pid: int, url: str) -> None:
    """Say which server runs, so that the next command shares it."""
    state = {"pid": pid, "url": url, "started_s": time.time()}
    temporary = _state_file(settings).with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(state))
    temporary.replace(_state_file(settings))


def is_used(settings: Settings) -> bool:
    """Whether a command holds on to the server at this moment."""
    settings.prefect_dir.mkdir(parents=True, exist_ok=True)
    with _users_file(settings).open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def end_idle(settings: Settings, wait_s: float = 15.0) -> bool:
    """End a server that only lingers. Whether none is left: two must not share one database.

    Args:
        settings: Where the server's state lies.
        wait_s: Longest wait for its end, in seconds.
    """
    try:
        state = json.loads(_state_file(settings).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return not is_used(settings)
    if is_used(settings):
        return False
    if _is_server(state["pid"]):
        with suppress(ProcessLookupError):
            os.kill(state["pid"], signal.SIGTERM)
    deadline_s = time.monotonic() + wait_s
    while _is_server(state["pid"]):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True


def _is_server(pid: int) -> bool:
    """Whether the pid is still our server's: a pid may have been given to somebody else."""
    try:
        return b"deployments.prefect_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def serve(port: int, *, supervised: bool = False) -> None:
    """Run the server in this process: until nobody has used it for a while, or for good under a supervisor."""
    settings = get_settings()
    url = f"http://127.0.0.1:{port}/api"
    enter(settings, url)
    gc.disable()  # what is imported stays: looking through it again and again would take a tenth of the start
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app()
    gc.freeze()
    gc.enable()
    server = uvicorn.Server(
        uvicorn.Config(
            _soon_again(app) if os.environ["PREFECT_API_DATABASE_CONNECTION_URL"].startswith("sqlite") else app,
            host="127.0.0.1",
            port=port,
            log_level="warning",
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1 if supervised else None,
        )
    )

    def until_unused() -> None:
        while not server.should_exit:
            idle_s = 0.0
            while idle_s < LINGER_S and not server.should_exit:
                time.sleep(1.0)
                idle_s = 0.0 if is_used(settings) else idle_s + 1.0
            with starting(settings):
                # Nobody may find a server that is on its way out and wait for it.
                if not is_used(settings):
                    _state_file(settings).unlink(missing_ok=True)
                    server.should_exit = True
        _force(10.0)

    def until_told() -> None:
        while not server.should_exit:
            time.sleep(0.1)
        _force(2.5)

    threading.Thread(target=until_told if supervised else until_unused, daemon=True).start()
    with suppress(KeyboardInterrupt):
        server.run()


def _soon_again(app: ASGIApp) -> ASGIApp:
    """Prefect's server, telling clients to ask again soon where two transactions met.

    SQLite refuses one that read before another one wrote (SQLITE_BUSY_SNAPSHOT), at once and whatever its timeout; the
    server answers 503, and Prefect's clients would wait 2 s. 120 jobs, one after the other, met 22 such answers.
    """

    async def serve_soon(scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 503:
                message = {**message, "headers": [*message.get("headers", ()), (b"retry-after", _AGAIN_S)]}
            await send(message)

        await app(scope, receive, answer if scope["type"] == "http" else send)

    return serve_soon


def _force(after_s: float) -> None:
    """Prefect's background services can hold the shutdown up; the database is transactional."""
    time.sleep(after_s)
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]), supervised="--supervised" in sys.argv)
