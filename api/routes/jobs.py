"""Jobs: create, read, list, cancel, retry, delete, many at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, Field

from api.deps import BaseUrl, IdempotencyKey, JobId, Svc, UserId
from api.jobs import Filters
from api.problems import RESPONSES, Problem, ProblemDocument
from api.requests import JobRequest, file_id_of
from api.resources import EventResource, JobList, JobResource, event_resource, iso, job_resource, status_resource
from api.service import Service
from api.states import ENDED, JobStatus
from api.tables import StoredFile
from dubline.models import Frozen

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], responses=RESPONSES)
_BULK = 1000


class BulkJobs(BaseModel):
    jobs: list[JobRequest] = Field(min_length=1, max_length=_BULK)


class BulkIds(BaseModel):
    """Jobs by id. `all` of a status may be named instead."""

    job_ids: list[str] = Field(min_length=1, max_length=_BULK, examples=[["550e8400-e29b-41d4-a716-446655440000"]])


class BulkRow(BaseModel):
    """What became of one row of a bulk request."""

    index: int
    status: int = Field(examples=[201])
    job_id: str | None = None
    job: JobResource | None = None
    problem: ProblemDocument | None = None


class BulkAnswer(BaseModel):
    rows: list[BulkRow]
    succeeded: int
    failed: int


class Message(BaseModel):
    message: str
    job_id: str | None = None
    status: str | None = None


class Events(BaseModel):
    job_id: str
    events: list[EventResource]
    total_count: int


class TaskResource(BaseModel):
    """A task of the job's run. `Cached` ones were taken from an earlier run."""

    name: str
    state: str = Field(examples=["Completed", "Cached"])
    started_at: str | None
    seconds: float


class Tasks(BaseModel):
    job_id: str
    tasks: list[TaskResource]
    total_count: int
    cached_count: int


class StatusAnswer(Frozen):
    """The short form of a job that pollers read."""

    job_id: str
    status: JobStatus
    original_filename: str
    source_language: str | None
    target_language: str | None
    progress_stage: str
    progress_percentage: float
    progress: float
    phase: str
    current_step: str
    input_file_size: int
    output_file_size: int | None
    processing_time_seconds: float | None
    error_message: str | None
    error: dict[str, Any] | None
    created_at: str | None
    updated_at: str | None
    started_at: str | None
    completed_at: str | None
    estimated_completion: str | None
    download_url: str | None
    preview_url: str


async def source_file(service: Service, user_id: str, request: JobRequest) -> StoredFile:
    """The stored file that a request names.

    Raises:
        Problem: 422 without any, 404 for one that is not the user's.
    """
    file_id = file_id_of(request)
    if file_id is None:
        raise Problem(
            422,
            "The request names no video.",
            code="source_missing",
            hint="Upload the file to /api/v1/upload and name its file_id.",
            errors=[("file_id", "is missing")],
        )
    return await service.uploads.get(user_id, file_id)


@router.post("/video-translate/create", status_code=201, summary="Create a translation that waits for `process`")
async def create_pending(
    request: JobRequest,
    service: Svc,
    user_id: UserId,
    base_url: BaseUrl,
    response: Response,
    key: IdempotencyKey = None,
) -> JobResource:
    """A `pending` job over a stored file; `POST …/{id}/process` hands it over."""
    return await _create(request, service, user_id, base_url, response, key, status="pending")


@router.post("", status_code=201, summary="Create and start a job")
@router.post("/", status_code=201, include_in_schema=False)
async def create(
    request: Annotated[
        JobRequest,
        Body(
            openapi_examples={
                "dub": {"value": {"file_id": "550e8400-e29b-41d4-a716-446655440000", "target_language": "pt-BR"}}
            }
        ),
    ],
    service: Svc,
    user_id: UserId,
    base_url: BaseUrl,
    response: Response,
    key: IdempotencyKey = None,
) -> JobResource:
    """A job over a stored file, handed over as soon as there is room."""
    return await _create(request, service, user_id, base_url, response, key, status="queued")


async def _create(
    request: JobRequest,
    service: Service,
    user_id: str,
    base_url: str,
    response: Response,
    key: str | None,
    *,
    status: str,
) -> JobResource:
    async def work(ids):
        checked = await service.check(request)
        file = await source_file(service, user_id, request)
        job = await service.jobs.create(
            user_id, checked, file, status=status, job_id=ids.new(), filename=request.filename
        )
        return 201, job_resource(job, base_url).model_dump(mode="json")

    said = {"path": "jobs", "status": status, **request.model_dump(mode="json")}
    _, body = await service.idempotency.once(user_id, key, said, work)
    response.headers["Location"] = f"{base_url}/api/v1/jobs/{body['id']}"
    return JobResource.model_validate(body)


@router.post("/bulk", status_code=207, summary="Create and start up to 1,000 jobs")
async def create_bulk(
    request: BulkJobs, service: Svc, user_id: UserId, base_url: BaseUrl, key: IdempotencyKey = None
) -> BulkAnswer:
    """A row for each: 201 with the job, or the problem. One bad row does not stop the others."""

    async def work(ids):
        rows: list[BulkRow] = []
        good = []
        files: dict[str | None, StoredFile] = {}
        for index, one in enumerate(request.jobs):
            job_id = ids.new()
            try:
                checked = await service.check(one)
                source = one.file_id or one.storage_path
                if source not in files or source is None:
                    files[source] = await source_file(service, user_id, one)
                good.append((index, (job_id, checked, files[source])))
            except Problem as problem:
                rows.append(_failed(index, None, problem))
        jobs = await service.jobs.create_many(user_id, [row for _, row in good], status="queued")
        for (index, _), job in zip(good, jobs, strict=True):
            rows.append(BulkRow(index=index, status=201, job_id=job.id, job=job_resource(job, base_url)))
        rows.sort(key=lambda r: r.index)
        return 207, _bulk(rows).model_dump(mode="json")

    said = {"path": "bulk", **request.model_dump(mode="json")}
    _, body = await service.idempotency.once(user_id, key, said, work)
    return BulkAnswer.model_validate(body)


@router.post("/bulk/{action}", status_code=207, summary="Cancel, retry or delete many jobs")
async def act_on_many(
    action: Literal["cancel", "retry", "delete"], request: BulkIds, service: Svc, user_id: UserId
) -> BulkAnswer:
    """A row for each: 200, or the problem."""
    acts = {"cancel": service.jobs.cancel, "retry": service.jobs.retry, "delete": service.jobs.delete}
    done = await service.jobs.each(user_id, request.job_ids, acts[action])
    return _bulk(
        [
            BulkRow(index=i, status=200, job_id=job_id) if problem is None else _failed(i, job_id, problem)
            for i, (job_id, problem) in enumerate(done)
        ]
    )


def _failed(index: int, job_id: str | None, problem: Problem) -> BulkRow:
    body = ProblemDocument(
        type=f"urn:dubline:problem:{problem.code}",
        title="Not done",
        status=problem.status,
        detail=problem.message,
        instance=f"#{index}",
        code=problem.code,
        hint=problem.hint,
        retryable=problem.retryable,
        details=problem.details,
    )
    return BulkRow(index=index, status=problem.status, job_id=job_id, problem=body)


def _bulk(rows: list[BulkRow]) -> BulkAnswer:
    good = sum(r.problem is None for r in rows)
    return BulkAnswer(rows=rows, succeeded=good, failed=len(rows) - good)


Order = Literal["newest", "oldest", "desc", "asc", "created_at", "-created_at"]


@router.get("", summary="List jobs")
@router.get("/", include_in_schema=False)
async def list_jobs(
    service: Svc,
    user_id: UserId,
    base_url: BaseUrl,
    status: JobStatus | None = None,
    status_filter: Annotated[JobStatus | None, Query(description="The same as `status`.")] = None,
    job_type: Annotated[str | None, Query(max_length=40)] = None,
    target_language: Annotated[str | None, Query(max_length=64)] = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    q: Annotated[str | None, Query(max_length=200, description="Part of the file's name.")] = None,
    order: Order = "newest",
    page: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
    page_size: Annotated[int | None, Query(ge=1, le=100)] = None,
    limit: Annotated[int | None, Query(ge=1, le=100)] = None,
    offset: Annotated[int | None, Query(ge=0, le=100_000_000)] = None,
) -> JobList:
    """Newest first, by `page` and `page_size` or by `limit` and `offset`."""
    size = page_size or limit or 20
    skip = offset if offset is not None else ((page or 1) - 1) * size
    filters = Filters(
        status=status or status_filter,
        job_type=job_type,
        target_language=target_language,
        created_after_s=_seconds(created_after),
        created_before_s=_seconds(created_before),
        q=q,
        order="oldest" if order in ("oldest", "asc", "created_at") else "newest",
        limit=size,
        offset=skip,
    )
    rows, total = await service.jobs.find(user_id, filters)
    return JobList(
        jobs=[job_resource(job, base_url) for job in rows],
        total_count=total,
        page=skip // size + 1,
        page_size=size,
        limit=size,
        offset=skip,
    )


def _seconds(at: datetime | None) -> float | None:
    if at is None:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


@router.get("/{job_id}", summary="The whole job")
async def read(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> JobResource:
    """Every field that any client reads; a finished transcription or translation holds its transcript too."""
    job = await service.jobs.get(user_id, job_id)
    resource = job_resource(job, base_url)
    if job.status == "completed":
        resource.transcript = await transcript_text(service, job.result or {})
    return resource


async def transcript_text(service: Service, result: dict[str, Any]) -> str | None:
    """What was said, as plain text, when the result holds it and it is not long."""
    from api.routes.results import read_artifact_text

    return await read_artifact_text(service, result, "transcript_txt", most_bytes=200_000)


@router.get("/{job_id}/status", summary="The short form that pollers read")
async def status(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> StatusAnswer:
    job = await service.job_status(user_id, job_id)
    return StatusAnswer.model_validate(status_resource(job_resource(job, base_url)))


@router.get("/{job_id}/events", summary="The job's history")
async def events(job_id: JobId, service: Svc, user_id: UserId) -> Events:
    """Every change of state, attempt and warning, with its time."""
    rows = [event_resource(e) for e in await service.jobs.history(user_id, job_id)]
    return Events(job_id=job_id, events=rows, total_count=len(rows))


@router.get("/{job_id}/tasks", summary="The tasks of the job's run")
async def tasks(job_id: JobId, service: Svc, user_id: UserId) -> Tasks:
    """What ran and what was taken from the cache in the newest attempt; empty before a worker has it."""
    job = await service.jobs.get(user_id, job_id)
    found = await service.orchestrator.tasks(job.flow_run_id) if job.flow_run_id else []
    rows = [
        TaskResource(name=t.name, state=t.state, started_at=iso(t.started_s), seconds=round(t.seconds, 3))
        for t in found
    ]
    cached = sum(t.state == "Cached" for t in found)
    return Tasks(job_id=job.id, tasks=rows, total_count=len(rows), cached_count=cached)


@router.post("/{job_id}/process", status_code=202, summary="Hand over a pending or failed job")
async def process(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> JobResource:
    """409 for a job in any other status."""
    return job_resource(await service.jobs.start(user_id, job_id), base_url)


@router.post("/{job_id}/cancel", summary="Cancel a job that has not ended")
async def cancel(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> JobResource:
    """One at work stays `processing`, with `is_cancelling`, until its worker has let go of it."""
    return job_resource(await service.jobs.cancel(user_id, job_id), base_url)


@router.post("/{job_id}/retry", status_code=202, summary="Start a failed or cancelled job again")
async def retry(job_id: JobId, service: Svc, user_id: UserId, base_url: BaseUrl) -> JobResource:
    """It takes up from the stages that finished."""
    return job_resource(await service.jobs.retry(user_id, job_id), base_url)


@router.delete("/{job_id}", summary="Cancel a job under way, delete one that ended")
async def remove(job_id: JobId, service: Svc, user_id: UserId) -> Message:
    """Queued or at work: cancelled. Ended: the job and its artifacts are deleted."""
    job = await service.jobs.get(user_id, job_id)
    if job.status not in ENDED and job.status != "pending":
        await service.jobs.cancel(user_id, job_id)
        return Message(message=f"Job {job_id} cancelled successfully", job_id=job_id, status="cancelled")
    await service.jobs.delete(user_id, job_id)
    return Message(message=f"Job {job_id} deleted successfully", job_id=job_id, status="deleted")
