"""What handlers ask for: the service, the user, the address the client sees.

Coroutines, though none waits: FastAPI would give a plain function a thread for every request.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Path
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from api.service import Service
from api.tables import LOCAL_USER


async def _service(connection: HTTPConnection) -> Service:
    return connection.app.state.service


async def _user() -> str:
    """The user of the request. Without accounts there is one."""
    return LOCAL_USER


async def _base_url(connection: HTTPConnection) -> str:
    url = str(connection.base_url).rstrip("/")
    return f"http{url.removeprefix('ws')}" if url.startswith("ws") else url


class Caller(NamedTuple):
    """What a socket's handler knows of its client.

    Sockets ask for it by `caller`: a route of FastAPI, with its dependencies, holds 5 kB more for each that waits.
    """

    service: Service
    user_id: str
    base_url: str


async def caller(websocket: WebSocket) -> Caller:
    return Caller(await _service(websocket), await _user(), await _base_url(websocket))


Svc = Annotated[Service, Depends(_service)]
UserId = Annotated[str, Depends(_user)]
BaseUrl = Annotated[str, Depends(_base_url)]
JobId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9-]+$", description="Id of a job.")]
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=255, description="The same key gives the first answer again."),
]
