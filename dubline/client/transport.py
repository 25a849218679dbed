"""Calls to the service that survive what passes: a restart, a busy answer, a cut line."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from dubline.errors import ApiError

_PASSING = frozenset({429, 502, 503, 504})
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.3, 8.0
_LONGEST_RETRY_AFTER_S = 120.0


class Transport:
    """One HTTP connection pool.

    Args:
        base_url: The service's address.
        token: Sent as a bearer token.
        timeout_s: Longest wait for one answer.
        retries: Further attempts at a call that failed for a passing reason.
        delay_s: Pause before the first of them; each next one is twice as long, with jitter.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 5,
        delay_s: float = _FIRST_DELAY_S,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._retries, self._delay_s = retries, delay_s
        self.timeout_s = timeout_s
        self.http = httpx.AsyncClient(base_url=self.base_url, headers=self.headers, timeout=timeout_s, transport=http)

    async def close(self) -> None:
        await self.http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        creates: bool = False,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request, repeated while the reason why it fails passes.

        Args:
            method: HTTP method.
            path: Path below the service's address.
            json: Body, as JSON.
            params: Query; those that are None are left out.
            timeout_s: Longest wait for the answer, instead of the client's own.
            creates: Send an idempotency key, so that a repeated request makes one thing.
            headers: Further headers.

        Raises:
            ApiError: the service refuses, or does not answer.
        """
        sent = {**(headers or {}), **({"Idempotency-Key": uuid.uuid4().hex} if creates else {})}
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                response = await self.http.request(
                    method,
                    path,
                    json=json,
                    params={k: v for k, v in (params or {}).items() if v is not None},
                    headers=sent,
                    timeout=timeout_s or self.timeout_s,
                )
            except httpx.TransportError as error:
                if last:
                    raise away(self.base_url) from error
                await asyncio.sleep(self.pause_s(attempt))
                continue
            if response.status_code in _PASSING and not last:
                await asyncio.sleep(retry_after_s(response) or self.pause_s(attempt))
                continue
            if response.is_error:
                raise refusal(response)
            return response
        raise away(self.base_url)

    def pause_s(self, attempt: int) -> float:
        """Exponential with jitter, so that many clients do not come back at once."""
        return min(_LONGEST_DELAY_S, self._delay_s * 2**attempt) * random.uniform(0.6, 1.2)


def retry_after_s(response: httpx.Response) -> float | None:
    """Seconds that the answer asks to wait (RFC 9110, section 10.2.3: a number or a date).

    None when it does not say, or says at once: then the client's own pause keeps it from asking without end.
    """
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        asked_s = float(text)
    else:
        try:
            asked_s = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return None
    return min(_LONGEST_RETRY_AFTER_S, asked_s) if asked_s > 0 else None


def refusal(response: httpx.Response) -> ApiError:
    """The problem document of an answer as an error; its status stands in the details."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    return ApiError(
        str(body.get("detail") or f"The service answered {response.status_code}."),
        code=str(body.get("code") or "api_error"),
        hint=str(body.get("hint") or ""),
        retryable=bool(body.get("retryable", response.status_code in _PASSING)),
        details={**(body.get("details") or {}), "status": response.status_code, "errors": body.get("errors") or []},
    )


def away(base_url: str) -> ApiError:
    return ApiError(
        f"No service answers at {base_url}.",
        code="service_away",
        hint="Start one with `dubline up`, or name another address (DUBLINE_URL).",
        retryable=True,
    )
