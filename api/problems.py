"""Errors as `application/problem+json` (RFC 9457): one shape for every wrong request and every fault."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from dubline.errors import (
    ArtifactMissing,
    DublineError,
    EngineUnavailable,
    InputError,
    MediaError,
    StorageFull,
)

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("dubline.api")
_TITLES = {
    400: "Bad request",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    410: "Gone",
    411: "Length required",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    422: "Unprocessable request",
    423: "Locked",
    428: "Precondition required",
    460: "Checksum mismatch",
    500: "Internal error",
    503: "Not available now",
    507: "No room",
}


class ProblemError(BaseModel):
    """One wrong field."""

    field: str = Field(examples=["target_language"])
    message: str


class ProblemDocument(BaseModel):
    """What every error answer holds."""

    type: str = Field(examples=["urn:dubline:problem:job_not_found"])
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(examples=["job_not_found"])
    hint: str = ""
    retryable: bool = False
    errors: list[ProblemError] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)


class Problem(DublineError):
    """An answer other than success, thrown by the services and handlers.

    Args:
        status: The HTTP status.
        message: One sentence.
        code: Stable machine name.
        errors: Field path and message, for 422.
        headers: Extra headers (`Retry-After`).
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        hint: str = "",
        retryable: bool = False,
        errors: Sequence[tuple[str, str]] = (),
        details: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, retryable=retryable, details=details)
        self.status = status
        self.errors = errors
        self.headers = dict(headers or {})


def not_found(what: str, code: str) -> Problem:
    """404, the same for what never was and for what is another user's."""
    return Problem(404, f"There is no such {what}.", code=code)


def status_of(error: DublineError) -> int:
    """The HTTP status of an error of the tree."""
    if isinstance(error, Problem):
        return error.status
    if isinstance(error, StorageFull):
        return 507
    if isinstance(error, ArtifactMissing):
        return 404
    if isinstance(error, InputError | EngineUnavailable | MediaError):
        return 422
    return 503 if error.retryable else 500


def document(request: Request, error: DublineError) -> ProblemDocument:
    status = status_of(error)
    rows = error.errors if isinstance(error, Problem) else ()
    return ProblemDocument(
        type=f"urn:dubline:problem:{error.code}",
        title=_TITLES.get(status, "Error"),
        status=status,
        detail=error.message,
        instance=request.url.path,
        code=error.code,
        hint=error.hint,
        retryable=error.retryable,
        errors=[ProblemError(field=f, message=m) for f, m in rows],
        details=error.details,
    )


def answer(request: Request, error: DublineError) -> JSONResponse:
    headers = dict(error.headers) if isinstance(error, Problem) else {}
    body = document(request, error)
    if body.status == 503:
        headers.setdefault("Retry-After", "2")
    return JSONResponse(body.model_dump(mode="json"), body.status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every failure of the application a problem document."""

    @app.exception_handler(DublineError)
    async def _ours(request: Request, error: DublineError) -> JSONResponse:
        if status_of(error) >= 500:
            _LOG.warning("%s: %s", error.code, error.message)
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        rows = [(_path(row["loc"]), _sentence(row["msg"])) for row in error.errors()]
        first = f"{rows[0][0]}: {rows[0][1]}" if rows else "The request is not valid."
        return answer(request, Problem(422, first, code="request_invalid", errors=rows))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "path_not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        words = {404: "There is nothing at this address.", 405: "This address does not take this method."}
        message = words.get(error.status_code, str(error.detail))
        return answer(request, Problem(error.status_code, message, code=code, headers=error.headers))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        _LOG.exception("unexpected fault", exc_info=error)
        return answer(
            request,
            Problem(500, "The service failed at this request.", code="internal_error", hint="Its log has the reason."),
        )


def _path(location: Sequence[Any]) -> str:
    parts = [str(p) for p in location if p not in ("body", "query", "path", "header")]
    return ".".join(parts) or "body"


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")


def retry_after(seconds: float) -> dict[str, str]:
    """The header, rounded up to whole seconds."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def problem_answer(status: int) -> dict[str, Any]:
    """A problem document as the OpenAPI page describes it."""
    return {
        "description": _TITLES[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: problem_answer(status) for status in (400, 404, 409, 413, 422, 503, 507)
}
"""What any path may answer beside success, for the OpenAPI page."""
