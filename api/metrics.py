"""Figures for Prometheus: requests as they pass, jobs and connections as they are when asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy import func
from sqlmodel import col, select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.states import STATUSES
from api.tables import Job

if TYPE_CHECKING:
    from api.service import Service


class Metrics:
    """One registry an application, so that several may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dubline_http_requests", "Requests answered.", ["method", "path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "dubline_http_request_seconds", "Time to the end of the answer.", ["method", "path"], registry=self.registry
        )
        self.jobs = Gauge("dubline_jobs", "Jobs by status.", ["status"], registry=self.registry)
        self.dead = Gauge("dubline_dead_letters", "Jobs that failed for good.", registry=self.registry)
        self.sockets = Gauge("dubline_websocket_connections", "Open WebSocket connections.", registry=self.registry)
        self.processing = Gauge(
            "dubline_processing_seconds_total", "Seconds of processing of ended jobs.", registry=self.registry
        )


async def collect(service: Service) -> None:
    """Bring the gauges up to date."""
    async with service.db.read() as session:
        counts = dict((await session.exec(select(Job.status, func.count()).group_by(Job.status))).all())
        dead = (await session.exec(select(func.count()).select_from(Job).where(Job.is_dead))).one()
        spent = (await session.exec(select(func.sum(col(Job.ended_s) - col(Job.started_s))))).one()
    for status in STATUSES:
        service.metrics.jobs.labels(status).set(counts.get(status, 0))
    service.metrics.dead.set(dead)
    service.metrics.sockets.set(service.sockets.total())
    service.metrics.processing.set(spent or 0.0)


class CountRequests:
    """Pure ASGI; the label is the route's template, so that ids do not make a series each."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.monotonic()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in ("GET", "POST", "PUT", "DELETE", "HEAD") else "other"
            self._metrics.requests.labels(method, path, str(status)).inc()
            self._metrics.seconds.labels(method, path).observe(time.monotonic() - began_s)
