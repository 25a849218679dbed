"""The web page: its own files and the few files of its libraries, by fixed lists. It talks only to the public API."""

from __future__ import annotations

import secrets
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

from api.guards import page_policy
from api.problems import Problem, not_found

router = APIRouter(include_in_schema=False)

_WEB = Path(__file__).resolve().parents[1] / "web"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_OWN = {
    path.relative_to(_WEB).as_posix(): path
    for path in (*_WEB.glob("*"), *_WEB.glob("views/*"))
    if path.suffix in _TYPES and path.is_file()
}
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
async def library(name: str) -> Response:
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
    return _file(path)


@router.get("/web/{path:path}")
async def own(path: str) -> Response:
    if path not in _OWN:
        raise not_found("file of the page", "page_file_not_found")
    return _file(_OWN[path])


def _file(path: Path) -> Response:
    # Asked for again each time, answered with 304 while it is the same: a page of mixed versions would not work.
    return FileResponse(path, media_type=_TYPES[path.suffix], headers={"Cache-Control": "no-cache"})
