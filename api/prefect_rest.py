"""Prefect's REST and event interface, the few calls that the API makes.

Prefect's own client is not used here: importing it costs the API process 36 MB, a quarter of what it may have with a
thousand watchers (docs/adr/0010). Paths and bodies are those of Prefect 3's REST reference.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

_BUSY = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE})
_RETRIES = 5
_LONGEST_WAIT_S = 3.0
_BACKLOG = timedelta(minutes=1)


class PrefectRefused(Exception):
    """An answer that is neither good nor to be asked for again. `status` is its HTTP status."""

    def __init__(self, status: int, path: str) -> None:
        super().__init__(f"Prefect answered {status} to {path}")
        self.status = status


class PrefectRest:
    """One long-lived connection pool. Server and credentials come from `PREFECT_*`, as for Prefect's own client."""

    def __init__(self) -> None:
        self.url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
        self._password = os.environ.get("PREFECT_API_AUTH_STRING") or None
        self._key = os.environ.get("PREFECT_API_KEY") or None
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            name, _, password = (self._password or "").partition(":")
            self._client = httpx.AsyncClient(
                base_url=self.url,
                auth=httpx.BasicAuth(name, password) if self._password else None,
                headers={"Authorization": f"Bearer {self._key}"} if self._key and not self._password else None,
                timeout=httpx.Timeout(15.0, connect=2.0),
                verify=self.url.startswith("https:"),  # the list of authorities is large, and is not needed on loopback
            )
        return self._client

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. A server that says it is busy is asked again, some seconds in all.

        Raises:
            PrefectRefused: any other bad status.
            httpx.HTTPError: it cannot be reached; the callers have loops of their own.
        """
        answer = await self._http().request(method, path, json=body)
        for attempt in range(_RETRIES):
            if answer.status_code not in _BUSY:
                break
            await asyncio.sleep(_wait_s(answer, attempt))
            answer = await self._http().request(method, path, json=body)
        if answer.is_error:
            raise PrefectRefused(answer.status_code, path)
        return answer.json() if answer.content else None

    async def events(self, prefixes: list[str]) -> AsyncGenerator[dict[str, Any]]:
        """Events by the beginning of their names: those of the last minute, then each as it happens.

        Raises:
            PrefectRefused: wrong credentials.
            OSError, WebSocketException: the connection could not be opened, or broke.
        """
        url = f"{self.url.replace('http', 'ws', 1)}/events/out"
        async with connect(url, subprotocols=[Subprotocol("prefect")]) as socket:
            await socket.send(json.dumps({"type": "auth", "token": self._key or self._password}))
            if json.loads(await socket.recv())["type"] != "auth_success":
                raise PrefectRefused(httpx.codes.UNAUTHORIZED, "/events/out")
            now = datetime.now(UTC)
            occurred = {"since": (now - _BACKLOG).isoformat(), "until": (now + timedelta(days=365)).isoformat()}
            await socket.send(
                json.dumps({"type": "filter", "filter": {"occurred": occurred, "event": {"prefix": prefixes}}})
            )
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "event":
                    yield message["event"]


def _wait_s(answer: httpx.Response, attempt: int) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(float(said) if said.isdigit() else 0.05 * 2**attempt, _LONGEST_WAIT_S)
