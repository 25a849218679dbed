from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.prefect_server import _soon_again


async def _answer(request: Request) -> Response:
    return Response(status_code=int(request.path_params["status"]))


@pytest.mark.parametrize(("status", "after"), [(503, "0.2"), (200, None), (409, None)])
async def test_what_two_transactions_refused_is_asked_for_again_soon(status: int, after: str | None) -> None:
    app = _soon_again(Starlette(routes=[Route("/{status}", _answer)]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://server") as client:
        answer = await client.get(f"/{status}")
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == after
