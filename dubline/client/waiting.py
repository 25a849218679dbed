"""Waits for a job's end: by WebSocket, by server-sent events, or by asking now and then; falls from one to the next."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from dubline.client.resources import ENDED, Job
from dubline.client.transport import Transport, away, refusal, retry_after_s
from dubline.errors import ApiError, WaitTimeout

Way = Literal["websocket", "stream", "poll"]
WAYS: tuple[Way, ...] = ("websocket", "stream", "poll")
_SILENCE_S = 45.0
"""The service says something every 20 s (WebSocket) or 15 s (events): a longer silence is a dead line."""
_NO_JOB = 4404


@dataclass(frozen=True)
class Polling:
    """Pauses between two questions, in seconds: from `min_delay_s`, growing while nothing changes to `max_delay_s`."""

    min_delay_s: float = 0.5
    max_delay_s: float = 5.0
    progressive: bool = True


class _LineLost(Exception):
    """This way does not work now; the next one is tried."""


class Waiting:
    """The wait for one job.

    Args:
        heartbeat_s: Seconds between pings on a WebSocket.
        away_s: Longest time without any answer before the wait is given up.
    """

    def __init__(self, transport: Transport, job_id: str, *, polling: Polling, heartbeat_s: float, away_s: float):
        self._transport, self._job_id = transport, job_id
        self._polling, self._heartbeat_s, self._away_s = polling, heartbeat_s, away_s

    async def end(self, *, timeout_s: float | None, ways: tuple[Way, ...], changed: Callable[[Job], None]) -> Job:
        """The job once it has ended.

        Raises:
            WaitTimeout: it had not within `timeout_s`.
            ApiError: there is no such job, or the service stays away.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._end(ways, changed)
        except TimeoutError as error:
            if isinstance(error, WaitTimeout):
                raise
            raise WaitTimeout(
                f"The job had not ended after {timeout_s:g} s.",
                code="wait_timeout",
                hint="It goes on by itself: wait again, or cancel it.",
                details={"job_id": self._job_id},
            ) from error

    async def _end(self, ways: tuple[Way, ...], changed: Callable[[Job], None]) -> Job:
        sources = {"websocket": self._by_websocket, "stream": self._by_stream, "poll": self._by_polling}
        for way in ways or WAYS:
            try:
                # Left to itself, a generator closes its connection only when the collector finds it.
                async with aclosing(sources[way]()) as jobs:
                    async for job in jobs:
                        changed(job)
                        if job.has_ended:
                            break
                # Asked once more: the message of the end is short, the resource has everything.
                return await self._read()
            except _LineLost:
                continue
        raise away(self._transport.base_url)

    async def _read(self) -> Job:
        return Job.model_validate((await self._transport.call("GET", f"/api/v1/jobs/{self._job_id}")).json())

    async def _by_websocket(self) -> AsyncGenerator[Job, None]:
        url = "ws" + self._transport.base_url.removeprefix("http") + f"/api/v1/jobs/{self._job_id}/progress"
        try:
            async with connect(
                url,
                additional_headers=self._transport.headers,
                open_timeout=10,
                ping_interval=self._heartbeat_s,
                ping_timeout=max(5.0, self._heartbeat_s),
                close_timeout=2,
                compression=None,
                proxy=None,
            ) as socket:
                while True:
                    async with asyncio.timeout(_SILENCE_S):
                        message = json.loads(await socket.recv())
                    if message.get("type") == "progress_update":
                        yield _from_update(message["data"])
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == _NO_JOB:
                raise ApiError("There is no such job.", code="job_not_found", details={"status": 404}) from error
            raise _LineLost from error
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            raise _LineLost from error

    async def _by_stream(self) -> AsyncGenerator[Job, None]:
        timeout = httpx.Timeout(10.0, read=_SILENCE_S)
        try:
            path = f"/api/v1/jobs/{self._job_id}/stream"
            async with self._transport.http.stream("GET", path, timeout=timeout) as answer:
                if answer.status_code == 404:
                    await answer.aread()
                    raise refusal(answer)
                if answer.status_code != 200:
                    raise _LineLost
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        body = json.loads(line[6:])
                        if body.get("type") == "status":
                            yield Job.model_validate(body)
        except (httpx.HTTPError, ValueError) as error:
            raise _LineLost from error
        raise _LineLost

    async def _by_polling(self) -> AsyncGenerator[Job, None]:
        delay_s, before = self._polling.min_delay_s, None
        heard_s = time.monotonic()
        while True:
            asked_s: float | None = None
            try:
                answer = await self._transport.http.get(f"/api/v1/jobs/{self._job_id}")
                if answer.status_code == 200:
                    heard_s = time.monotonic()
                    job = Job.model_validate(answer.json())
                    yield job
                    now = (job.status, job.progress_stage, job.attempt)
                    if now != before:
                        delay_s, before = self._polling.min_delay_s, now
                elif answer.status_code == 429 or answer.status_code >= 500:
                    asked_s = retry_after_s(answer)
                else:
                    raise refusal(answer)
            except (httpx.TransportError, ValueError):
                pass  # away for a moment; how long it may be is measured below
            if time.monotonic() - heard_s > self._away_s:
                raise away(self._transport.base_url)
            await asyncio.sleep(asked_s or delay_s * random.uniform(0.8, 1.2))
            if self._polling.progressive:
                delay_s = min(self._polling.max_delay_s, delay_s * 1.5)


def _from_update(data: dict[str, Any]) -> Job:
    """The job as a `progress_update` tells it."""
    error = data.get("error_details")
    return Job(
        id=data["job_id"],
        status=data["status"],
        progress=100.0 if data["status"] == "completed" else data["percentage"],
        progress_stage=data["stage"],
        current_step=data["message"],
        estimated_completion=data.get("estimated_completion"),
        error=error if isinstance(error, dict) else None,
    )


__all__ = ["ENDED", "WAYS", "Polling", "Waiting", "Way"]
