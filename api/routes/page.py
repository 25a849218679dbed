"""The web page: its own files and the few files of its libraries, by fixed lists. It talks only to the public API."""

from __future__ import annotations

import gzip
import secrets
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api.guards import page_policy
from api.problems import Problem, not_found

router = APIRouter(include_in_schema=False)

_WEB = Path(__file__).resolve().parents[1] / "web"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
OWN = {
    path.relative_to(_WEB).as_posix(): path
    for path in (*_WEB.glob("*"), *_WEB.glob("views/*"))
    if path.suffix in _TYPES and path.is_file()
}
"""Name under `/web/` -> file."""

LIBRARIES = {
    "preact.js": _WEB / "node_modules/htm/preact/standalone.module.js",
    "tus.js": _WEB / "node_modules/tus-js-client/dist/tus.min.js",
    "wavesurfer.js": _WEB / "node_modules/wavesurfer.js/dist/wavesurfer.esm.js",
    "regions.js": _WEB / "node_modules/wavesurfer.js/dist/plugins/regions.esm.js",
}
"""Name under `/web/lib/` -> file that `make setup` installs."""


def wants_page(accept: str) -> bool:
    """Whether this is a browser that opens an address, and no program: only browsers ask for HTML by name."""
    return "text/html" in accept


def page() -> Response:
    """The page. Its nonce is for the one style element that the waveform's library makes."""
    nonce = secrets.token_urlsafe(16)
    text = (_WEB / "index.html").read_text(encoding="utf-8").replace("{{nonce}}", nonce)
    headers = {"Content-Security-Policy": page_policy(nonce), "Cache-Control": "no-store", "Vary": "Accept"}
    return HTMLResponse(text, headers=headers)


@router.get("/web/lib/{name}")
async def library(name: str, request: Request) -> Response:
    path = LIBRARIES.get(name)
    if path is None:
        raise not_found("file of the page", "page_file_not_found")
    if not path.is_file():
        raise Problem(
            404,
            "A library of the page is not installed.",
            code="page_library_missing",
            hint="Install npm, run `make setup`, and load the page again.",
        )
    return _file(path, request)


@router.get("/web/{path:path}")
async def own(path: str, request: Request) -> Response:
    if path not in OWN:
        raise not_found("file of the page", "page_file_not_found")
    return _file(OWN[path], request)


def _file(path: Path, request: Request) -> Response:
    stat = path.stat()
    is_packed = _takes_gzip(request.headers.get("accept-encoding", ""))
    tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}{"-gzip" if is_packed else ""}"'
    # Asked for again each time, answered with 304 while it is the same: a page of mixed versions would not work.
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding", "ETag": tag}
    known = {said.strip().removeprefix("W/") for said in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    return Response(_content(path, stat.st_mtime_ns, is_packed), media_type=_TYPES[path.suffix], headers=headers)


@lru_cache(maxsize=200)
def _content(path: Path, changed_ns: int, is_packed: bool) -> bytes:
    """The bytes of a file as it was at a time, packed once."""
    data = path.read_bytes()
    return gzip.compress(data, mtime=0) if is_packed else data


def _takes_gzip(accept_encoding: str) -> bool:
    for said in accept_encoding.lower().split(","):
        coding, _, weight = said.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or weight == ""
    return False
