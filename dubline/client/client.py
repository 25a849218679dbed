"""The client for programs without an event loop: the same calls, each waits for its answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dubline.client.aclient import AsyncClient
from dubline.client.resources import Artifact, Event, Job, JobPage, StoredFile, Transcript
from dubline.client.waiting import WAYS, Way

T = TypeVar("T")


class Client:
    """As `AsyncClient`, with its arguments. Works in a thread of its own, so it may be used where a loop runs."""

    def __init__(self, base_url: str | None = None, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dubline-client", daemon=True)
        self._thread.start()

        async def make() -> AsyncClient:
            return AsyncClient(base_url, **options)

        self._client = self._do(make())

    @property
    def base_url(self) -> str:
        return self._client.base_url

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used after it."""
        if self._loop.is_closed():
            return
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        """End what still waits here (a wait that the caller broke off), then the connections."""
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._client.close()
        await self._loop.shutdown_asyncgens()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def request(self, method: str, path: str, *, json: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        return self._do(self._client.request(method, path, json=json, params=params))

    def upload(
        self, file: Path, *, filename: str | None = None, told: Callable[[int, int], None] = lambda _have, _all: None
    ) -> StoredFile:
        return self._do(self._client.upload(file, filename=filename, told=told))

    def submit(self, source: Path | str | StoredFile, to: str | None = None, **parameters: Any) -> Job:
        return self._do(self._client.submit(source, to, **parameters))

    def get(self, job_id: str) -> Job:
        return self._do(self._client.get(job_id))

    def list(self, **filters: Any) -> JobPage:
        return self._do(self._client.list(**filters))

    def events(self, job_id: str) -> tuple[Event, ...]:
        return self._do(self._client.events(job_id))

    def wait(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        ways: tuple[Way, ...] = WAYS,
        changed: Callable[[Job], None] = lambda _job: None,
    ) -> Job:
        return self._do(self._client.wait(job_id, timeout_s=timeout_s, ways=ways, changed=changed))

    def cancel(self, job_id: str) -> Job:
        return self._do(self._client.cancel(job_id))

    def retry(self, job_id: str) -> Job:
        return self._do(self._client.retry(job_id))

    def delete(self, job_id: str) -> None:
        self._do(self._client.delete(job_id))

    def artifacts(self, job_id: str) -> tuple[Artifact, ...]:
        return self._do(self._client.artifacts(job_id))

    def download(
        self,
        job_id: str,
        target: Path,
        *,
        name: str = "video",
        told: Callable[[int, int], None] = lambda _have, _all: None,
    ) -> Path:
        return self._do(self._client.download(job_id, target, name=name, told=told))

    def fetch(
        self, job_id: str, artifact: Artifact, target: Path, told: Callable[[int, int], None] = lambda _have, _all: None
    ) -> Path:
        return self._do(self._client.fetch(job_id, artifact, target, told))

    def transcript(self, job_id: str) -> Transcript:
        return self._do(self._client.transcript(job_id))

    def edit(self, job_id: str, edits: Iterable[Mapping[str, Any]], *, revision: int) -> dict[str, Any]:
        return self._do(self._client.edit(job_id, edits, revision=revision))

    def render(self, job_id: str, *, revision: int | None = None) -> Job:
        return self._do(self._client.render(job_id, revision=revision))
