"""Live progress over WebSocket, in the shapes of every client family.

Each connection has a reader and a pump of its own. Sending has a deadline: who does not read is let go, and delays
nobody else.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel
from starlette.routing import Router, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from api.deps import Svc, caller
from api.live import Mailbox
from api.problems import Problem
from api.resources import eta_s, iso, job_resource
from api.service import Service
from api.tables import Job

router = APIRouter(tags=["live"])
_PING_S = 20.0
_SEND_S = 5.0
_NO_JOB = 4404
_MOST_TEXT = 4096

Render = Callable[[Job, bool], dict[str, Any]]
Say = Callable[[dict[str, Any]], Awaitable[None]]


class SocketCounts(BaseModel):
    total_connections: int
    active_job_connections: int
    connections_per_job: dict[str, int]
    timestamp: str | None


class _Connection:
    """One client: what it is sent, what it says."""

    def __init__(self, websocket: WebSocket, service: Service, user_id: str, label: str) -> None:
        self._websocket, self._service, self._user_id, self._label = websocket, service, user_id, label

    async def say(self, message: dict[str, Any]) -> None:
        await self._send(json.dumps(message))

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(_SEND_S):
            await self._websocket.send_text(text)

    async def run(self, box: Mailbox, render: Render, heard: Callable[[str], Awaitable[None]]) -> None:
        """Until the client leaves or no longer reads."""
        self._service.sockets[self._label] += 1
        reader = asyncio.create_task(self._read(box, heard))
        try:
            while not box.has_ended:
                update = await box.get(_PING_S)
                if update is not None:
                    await self._send(update.text(render, partial(_rendered, render, update.job)))
                elif not box.has_ended:
                    await self.say({"type": "ping", "timestamp": iso(time.time())})
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError, RuntimeError, TimeoutError):
                await reader
            self._service.sockets[self._label] -= 1
            if not self._service.sockets[self._label]:
                del self._service.sockets[self._label]
            with suppress(RuntimeError, TimeoutError):
                async with asyncio.timeout(_SEND_S):
                    await self._websocket.close()

    async def _read(self, box: Mailbox, heard: Callable[[str], Awaitable[None]]) -> None:
        try:
            while True:
                text = await self._websocket.receive_text()
                if len(text) <= _MOST_TEXT:
                    await asyncio.shield(heard(text))  # it may be in a transaction when the client leaves
        except WebSocketDisconnect:
            pass
        finally:
            box.end()


def _rendered(render: Render, job: Job) -> str:
    return json.dumps(render(job, False))


def _kind(text: str) -> str:
    """What a client's message asks for: `{"type": "…"}`, or the bare word."""
    try:
        body = json.loads(text)
    except ValueError:
        return text.strip().lower()
    if isinstance(body, dict):
        return str(body.get("type") or body.get("action") or "").lower()
    return str(body).lower()


async def _watch_job(
    websocket: WebSocket,
    service: Service,
    user_id: str,
    job_id: str,
    render: Render,
    answer: Callable[[str, Job, Say], Awaitable[None]],
) -> None:
    """One job's socket: where it stands now, then every change."""
    await websocket.accept()
    connection = _Connection(websocket, service, user_id, job_id)
    async with service.hub.watch(user_id, job_id) as box:
        try:
            job = await service.jobs.get(user_id, job_id)
        except Problem as problem:
            await websocket.close(_NO_JOB, problem.message)
            return
        now = render(job, True)
        del job  # a thousand that wait need not hold a row each

        async def heard(text: str) -> None:
            await answer(_kind(text), await service.jobs.get(user_id, job_id), connection.say)

        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            await connection.say(now)
            del now
            await connection.run(box, render, heard)


async def progress(websocket: WebSocket) -> None:
    """`progress_update` messages; takes `get_status`, `cancel_job` and `pong`."""
    service, user_id, _ = await caller(websocket)
    job_id = websocket.path_params["job_id"]

    async def answer(kind: str, job: Job, say: Say) -> None:
        if kind == "get_status":
            await say(progress_message(job, True))
        elif kind == "cancel_job":
            try:
                await say(progress_message(await service.jobs.cancel(user_id, job_id), False))
            except Problem as problem:
                await say({"type": "error", "data": {"code": problem.code, "message": problem.message}})
        elif kind == "ping":
            await say({"type": "pong"})

    await _watch_job(websocket, service, user_id, job_id, progress_message, answer)


def progress_message(job: Job, _first: bool) -> dict[str, Any]:
    """A `progress_update`."""
    resource = job_resource(job, "http://")
    return {
        "type": "progress_update",
        "data": {
            "job_id": job.id,
            "status": job.status,
            "stage": resource.progress_stage,
            "phase": resource.phase,
            "percentage": resource.percentage,
            "message": resource.current_step,
            "timestamp": iso(job.updated_s),
            "estimated_completion": iso(eta_s(job, time.time())),
            "error_details": resource.error,
        },
    }


async def broadcast(websocket: WebSocket) -> None:
    """Every change of the caller's jobs, as `job_update`."""
    service, user_id, base_url = await caller(websocket)
    await websocket.accept()
    connection = _Connection(websocket, service, user_id, "*")

    async def heard(text: str) -> None:
        if _kind(text) in ("ping", "heartbeat"):
            await connection.say({"type": "pong"})

    async with service.hub.watch(user_id) as box:
        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            await connection.say({"type": "connected", "timestamp": iso(time.time())})
            await connection.run(box, _updates(base_url), heard)


async def socket_health(websocket: WebSocket) -> None:
    """Says that it is well, at once and every twenty seconds; answers every message."""
    service, user_id, _ = await caller(websocket)
    await websocket.accept()
    connection = _Connection(websocket, service, user_id, "health")

    def now() -> dict[str, Any]:
        return {
            "type": "health",
            "status": "healthy",
            "connections": service.sockets.total(),
            "timestamp": iso(time.time()),
        }

    async def heard(_text: str) -> None:
        await connection.say(now())

    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        await connection.say(now())
        await connection.run(Mailbox(None, "-"), lambda _job, _first: now(), heard)


async def short(websocket: WebSocket) -> None:
    """Bare status objects; answers a `heartbeat`."""
    service, user_id, _ = await caller(websocket)
    job_id = websocket.path_params["job_id"]

    async def answer(kind: str, job: Job, say: Say) -> None:
        if kind in ("heartbeat", "ping"):
            await say({"type": "heartbeat", "job_id": job.id, "status": job.status, "timestamp": iso(time.time())})

    await _watch_job(websocket, service, user_id, job_id, _short_form, answer)


async def updates(websocket: WebSocket) -> None:
    """`initial_status`, then `job_update`."""
    service, user_id, base_url = await caller(websocket)
    job_id = websocket.path_params["job_id"]

    async def answer(kind: str, job: Job, say: Say) -> None:
        if kind in ("ping", "heartbeat"):
            await say({"type": "pong"})
        elif kind == "get_status":
            await say(_updates(base_url)(job, False))

    await _watch_job(websocket, service, user_id, job_id, _updates(base_url), answer)


def _short_form(job: Job, _first: bool) -> dict[str, Any]:
    resource = job_resource(job, "http://")
    return {
        "job_id": job.id,
        "status": job.status,
        "progress": resource.progress,
        "stage": resource.progress_stage,
        "message": resource.current_step,
        "error_message": resource.error_message,
        "created_at": resource.created_at,
        "updated_at": resource.updated_at,
        "completed_at": resource.completed_at,
    }


@lru_cache(maxsize=16)  # one function for each address, so that what it makes is shared
def _updates(base_url: str) -> Render:
    def render(job: Job, first: bool) -> dict[str, Any]:
        data = job_resource(job, base_url).model_dump(mode="json")
        return {"type": "initial_status" if first else "job_update", "job_id": job.id, "data": data}

    return render


SOCKETS = Router(
    [
        WebSocketRoute("/api/v1/jobs/{job_id}/progress", progress),
        WebSocketRoute("/ws/jobs/broadcast", broadcast),
        WebSocketRoute("/ws/health", socket_health),
        WebSocketRoute("/ws/job/{job_id}", short),
        WebSocketRoute("/ws/{job_id}", updates),
    ]
)
"""Beside the application's routes and its layers: what those keep for each connection adds up with a thousand."""


@router.get("/api/v1/websocket/status", summary="Open WebSocket connections")
@router.get("/ws/connections/status", summary="Open WebSocket connections")
@router.get("/connections/status", summary="Open WebSocket connections")
async def connections(service: Svc) -> SocketCounts:
    per_job = {k: n for k, n in service.sockets.items() if k not in ("*", "health") and n}
    return SocketCounts(
        total_connections=service.sockets.total(),
        active_job_connections=len(per_job),
        connections_per_job=per_job,
        timestamp=iso(time.time()),
    )
