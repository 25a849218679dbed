"""What every request passes before a handler: an id, limits, the origin; and headers on the way out."""

from __future__ import annotations

import json
import re
import uuid
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BODY_BYTES = 1024 * 1024
_BULK_BYTES = 4 * 1024 * 1024
_ID = re.compile(r"^[A-Za-z0-9._-]{1,128}$")
_STREAMED = re.compile(r"^/api/v1/(upload/?|uploads/[^/]+)$")
_TUS = re.compile(r"^/api/v1/uploads(/|$)")
_BULK = re.compile(r"^/api/v1/jobs/bulk/?$")
_DOCS = re.compile(r"^/(docs|redoc)(/|$)")

_POLICY = (
    "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "img-src 'self' data: blob:; media-src 'self' blob:"
)
_DOCS_POLICY = (
    # The pages of the OpenAPI document start themselves with a script in the page.
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def page_policy(nonce: str) -> str:
    """The policy of the web page: no script in the page, and no style in it but one that carries this nonce."""
    return f"{_POLICY}; style-src 'self' 'nonce-{nonce}'; form-action 'none'"


class Guards:
    """Pure ASGI, so that bodies and answers stream through. WebSockets go to an application of their own."""

    def __init__(self, app: ASGIApp, sockets: ASGIApp) -> None:
        self._app, self._sockets = app, sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not _same_origin(headers):
            await _refuse_origin(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        given = headers.get("x-request-id", "")
        request_id = given if _ID.match(given) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        path = scope["path"]
        policy = _DOCS_POLICY if _DOCS.match(path) else _POLICY

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                out["X-Request-ID"] = request_id
                out.setdefault("X-Content-Type-Options", "nosniff")
                out.setdefault("Content-Security-Policy", policy)
                out.setdefault("Referrer-Policy", "no-referrer")
                if _TUS.match(path):  # the protocol wants these of every answer, refusals too
                    out.setdefault("Tus-Resumable", "1.0.0")
                    out.setdefault("Cache-Control", "no-store")
            await send(message)

        most = None if _STREAMED.match(path) else _BULK_BYTES if _BULK.match(path) else _BODY_BYTES
        said = headers.get("content-length", "")
        if most is not None and said.isdigit() and int(said) > most:
            await _problem(answer, 413, "body_too_large", "The body of this request is too large.", path)
            return
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            if most is not None and message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > most:
                    raise HTTPException(413, "The body of this request is too large.")
            return message

        await self._app(scope, limited, answer)


def _same_origin(headers: Headers) -> bool:
    """Whether a browser's page of ours sent this, or no browser at all. Programs send no `Origin`."""
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False


async def _refuse_origin(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4403, "reason": "cross-origin"})
        return
    await _problem(send, 403, "cross_origin", "Pages of other sites may not use this service.", scope["path"])


async def _problem(send: Send, status: int, code: str, detail: str, path: str) -> None:
    body = {
        "type": f"urn:dubline:problem:{code}",
        "title": {403: "Not allowed", 413: "Too large"}[status],
        "status": status,
        "detail": detail,
        "instance": path,
        "code": code,
        "hint": "",
        "retryable": False,
        "errors": [],
        "details": {},
    }
    data = json.dumps(body).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
