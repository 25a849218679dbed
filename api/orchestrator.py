"""Prefect, as the services see it: runs, workers and events as values of `api.runs`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from pydantic import ValidationError
from websockets.exceptions import WebSocketException

from api.prefect_rest import PrefectRefused, PrefectRest
from api.runs import (
    OrchestratorUnavailable,
    QueueInfo,
    QueueName,
    RunAlive,
    RunEvent,
    RunRefused,
    RunState,
    TaskInfo,
    WorkerInfo,
)
from dubline.contract import Progress

POOL = "dubline"
DEPLOYMENT = "service"
_PROGRESS = "dubline.progress"
_FLOW_RUN = "prefect.flow-run."
_STATE_EVENTS = "prefect.state-type"
_TAG = "job-"
_MOST_TASKS, _PAGE = 1000, 200
_NEVER = frozenset({httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE, httpx.codes.UNPROCESSABLE_ENTITY})
_FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, PrefectRefused, WebSocketException, OSError, json.JSONDecodeError) as error:
        raise OrchestratorUnavailable(
            "The workflow engine does not answer.", hint="Jobs wait and start when it is back."
        ) from error


class PrefectOrchestrator:
    """`Orchestrator` over one long-lived client; deployment ids are looked up once."""

    def __init__(self) -> None:
        self._rest = PrefectRest()
        self._deployments: dict[str, str] = {}
        url = os.environ.get("PREFECT_UI_URL") or self._rest.url.removesuffix("/api")
        self.page_url: str | None = url.rstrip("/") or None

    async def close(self) -> None:
        await self._rest.close()

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        """None when there is no such thing."""
        with _translated():
            try:
                return await self._rest.call(method, path, body)
            except PrefectRefused as refusal:
                if refusal.status != httpx.codes.NOT_FOUND:
                    raise
                return None

    async def _deployment(self, flow: str) -> str | None:
        if flow not in self._deployments:
            found = await self._call("GET", f"/deployments/name/{flow}/{DEPLOYMENT}")
            if found is None:
                return None
            self._deployments[flow] = found["id"]
        return self._deployments[flow]

    async def create_run(
        self, *, flow: str, parameters: dict[str, Any], queue: QueueName, key: str, job_id: str
    ) -> RunState:
        deployment = await self._deployment(flow)
        run = None
        if deployment is not None:
            body = {
                "state": _state("SCHEDULED", "Scheduled"),
                "parameters": {"params": parameters},
                "name": f"{_TAG}{job_id}",
                "idempotency_key": key,
                "work_queue_name": queue,
                "tags": [f"{_TAG}{job_id}"],
            }
            run = await self._create(f"/deployments/{deployment}/create_flow_run", body)
        if run is None:
            self._deployments.pop(flow, None)  # a server with a new database: registered again soon
            raise OrchestratorUnavailable("The deployment is not registered yet.")
        return _of_run(run)

    async def _create(self, path: str, body: Any) -> Any:
        """None when there is no such deployment."""
        with _translated():
            try:
                return await self._rest.call("POST", path, body)
            except PrefectRefused as refusal:
                if refusal.status in _NEVER:
                    raise RunRefused(
                        "The workflow engine does not take these options.",
                        hint="Shorten the glossary or the edits, and leave out what is no plain text.",
                    ) from refusal
                if refusal.status != httpx.codes.NOT_FOUND:
                    raise
                return None

    async def read_runs(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        out: dict[str, RunState] = {}
        for at in range(0, len(run_ids), _PAGE):
            wanted = {"id": {"any_": list(run_ids[at : at + _PAGE])}}
            rows = await self._call("POST", "/flow_runs/filter", {"flow_runs": wanted, "limit": _PAGE})
            out |= {row["id"]: _of_run(row) for row in rows or ()}
        return out

    async def tasks(self, run_id: str) -> list[TaskInfo]:
        rows: list[dict[str, Any]] = []
        while len(rows) < _MOST_TASKS:
            body = {"flow_runs": {"id": {"any_": [run_id]}}, "limit": _PAGE, "offset": len(rows)}
            page = await self._call("POST", "/task_runs/filter", body) or []
            rows += page
            if len(page) < _PAGE:
                break
        tasks = [
            TaskInfo(
                name=row["name"],
                state=(row["state"] or {}).get("name") or "",
                started_s=_seconds(row["start_time"]),
                seconds=float(row["total_run_time"] or 0.0),
            )
            for row in rows
        ]
        return sorted(tasks, key=lambda t: t.started_s or float("inf"))

    async def open_runs(self) -> dict[str, str]:
        state = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING"]}}
        rows = await self._call("POST", "/flow_runs/filter", {"flow_runs": {"state": state}, "limit": _PAGE})
        out: dict[str, str] = {}
        for row in rows or ():
            for tag in row["tags"]:
                if tag.startswith(_TAG) and row["name"] == tag:
                    out[row["id"]] = tag.removeprefix(_TAG)
        return out

    async def _set_state(self, run_id: str, kind: str, name: str, message: str, *, force: bool) -> None:
        body = {"state": _state(kind, name, message), "force": force}
        await self._call("POST", f"/flow_runs/{run_id}/set_state", body)

    async def cancel(self, run_id: str) -> None:
        run = await self._call("GET", f"/flow_runs/{run_id}")
        kind = ((run or {}).get("state") or {}).get("type")
        if kind is None or kind in _FINAL or kind == "CANCELLING":
            return
        if kind == "SCHEDULED":  # nobody holds it, so there is nobody to wait for
            await self._set_state(run_id, "CANCELLED", "Cancelled", "Cancelled by the user.", force=True)
        else:
            await self._set_state(run_id, "CANCELLING", "Cancelling", "", force=False)

    async def resume(self, run_id: str, reason: str) -> None:
        await self._set_state(run_id, "SCHEDULED", "AwaitingRetry", reason, force=True)

    async def end(self, run_id: str, kind: Literal["CANCELLED", "CRASHED"], reason: str) -> None:
        await self._set_state(run_id, kind, kind.title(), reason, force=True)

    async def workers(self) -> list[WorkerInfo]:
        rows = await self._call("POST", f"/work_pools/{POOL}/workers/filter", {})
        return [
            WorkerInfo(
                name=row["name"],
                pool=POOL,
                status=str(row["status"]).lower(),
                heartbeat_s=_seconds(row["last_heartbeat_time"]),
            )
            for row in rows or ()
        ]

    async def queues(self) -> list[QueueInfo]:
        rows = await self._call("POST", f"/work_pools/{POOL}/queues/filter", {})
        return [
            QueueInfo(
                name=row["name"],
                priority=row["priority"],
                is_paused=row["is_paused"],
                limit=row["concurrency_limit"],
            )
            for row in rows or ()
        ]

    async def check(self) -> None:
        await self._call("GET", "/health")

    async def events(self) -> AsyncGenerator[RunEvent]:
        with _translated():
            async with aclosing(self._rest.events([_FLOW_RUN, _PROGRESS])) as events:
                async for event in events:
                    row = _of_event(event)
                    if row is not None:
                        yield row


def _state(kind: str, name: str, message: str = "") -> dict[str, Any]:
    # A worker takes no run that is scheduled for no time.
    details = {"scheduled_time": datetime.now(UTC).isoformat()} if kind == "SCHEDULED" else {}
    return {"type": kind, "name": name, "message": message, "state_details": details}


def _seconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def _of_run(run: dict[str, Any]) -> RunState:
    state = run.get("state")
    if state is None:
        return RunState(run_id=run["id"], type="SCHEDULED", name="Scheduled", at_s=time.time())
    return RunState(
        run_id=run["id"],
        type=state["type"],
        name=state["name"] or state["type"].title(),
        at_s=_seconds(state["timestamp"]) or time.time(),
        message=state["message"] or "",
    )


def _of_event(event: dict[str, Any]) -> RunEvent | None:
    if event["event"] == _PROGRESS:
        try:
            return Progress.model_validate(event["payload"])
        except ValidationError:
            return None  # anybody may emit events; only well-formed ones count
    resource = event["resource"]
    run_id = resource["prefect.resource.id"].removeprefix(_FLOW_RUN)
    occurred_s = datetime.fromisoformat(event["occurred"]).timestamp()
    if event["event"] == f"{_FLOW_RUN}heartbeat":
        return RunAlive(run_id=run_id, at_s=occurred_s)
    kind = resource.get(_STATE_EVENTS)
    if kind is None:
        return None
    return RunState(
        run_id=run_id,
        type=kind,
        name=resource.get("prefect.state-name") or kind.title(),
        at_s=occurred_s,
        message=resource.get("prefect.state-message") or "",
    )
