"""The whole service behind one command: Prefect, the engines, the API and a worker under one supervisor."""

from __future__ import annotations

import argparse
import fcntl
import http.client
import ipaddress
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from deployments.lingering import end_unused, stop_when_unused
from deployments.prefect_env import prefect_environment
from deployments.prefect_server import end_idle, free_port, is_healthy, starting, write_state
from deployments.supervisor import Child, Supervisor
from deployments.worker_name import is_ready
from dubline.errors import DublineError
from dubline.heap import ONE_HEAP
from dubline.settings import Settings, setting_problem

EXIT_FAILED, EXIT_CONFIG = 1, 78  # 78: EX_CONFIG of sysexits.h
OPTIONAL = ("engines", "api", "worker")
_SOCKET_BYTES = 100  # what the address of a unix socket may hold, with room to spare


class Refused(DublineError):
    """A setting with which the stack must not be started."""

    code = "setting_invalid"


def main(arguments: list[str]) -> int:
    """Run the stack until SIGTERM or SIGINT. Exit status 78: a setting is wrong; 1: it could not run."""
    options = _options(arguments)
    if options.host is not None:
        os.environ["HOST"] = options.host
    if options.port is not None:
        os.environ["PORT"] = str(options.port)
    os.umask(0o077)
    try:
        settings = Settings()
        _check(settings)
        with _only_one(settings):
            _run(settings, frozenset(options.without), options.linger)
    except ValidationError as error:
        print(setting_problem(error), file=sys.stderr)
        return EXIT_CONFIG
    except DublineError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return EXIT_CONFIG if isinstance(error, Refused) else EXIT_FAILED
    except KeyboardInterrupt:  # before anything was started
        return EXIT_FAILED
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    def names(text: str) -> list[str]:
        rows = text.split(",")
        if not set(rows) <= set(OPTIONAL):
            raise argparse.ArgumentTypeError(f"choose from {', '.join(OPTIONAL)}")
        return rows

    parser = argparse.ArgumentParser(prog="dubline up", description=__doc__)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--linger", type=float, help="end by itself when nothing was done for so many seconds")
    parser.add_argument("--without", type=names, default=[], help="parts to leave out, with commas")
    return parser.parse_args(arguments)


def _check(settings: Settings) -> None:
    """Refuse what would be unsafe or could not work, before anything is started."""
    if settings.auth == "off" and not _is_loopback(settings.host):
        raise Refused(
            "HOST is not a loopback address: with AUTH=off the service may only be reached from this machine."
        )
    if len(os.fsencode(_engine_socket(settings))) > _SOCKET_BYTES:
        raise Refused("The path of the engines' socket is too long: set ENGINE_SOCKET to a shorter one.")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _engine_socket(settings: Settings) -> Path:
    return (settings.engine_socket or settings.dubline_home / "run" / "engines.sock").absolute()


def _state_file(settings: Settings) -> Path:
    return settings.dubline_home / "run" / "stack.json"


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """Hold the state folder: two stacks would run the same jobs."""
    state = _state_file(settings)
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.with_suffix(".lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not end_unused(state):
                    raise DublineError(
                        f"Dubline already runs on this state folder{_where(state)}.",
                        code="stack_running",
                        hint="Use that one, or stop it first.",
                    ) from error
        try:
            yield
        finally:
            state.unlink(missing_ok=True)


def _where(state: Path) -> str:
    try:
        urls = json.loads(state.read_text())["urls"]
    except FileNotFoundError:
        return " and is starting"
    return f": {urls.get('api') or urls['prefect']}"


def _run(settings: Settings, without: frozenset[str], linger_s: float | None) -> None:
    began_s = time.monotonic()
    port = _own_port(settings) if "api" not in without else settings.port
    if not end_idle(settings):
        _say("waiting for a running `dubline dub` to end")
        while not end_idle(settings):
            time.sleep(0.5)
    url = f"http://127.0.0.1:{free_port()}/api"
    children = _children(settings, url, port, without)
    urls = {"prefect": url.removesuffix("/api")}
    if "api" not in without:
        urls["api"] = f"http://{_address(settings.host)}:{port}"
    told = False

    def changed() -> None:
        nonlocal told
        pids = {"supervisor": os.getpid(), **{c.name: c.pid for c in children if c.pid is not None}}
        temporary = _state_file(settings).with_suffix(".new")
        temporary.write_text(json.dumps({"urls": urls, "pids": pids, "lingers": linger_s is not None}))
        temporary.replace(_state_file(settings))
        if told:
            _say("all is well again")
            return
        told = True
        _say(f"ready in {time.monotonic() - began_s:.1f} s, {_memory_mb(pids.values()):.0f} MB")
        if "api" in urls:
            _say(f"Dubline  {urls['api']}")
        _say(f"Prefect  {urls['prefect']}  password: {settings.prefect_dir / 'auth'}")

    supervisor = Supervisor(children, _say, changed)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    if linger_s is not None:
        stop_when_unused(_state_file(settings), linger_s, supervisor.stop)
    supervisor.run()
    _say("stopped")


def _children(settings: Settings, url: str, port: int, without: frozenset[str]) -> list[Child]:
    server_port = url.rpartition(":")[2].removesuffix("/api")
    engine_socket = _engine_socket(settings)
    shared = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
        **prefect_environment(settings, url),
        "DUBLINE_HOME": str(settings.dubline_home.absolute()),
        "HOST": settings.host,
        "PORT": str(port),
    }
    if "engines" not in without:
        shared["ENGINE_SOCKET"] = str(engine_socket)

    def child(name: str, *module: str, **variables: str) -> tuple[str, list[str], dict[str, str], Path]:
        # -P: a file of the current folder must not stand in for one of our modules.
        command = [sys.executable, "-P", "-m", *module]
        log = settings.dubline_home.absolute() / "logs" / f"{name}.log"
        return name, command, {**shared, **variables}, log

    def serving(pid: int) -> None:
        with starting(settings):
            write_state(settings, pid, url)

    children = [
        Child(
            *child("prefect", "deployments.prefect_server", server_port, "--supervised"),
            check=lambda _pid: is_healthy(url, settings),
            started=serving,
        ),
        Child(*child("bootstrap", "deployments.bootstrap"), once=True),
        Child(
            *child("engines", "dubline.engines.server", **ONE_HEAP),
            check=lambda _pid: _answers(engine_socket, "/health"),
            stop_s=2.0,
        ),
        Child(
            *child("api", "api", MALLOC_ARENA_MAX="2"),  # a heap for each thread would be kept for ever (glibc)
            check=lambda _pid: _answers((_address(settings.host), port), "/health/live"),
            stop_s=2.5,
        ),
        Child(
            *child("worker", "deployments.worker", "--after-bootstrap"),
            check=lambda pid: is_ready(settings, pid),
            stop_s=5.0,
        ),
    ]
    return [c for c in children if c.name not in without]


def _answers(address: Path | tuple[str, int], path: str) -> bool:
    """Whether a server answers a GET with 200."""
    connection = http.client.HTTPConnection("localhost", timeout=1.0)
    try:
        if isinstance(address, Path):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(1.0)
            connection.sock.connect(str(address))
        else:
            connection.sock = socket.create_connection(address, timeout=1.0)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _address(host: str) -> str:
    """Where to reach a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _own_port(settings: Settings) -> int:
    """The port to listen on; refused early when somebody has it, since the API's own words would be in a log."""
    if settings.port == 0:
        return free_port()
    family, kind, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise DublineError(
                f"Port {settings.port} on {settings.host} is taken.", code="port_taken", hint="Set PORT to another one."
            ) from error
    return settings.port


def _memory_mb(pids: Iterable[int]) -> float:
    """Memory of the processes in MB, what they share counted once (Linux; 0 elsewhere)."""
    total_kb = 0
    for pid in pids:
        path = Path(f"/proc/{pid}/smaps_rollup")
        if path.exists():
            total_kb += next(int(row.split()[1]) for row in path.read_text().splitlines() if row.startswith("Pss:"))
    return total_kb / 1000


def _say(text: str) -> None:
    print(f"dubline: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
