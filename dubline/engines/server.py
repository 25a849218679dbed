"""The engine server: owns the models of a machine, and works for clients on a Unix socket.

`python -m dubline.engines.server` listens on `ENGINE_SOCKET`. Only the user who started it may connect.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, get_args

import psutil
import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dubline.engines import calls, pool, wire
from dubline.engines.base import EngineKind
from dubline.engines.registry import choose_stt, choose_tts, get
from dubline.engines.turns import Ticket, Turns, busy
from dubline.errors import (
    DublineError,
    EngineError,
    EngineOutOfMemory,
    EngineOutputInvalid,
    EngineUnavailable,
    InputError,
)
from dubline.models import EngineChoice
from dubline.settings import Settings, get_settings

_log = logging.getLogger("dubline.engines.server")

_RETRY_AFTER_S = 1
_MAX_HELD_BYTES = 2 * wire.MAX_BODY_BYTES  # of the bodies of all calls together
_KEEP_ALIVE_S = 120  # longer than a client keeps an idle connection, so that it is the client that closes
_GRACE_S = 3  # for calls that run when the server is stopped
_STATUS: dict[type[DublineError], int] = {
    InputError: 422,
    EngineUnavailable: 424,
    EngineOutOfMemory: 507,
    EngineOutputInvalid: 502,
}


class EngineServer:
    """The routes, and the calls under way."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = Turns(settings.engine_queue, _useful)
        self._threads = ThreadPoolExecutor(thread_name_prefix="engine", max_workers=64)
        self._at_work = 0
        self._runs: set[asyncio.Task[bytes]] = set()
        self._held_bytes = 0
        self._began_s = time.monotonic()

    @property
    def is_at_work(self) -> bool:
        """True while a thread is inside an engine."""
        return self._at_work > 0

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                *(Route(kind.path, partial(self._call, kind), methods=["POST"]) for kind in calls.KINDS),
                Route("/v1/unload", self._unload, methods=["POST"]),
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/health", self._health, methods=["GET"]),
            ],
            lifespan=self._life,
        )

    def stop(self) -> None:
        """Send away who still waits."""
        self._turns.close()

    @asynccontextmanager
    async def _life(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._unload_idle())]
        if self._settings.preload_models:
            tasks.append(asyncio.create_task(self._preload()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _unload_idle(self) -> None:
        while True:
            await asyncio.sleep(min(5.0, self._settings.engine_idle_s / 4))
            count = await self._thread(partial(pool.unload_idle, idle_s=self._settings.engine_idle_s))
            if count:
                _log.info("Unloaded %d idle engines.", count)

    async def _preload(self) -> None:
        """Load the default engines. A failure is said here, and again, to the caller, when one is needed."""
        try:
            for choice in await self._thread(partial(_defaults, self._settings)):
                await self._thread(partial(pool.preload, choice, self._settings))
                _log.info("Loaded %s %s ahead of its first use.", choice.kind, choice.engine)
        except DublineError as error:
            _log.warning("An engine could not be loaded ahead of its first use: %s", error.message)

    async def _thread(self, work: Callable[[], Any]) -> Any:
        """Run in a thread. When the waiting is cancelled, the thread goes on, and still counts as work."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        self._at_work += 1
        future.add_done_callback(self._back)
        return await asyncio.shield(future)

    def _back(self, future: asyncio.Future[Any]) -> None:
        self._at_work -= 1
        _look(future)

    def _over(self, run: asyncio.Task[bytes]) -> None:
        self._runs.discard(run)
        _look(run)

    async def _call(self, kind: calls.Kind, request: Request) -> Response:
        size = 0
        try:
            size = self._size(request)
            self._held_bytes += size
            call, audio = _parsed(await _body(request, size), kind)
            if kind.work is calls.load and (engine := pool.peek(call.choice)) is not None:
                answer = calls.facts(engine)
            else:
                answer = await self._in_turn(
                    request, call.choice, lambda engine, ticket: kind.work(call, engine, audio, ticket)
                )
            return Response(answer, media_type=wire.MEDIA_TYPE)
        except (ClientDisconnect, calls.Abandoned):
            return Response(status_code=499)
        except DublineError as error:
            return _refusal(error)
        except Exception:  # an engine's library may fail in any way; the caller gets an answer, the log the reason
            _log.exception("An engine failed.")
            return _refusal(EngineError("An engine failed inside.", code="engine_failed", hint="See the server's log."))
        finally:
            self._held_bytes -= size

    def _size(self, request: Request) -> int:
        """The announced size in bytes, when there is room for it."""
        text = request.headers.get("content-length", "")
        size = int(text) if text.isdigit() else -1
        if not 0 <= size <= wire.MAX_BODY_BYTES:
            raise InputError(
                "A call to the engine server is too large.",
                code="engine_call_too_large",
                details={"max_bytes": wire.MAX_BODY_BYTES},
            )
        if self._held_bytes + size > _MAX_HELD_BYTES:
            raise busy()
        return size

    async def _in_turn(self, request: Request, choice: EngineChoice, work: Callable[[Any, Ticket], bytes]) -> bytes:
        """Wait for the turn, then for the engine. A caller who goes away loses the place, or the result."""
        ticket = self._turns.join(choice)
        gone = asyncio.create_task(_gone(request))
        has_begun = False
        try:
            await asyncio.wait({gone, ticket.ready}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise calls.Abandoned
            ticket.ready.result()
            run = asyncio.create_task(self._perform(ticket, work))
            has_begun = True
            self._runs.add(run)
            run.add_done_callback(self._over)
            await asyncio.wait({gone, run}, return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                raise calls.Abandoned
            return run.result()
        finally:
            ticket.given_up.set()
            gone.cancel()
            if not has_begun:
                self._turns.leave(ticket)

    async def _perform(self, ticket: Ticket, work: Callable[[Any, Ticket], bytes]) -> bytes:
        """Work in a thread; the turn lasts until the thread is back, whether or not somebody waits."""

        def run() -> bytes:
            with pool.acquire(ticket.choice, self._settings) as engine:
                return work(engine, ticket)

        try:
            return await self._thread(run)
        finally:
            self._turns.leave(ticket)

    async def _unload(self, request: Request) -> Response:
        kind: Any = request.query_params.get("kind")
        if kind not in (None, *get_args(EngineKind)):
            return _refusal(InputError("There is no such kind of engine.", code="engine_call_invalid"))
        return JSONResponse({"unloaded": await self._thread(partial(pool.unload_idle, kind))})

    async def _models(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "models": [asdict(row) for row in pool.loaded()],
                "queues": self._turns.counts(),
                "places": self._settings.engine_queue,
                "memory_bound_bytes": self._settings.engine_memory_bytes,
                "rss_bytes": psutil.Process().memory_info().rss,
            }
        )

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "pid": os.getpid(), "up_s": round(time.monotonic() - self._began_s, 3)})


def _look(future: asyncio.Future[Any]) -> None:
    """Take note of how it ended: nobody may be left to do so, and asyncio would complain."""
    if not future.cancelled():
        future.exception()


def _useful(choice: EngineChoice) -> int:
    """How many calls of a kind help one another; an engine that does not say holds a lock or takes all threads."""
    return int(getattr(pool.peek(choice), "parallel", 1))


def _defaults(settings: Settings) -> list[EngineChoice]:
    engine = "simulated" if settings.simulated_engines else "auto"
    return [
        choose_stt(settings, engine=engine, model=settings.whisper_model, language=None),
        choose_tts(settings, engine=engine, language="en-US", voice=None),
    ]


async def _body(request: Request, size: int) -> bytearray:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > size:
            raise InputError("A call is longer than announced.", code="engine_call_invalid")
    return data


def _parsed(data: bytearray, kind: calls.Kind) -> tuple[wire.Call, calls.Audio]:
    head, audio = wire.unframe(data)
    try:
        call = kind.shape.model_validate(head)
    except ValidationError as error:
        raise InputError(
            "The engine server does not understand a call.",
            code="engine_call_invalid",
            details={"fields": [".".join(map(str, e["loc"])) for e in error.errors()]},
        ) from error
    if kind.engine_kind not in (None, call.choice.kind):
        raise InputError("The engine is of another kind than the call.", code="engine_call_invalid")
    get(call.choice.kind, call.choice.engine)
    return call, audio


async def _gone(request: Request) -> None:
    """Return when the caller's connection has closed. The body was read: nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refusal(error: DublineError) -> Response:
    data = {"error": wire.from_error(error)}
    if error.code == wire.BUSY:
        return JSONResponse(data, 503, {"Retry-After": str(_RETRY_AFTER_S)})
    return JSONResponse(data, next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 500))


class _Server(uvicorn.Server):
    """Uvicorn, but signals end it quietly: it would raise them again when it is done."""

    engines: EngineServer

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        yield

    def _end(self) -> None:
        self.engines.stop()
        self.should_exit = True


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """A socket that only this user can reach; what a killed server left behind is replaced.

    Raises:
        EngineError: `engine_socket`, when another server holds it or it cannot be made.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise EngineError("ENGINE_SOCKET names something that is no socket.", code="engine_socket")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock, socket.socket(socket.AF_UNIX) as server:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EngineError("Another engine server uses ENGINE_SOCKET.", code="engine_socket") from error
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            server.bind(str(path))
        except OSError as error:
            raise EngineError(
                "The engine server cannot make its socket.", code="engine_socket", hint="Take a shorter path."
            ) from error
        finally:
            os.umask(before)
        try:
            yield server
        finally:
            path.unlink(missing_ok=True)


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    settings = get_settings()
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("dubline").setLevel(settings.log_level)
    if settings.engine_socket is None:
        print("ENGINE_SOCKET names no socket.", file=sys.stderr)
        return 2
    engines = EngineServer(settings)
    server = _Server(
        uvicorn.Config(
            engines.app(),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    server.engines = engines
    try:
        with _listening(settings.engine_socket) as listener:
            _log.info("Serving engines.")
            asyncio.run(server.serve(sockets=[listener]))
    except EngineError as error:
        print(" ".join(filter(None, (error.message, error.hint))), file=sys.stderr)
        return 1
    pool.unload_idle()
    _log.info("Stopped.")
    if engines.is_at_work:  # a thread inside a library cannot be ended, and would hold the process up
        logging.shutdown()
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
