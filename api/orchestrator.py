"""Prefect, as the services see it. The only module of the API that imports it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Literal
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.events import Event
from prefect.events.clients import PrefectEventSubscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL
from prefect.states import AwaitingRetry, Cancelled, Cancelling, Crashed
from pydantic import ValidationError
from websockets.exceptions import WebSocketException

from api.runs import OrchestratorUnavailable, QueueInfo, QueueName, RunAlive, RunEvent, RunState, TaskInfo, WorkerInfo
from dubline.contract import Progress

POOL = "dubline"
DEPLOYMENT = "service"
_PROGRESS = "dubline.progress"
_FLOW_RUN = "prefect.flow-run."
_STATE_EVENTS = "prefect.state-type"
_TAG = "job-"
_MOST_TASKS = 1000


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ObjectNotFound:
        raise
    except (httpx.HTTPError, PrefectHTTPStatusError, WebSocketException, OSError, RuntimeError) as error:
        raise OrchestratorUnavailable(
            "The workflow engine does not answer.", hint="Jobs wait and start when it is back."
        ) from error


class PrefectOrchestrator:
    """`Orchestrator` over one long-lived client; deployment ids are looked up once."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._client: PrefectClient | None = None
        self._deployments: dict[str, UUID] = {}
        url = PREFECT_UI_URL.value() or (PREFECT_API_URL.value() or "").removesuffix("/api")
        self.page_url: str | None = url.rstrip("/") or None

    async def close(self) -> None:
        await self._stack.aclose()

    async def _connect(self) -> PrefectClient:
        if self._client is None:
            # No retries inside: the callers have their own loops, and a request must not hang on a server away.
            client = get_client(httpx_settings={"timeout": httpx.Timeout(15.0, connect=2.0)})
            self._client = await self._stack.enter_async_context(client)
        return self._client

    async def _deployment(self, flow: str) -> UUID:
        if flow not in self._deployments:
            client = await self._connect()
            found = await client.read_deployment_by_name(f"{flow}/{DEPLOYMENT}")
            self._deployments[flow] = found.id
        return self._deployments[flow]

    async def create_run(
        self, *, flow: str, parameters: dict[str, Any], queue: QueueName, key: str, job_id: str
    ) -> RunState:
        with _translated():
            client = await self._connect()
            try:
                run = await client.create_flow_run_from_deployment(
                    await self._deployment(flow),
                    parameters={"params": parameters},
                    name=f"{_TAG}{job_id}",
                    idempotency_key=key,
                    work_queue_name=queue,
                    tags=[f"{_TAG}{job_id}"],
                )
            except ObjectNotFound as error:
                self._deployments.pop(flow, None)  # a server with a new database: registered again soon
                raise OrchestratorUnavailable("The deployment is not registered yet.") from error
        return _of_run(run)

    async def read_runs(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        out: dict[str, RunState] = {}
        with _translated():
            client = await self._connect()
            for at in range(0, len(run_ids), 200):
                ids = FlowRunFilterId(any_=[UUID(i) for i in run_ids[at : at + 200]])
                rows = await client.read_flow_runs(flow_run_filter=FlowRunFilter(id=ids), limit=200)
                out |= {str(r.id): _of_run(r) for r in rows}
        return out

    async def tasks(self, run_id: str) -> list[TaskInfo]:
        run = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run_id)]))
        rows = []
        with _translated():
            client = await self._connect()
            while len(rows) < _MOST_TASKS:
                page = await client.read_task_runs(flow_run_filter=run, limit=200, offset=len(rows))
                rows += page
                if len(page) < 200:
                    break
        tasks = [
            TaskInfo(
                name=r.name,
                state=r.state.name or "" if r.state else "",
                started_s=r.start_time.timestamp() if r.start_time else None,
                seconds=r.total_run_time.total_seconds(),
            )
            for r in rows
        ]
        return sorted(tasks, key=lambda t: t.started_s or float("inf"))

    async def open_runs(self) -> dict[str, str]:
        kinds = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
        state = FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds))
        with _translated():
            client = await self._connect()
            rows = await client.read_flow_runs(flow_run_filter=FlowRunFilter(state=state), limit=200)
        out: dict[str, str] = {}
        for run in rows:
            for tag in run.tags:
                if tag.startswith(_TAG) and run.name == tag:
                    out[str(run.id)] = tag.removeprefix(_TAG)
        return out

    async def cancel(self, run_id: str) -> None:
        with _translated():
            client = await self._connect()
            try:
                run = await client.read_flow_run(UUID(run_id))
                if run.state is None or run.state.is_final() or run.state.is_cancelling():
                    return
                # Nobody holds a scheduled run, so there is nobody to wait for.
                waits = run.state.is_scheduled()
                await client.set_flow_run_state(
                    run.id, Cancelled(message="Cancelled by the user.") if waits else Cancelling(), force=waits
                )
            except ObjectNotFound:
                return

    async def resume(self, run_id: str, reason: str) -> None:
        with _translated():
            client = await self._connect()
            await client.set_flow_run_state(UUID(run_id), AwaitingRetry(message=reason), force=True)

    async def end(self, run_id: str, kind: Literal["CANCELLED", "CRASHED"], reason: str) -> None:
        state: State[Any] = Cancelled(message=reason) if kind == "CANCELLED" else Crashed(message=reason)
        with _translated():
            client = await self._connect()
            try:
                await client.set_flow_run_state(UUID(run_id), state, force=True)
            except ObjectNotFound:
                return

    async def workers(self) -> list[WorkerInfo]:
        with _translated():
            client = await self._connect()
            try:
                rows = await client.read_workers_for_work_pool(POOL)
            except ObjectNotFound:
                return []
        return [
            WorkerInfo(
                name=w.name,
                pool=POOL,
                status=str(w.status.value).lower(),
                heartbeat_s=w.last_heartbeat_time.timestamp() if w.last_heartbeat_time else None,
            )
            for w in rows
        ]

    async def queues(self) -> list[QueueInfo]:
        with _translated():
            client = await self._connect()
            try:
                rows = await client.read_work_queues(work_pool_name=POOL)
            except ObjectNotFound:
                return []
        return [
            QueueInfo(name=q.name, priority=q.priority, is_paused=q.is_paused, limit=q.concurrency_limit) for q in rows
        ]

    async def check(self) -> None:
        with _translated():
            client = await self._connect()
            error = await client.api_healthcheck()
        if error is not None:
            raise OrchestratorUnavailable("The workflow engine does not answer.") from error

    async def events(self) -> AsyncIterator[RunEvent]:
        names = EventNameFilter(prefix=[_FLOW_RUN, _PROGRESS])
        with _translated():
            async with PrefectEventSubscriber(filter=EventFilter(event=names), reconnection_attempts=0) as subscriber:
                async for event in subscriber:
                    row = _of_event(event)
                    if row is not None:
                        yield row


def _of_run(run: FlowRun) -> RunState:
    state = run.state
    if state is None:
        return RunState(run_id=str(run.id), type="SCHEDULED", name="Scheduled", at_s=time.time())
    return RunState(
        run_id=str(run.id),
        type=state.type.value,
        name=state.name or state.type.value.title(),
        at_s=state.timestamp.timestamp(),
        message=state.message or "",
    )


def _of_event(event: Event) -> RunEvent | None:
    if event.event == _PROGRESS:
        try:
            return Progress.model_validate(event.payload)
        except ValidationError:
            return None  # anybody may emit events; only well-formed ones count
    run_id = event.resource.id.removeprefix(_FLOW_RUN)
    if event.event == f"{_FLOW_RUN}heartbeat":
        return RunAlive(run_id=run_id, at_s=event.occurred.timestamp())
    kind = event.resource.get(_STATE_EVENTS)
    if kind is None:
        return None
    return RunState(
        run_id=run_id,
        type=kind,
        name=event.resource.get("prefect.state-name") or kind.title(),
        at_s=event.occurred.timestamp(),
        message=event.resource.get("prefect.state-message") or "",
    )
