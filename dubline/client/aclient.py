"""The client for asyncio."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from dubline.client.download import fetch
from dubline.client.resources import Artifact, Event, Job, JobPage, StoredFile, Transcript
from dubline.client.transport import Transport
from dubline.client.upload import send
from dubline.client.waiting import WAYS, Polling, Waiting, Way
from dubline.errors import ApiError, InputError


class AsyncClient:
    """A running service.

    Args:
        base_url: Its address; default: `DUBLINE_URL`, else the local one.
        token: Sent with every request; default: `DUBLINE_TOKEN`.
        timeout_s: Longest wait for one answer.
        retries: Further attempts at a call that failed for a passing reason; creating calls are safe to repeat.
        polling: Pauses of the last way of waiting.
        heartbeat_s: Seconds between pings on a WebSocket.
        away_s: How long the service may be away while a job is waited for.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 5,
        retry_delay_s: float = 0.3,
        polling: Polling | None = None,
        heartbeat_s: float = 20.0,
        away_s: float = 600.0,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._transport = Transport(
            base_url or os.environ.get("DUBLINE_URL") or "http://127.0.0.1:8000",
            token=token or os.environ.get("DUBLINE_TOKEN"),
            timeout_s=timeout_s,
            retries=retries,
            delay_s=retry_delay_s,
            http=http,
        )
        self._polling, self._heartbeat_s, self._away_s = polling or Polling(), heartbeat_s, away_s

    @property
    def base_url(self) -> str:
        return self._transport.base_url

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    async def request(
        self, method: str, path: str, *, json: Any = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        """Any other path of the service; the answer's JSON, None without one.

        Raises:
            ApiError: the service refuses, or does not answer.
        """
        answer = await self._transport.call(method, path, json=json, params=params, creates=method == "POST")
        return answer.json() if answer.content else None

    async def upload(
        self, file: Path, *, filename: str | None = None, told: Callable[[int, int], None] = lambda _have, _all: None
    ) -> StoredFile:
        """Store a file. It is streamed, and goes on where a cut line or a service that was away stopped it.

        Args:
            file: What is sent.
            filename: Its name there; its own by default.
            told: Called with the bytes that were sent, and all.

        Raises:
            InputError: there is no such file.
            ApiError: the service refuses it, or the line is cut again and again.
        """
        if not file.is_file():
            raise InputError(
                f"There is no file called {file.name}.", code="file_missing", hint="Check the name and the folder."
            )
        if not file.stat().st_size:
            raise InputError(f"{file.name} is empty.", code="file_empty", hint="Choose another file.")
        # A name need not be text on every system; in the protocol it must be.
        name = filename or os.fsencode(file.name).decode(errors="replace")
        return await send(self._transport, file, name, told)

    async def submit(self, source: Path | str | StoredFile, to: str | None = None, **parameters: Any) -> Job:
        """Create and start a job over a file, or over one that is stored already (its id).

        Args:
            source: A path is uploaded first.
            to: Target language.
            parameters: Any other parameter of the job API.
        """
        if isinstance(source, Path):
            source = await self.upload(source)
        file_id = source.file_id if isinstance(source, StoredFile) else source
        request = {"file_id": file_id, "target_language": to, **parameters}
        request = {k: v for k, v in request.items() if v is not None}
        return Job.model_validate(
            (await self._transport.call("POST", "/api/v1/jobs", json=request, creates=True)).json()
        )

    async def get(self, job_id: str) -> Job:
        return Job.model_validate((await self._transport.call("GET", f"/api/v1/jobs/{job_id}")).json())

    async def list(self, **filters: Any) -> JobPage:
        """A page of jobs; filters are those of the API (`status`, `q`, `page` …)."""
        return JobPage.model_validate((await self._transport.call("GET", "/api/v1/jobs", params=filters)).json())

    async def events(self, job_id: str) -> tuple[Event, ...]:
        body = (await self._transport.call("GET", f"/api/v1/jobs/{job_id}/events")).json()
        return tuple(Event.model_validate(row) for row in body["events"])

    async def wait(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        ways: tuple[Way, ...] = WAYS,
        changed: Callable[[Job], None] = lambda _job: None,
    ) -> Job:
        """The job once it has ended, however it ended: `Job.check` raises when it failed.

        Args:
            job_id: The job.
            timeout_s: Longest wait; None waits for as long as it takes.
            ways: Which ways to use, in their order.
            changed: Called with every sign of progress.

        Raises:
            WaitTimeout: it had not ended in time.
            ApiError: there is no such job, or the service stays away.
        """
        waiting = Waiting(
            self._transport, job_id, polling=self._polling, heartbeat_s=self._heartbeat_s, away_s=self._away_s
        )
        return await waiting.end(timeout_s=timeout_s, ways=ways, changed=changed)

    async def cancel(self, job_id: str) -> Job:
        """Ask for the job's end. One that ended meanwhile is returned as it is."""
        try:
            answer = await self._transport.call("POST", f"/api/v1/jobs/{job_id}/cancel")
        except ApiError as error:
            if error.code != "job_ended":
                raise
            return await self.get(job_id)
        return Job.model_validate(answer.json())

    async def retry(self, job_id: str) -> Job:
        """Start a failed or cancelled job again; what it finished is not made again."""
        return Job.model_validate((await self._transport.call("POST", f"/api/v1/jobs/{job_id}/retry")).json())

    async def delete(self, job_id: str) -> None:
        """Delete a job that has ended, with everything it made."""
        # Not DELETE, which cancels a job under way: repeated after a cut line it would do both.
        answer = await self._transport.call("POST", "/api/v1/jobs/bulk/delete", json={"job_ids": [job_id]})
        problem = answer.json()["rows"][0]["problem"]
        if problem is not None:
            raise ApiError(
                problem["detail"], code=problem["code"], hint=problem["hint"], details={"status": problem["status"]}
            )

    async def artifacts(self, job_id: str) -> tuple[Artifact, ...]:
        body = (await self._transport.call("GET", f"/api/v1/jobs/{job_id}/artifacts")).json()
        return tuple(Artifact.model_validate(row) for row in body["artifacts"])

    async def download(
        self,
        job_id: str,
        target: Path,
        *,
        name: str = "video",
        told: Callable[[int, int], None] = lambda _have, _all: None,
    ) -> Path:
        """Write one artifact to a file, or into a folder under the name that the service gives it.

        Raises:
            ApiError: there is none of this name, or it cannot be had whole.
        """
        rows = {row.name: row for row in await self.artifacts(job_id)}
        if name not in rows:
            raise ApiError(
                f"The job made nothing called {name}.",
                code="artifact_not_found",
                hint=f"It made: {', '.join(rows)}.",
                details={"status": 404},
            )
        return await self.fetch(job_id, rows[name], target / rows[name].filename if target.is_dir() else target, told)

    async def fetch(
        self, job_id: str, artifact: Artifact, target: Path, told: Callable[[int, int], None] = lambda _have, _all: None
    ) -> Path:
        """Write an artifact that `artifacts` named to a file."""
        return await fetch(self._transport, f"/api/v1/jobs/{job_id}/artifacts/{artifact.name}", artifact, target, told)

    async def transcript(self, job_id: str) -> Transcript:
        return Transcript.model_validate(
            (await self._transport.call("GET", f"/api/v1/jobs/{job_id}/transcript")).json()
        )

    async def edit(self, job_id: str, edits: Iterable[Mapping[str, Any]], *, revision: int) -> dict[str, Any]:
        """Store edits of the lines as a new revision; the answer holds what rendering it would make again.

        `revision` is the one that the edits were made of, as `transcript` gave it: 409 when somebody was faster.
        """
        body = {"revision": revision, "edits": [dict(e) for e in edits]}
        return (await self._transport.call("PUT", f"/api/v1/jobs/{job_id}/transcript", json=body)).json()

    async def render(self, job_id: str, *, revision: int | None = None) -> Job:
        """Make the dub of a revision; only what changed is made anew."""
        body = {} if revision is None else {"revision": revision}
        return Job.model_validate(
            (await self._transport.call("POST", f"/api/v1/jobs/{job_id}/render", json=body)).json()
        )
