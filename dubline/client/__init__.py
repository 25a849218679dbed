"""The client library: `AsyncClient`, `Client`, and the short forms. Needs httpx, websockets and pydantic alone."""

from dubline.client.aclient import AsyncClient
from dubline.client.client import Client
from dubline.client.resources import Artifact, Event, Job, JobPage, StoredFile, Transcript
from dubline.client.short_forms import TranslationClient, TranslationConfig, VideoTranslationClient
from dubline.client.waiting import Polling
from dubline.errors import ApiError, ClientError, JobFailed, TranslationError, WaitTimeout

__all__ = [
    "ApiError",
    "Artifact",
    "AsyncClient",
    "Client",
    "ClientError",
    "Event",
    "Job",
    "JobFailed",
    "JobPage",
    "Polling",
    "StoredFile",
    "Transcript",
    "TranslationClient",
    "TranslationConfig",
    "TranslationError",
    "VideoTranslationClient",
    "WaitTimeout",
]
