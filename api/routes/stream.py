"""Live progress as server-sent events (the `text/event-stream` of the HTML standard)."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from api.deps import BaseUrl, JobId, Svc, UserId
from api.problems import RESPONSES
from api.resources import event_resource, job_resource
from api.service import Service
from api.states import ENDED
from api.tables import Job

router = APIRouter(prefix="/api/v1", tags=["live"], responses=RESPONSES)
_HEARTBEAT_S = 15.0


@router.get(
    "/jobs/{job_id}/stream",
    summary="Progress as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"description": "Events until the job ends.", "content": {"text/event-stream": {}}}},
)
async def stream(
    request: Request,
    job_id: JobId,
    service: Svc,
    user_id: UserId,
    base_url: BaseUrl,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=40)] = None,
    token: Annotated[str | None, Query(max_length=2000, description="For clients that cannot send headers.")] = None,
) -> StreamingResponse:
    """Where the job stands, then every change; after `Last-Event-ID` what was missed comes first."""
    await service.jobs.get(user_id, job_id)  # 404 before the stream begins
    body = _events(service, user_id, job_id, base_url, _number(last_event_id))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)


def _number(last_event_id: str | None) -> int | None:
    if last_event_id is None:
        return None
    digits = last_event_id.split("-", 1)[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None


async def _events(service: Service, user_id: str, job_id: str, base_url: str, after: int | None) -> AsyncIterator[str]:
    async with service.hub.watch(user_id, job_id) as box:
        history = await service.jobs.history(user_id, job_id)
        last = history[-1].id or 0 if history else 0
        if after is not None:
            for row in history:
                if (row.id or 0) > after:
                    event = event_resource(row).model_dump(mode="json")
                    yield _text(f"{row.id}", {"type": "event", "job_id": job_id, "status": row.status, "event": event})
        job = await service.jobs.get(user_id, job_id)
        yield _text(f"{last}-{_mark(job)}", _body(job, base_url))
        has_ended = job.status in ENDED
        del history, job  # hundreds that wait need not hold rows each
        while not has_ended:
            update = await box.get(_HEARTBEAT_S)
            if update is None:
                yield f": {int(time.time())}\n\n"
                job = await service.jobs.get(user_id, job_id)
                has_ended = job.status in ENDED
                if has_ended:
                    yield _text(f"{last}-{_mark(job)}", _body(job, base_url))
                del job
            else:
                has_ended = update.job.status in ENDED
                last = max(last, update.event_id)
                body = update.text(("stream", base_url), partial(_json, update.job, base_url))
                yield f"id: {last}-{_mark(update.job)}\ndata: {body}\n\n"
                del update


def _mark(job: Job) -> int:
    return int(job.updated_s * 1000)


def _body(job: Job, base_url: str) -> dict:
    return {"type": "status", **job_resource(job, base_url).model_dump(mode="json")}


def _json(job: Job, base_url: str) -> str:
    return json.dumps(_body(job, base_url))


def _text(number: str, body: dict) -> str:
    return f"id: {number}\ndata: {json.dumps(body)}\n\n"
