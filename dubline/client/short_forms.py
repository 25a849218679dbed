"""Clients of the service's short forms (`POST /translate`), under the names that programs know them by."""

from __future__ import annotations

from typing import Any

from dubline.client.aclient import AsyncClient
from dubline.client.waiting import Polling, Way


class TranslationConfig:
    """How `VideoTranslationClient` waits. Times in seconds.

    Args:
        base_timeout: Longest wait for a job.
        min_delay: First pause between two questions.
        max_delay: Longest pause.
        progressive_delay: Whether the pause grows while nothing changes.
    """

    def __init__(
        self,
        base_timeout: float = 30,
        min_delay: float = 0.5,
        max_delay: float = 3.0,
        progressive_delay: bool = True,
    ) -> None:
        self.base_timeout = base_timeout
        self.min_delay = min_delay
        self.max_delay = max_delay
        self.progressive_delay = progressive_delay


class _ShortForms:
    def __init__(self, client: AsyncClient, timeout_s: float, ways: tuple[Way, ...]) -> None:
        self._client, self._wait_s, self._ways = client, timeout_s, ways

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def _start(self, source: str, target: str, metadata: dict[str, Any] | None) -> dict[str, Any]:
        body: dict[str, Any] = {"source_language": source, "target_language": target}
        if metadata:
            body["metadata"] = metadata
        return await self._client.request("POST", "/translate", json=body)

    async def wait_for_completion(self, job_id: str) -> dict[str, Any]:
        """The finished job as `GET /job/{id}` shows it.

        Raises:
            TranslationError: it failed or was cancelled.
            TimeoutError: it had not ended in time.
        """
        (await self._client.wait(job_id, timeout_s=self._wait_s, ways=self._ways)).check()
        return await self._client.request("GET", f"/job/{job_id}")


class VideoTranslationClient(_ShortForms):
    """Waits by asking, with growing pauses."""

    def __init__(self, base_url: str = "http://localhost:8000", config: TranslationConfig | None = None) -> None:
        config = config or TranslationConfig()
        polling = Polling(config.min_delay, config.max_delay, config.progressive_delay)
        super().__init__(AsyncClient(base_url, polling=polling), config.base_timeout, ("poll",))

    async def start_translation(self, source_lang: str, target_lang: str) -> dict[str, Any]:
        """Start a job over the service's built-in clip (simulated engines): `job_id`, `status`, `message`."""
        return await self._start(source_lang, target_lang, None)


class TranslationClient(_ShortForms):
    """Waits on a WebSocket, and in the other ways when that is lost. Times in seconds; `timeout` is for the wait."""

    def __init__(
        self,
        base_url: str = "http://localhost:8000",
        max_retries: int = 3,
        retry_delay: float = 1.0,
        timeout: float = 30.0,
        heartbeat_interval: float = 5.0,
    ) -> None:
        client = AsyncClient(base_url, retries=max_retries, retry_delay_s=retry_delay, heartbeat_s=heartbeat_interval)
        super().__init__(client, timeout, ("websocket", "stream", "poll"))

    async def start_translation(
        self, source_language: str, target_language: str, metadata: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Start a job: `job_id`, `status`, `message`. `metadata` names the video (`file_id`)."""
        return await self._start(source_language, target_language, metadata)
