"""Calls to an object store: tried again until their time is up, and ended in our own errors."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from dubline.errors import ArtifactMissing, StorageError, StorageFull, StorageUnavailable, disk_full

R = TypeVar("R")

_FAILURES = (OSError, BotoCoreError, ClientError, ResponseParserError, aiohttp.ClientError, HTTPError)
_BROKEN_OFF = (
    TimeoutError,
    ConnectionError,
    EndpointConnectionError,
    HTTPClientError,
    ResponseStreamingError,
    ResponseParserError,
    aiohttp.ClientError,
    HTTPError,
)
_PASSING = {
    "SlowDown",
    "RequestTimeout",
    "OperationAborted",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "IncompleteBody",
}
_FULL = {"QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 4.0
_SHORTEST_CALL_S = 0.05


class Deadline:
    """An end that several calls share. A client library's own patience is not asked."""

    def __init__(self, seconds: float) -> None:
        self._end_s = time.monotonic() + seconds

    def left_s(self) -> float:
        """Seconds left, never zero, which clients take for no limit."""
        return max(_SHORTEST_CALL_S, self._end_s - time.monotonic())

    def run(self, work: Callable[[Deadline], R]) -> R:
        """Try until it works or the time is up; `work` must be harmless to repeat.

        Raises:
            ArtifactMissing: there is no such object.
            StorageFull: no room, there or on the local disk.
            StorageUnavailable: the store cannot be reached, is overloaded or refuses us.
            StorageError: `storage_refused`, a request that it will never take.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return work(self)
            except _FAILURES as error:
                problem = _translate(error)
                if problem is None:
                    raise
                wait_s = pause_s * random.uniform(0.5, 1.0)
                if not problem.retryable or time.monotonic() + wait_s >= self._end_s:
                    raise problem from error
            time.sleep(wait_s)
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)


def _translate(error: Exception) -> StorageError | None:
    """None: it is not the store that failed."""
    # s3fs raises OSErrors of its own and keeps what the server said as their cause.
    said = error if isinstance(error, ClientError) else error.__cause__
    if isinstance(said, ClientError):
        return _answer(said)
    if isinstance(error, NoCredentialsError):
        return _refused_us()
    if isinstance(error, _BROKEN_OFF):
        return StorageUnavailable("The object store does not answer.", hint="Try again when it does.")
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return disk_full()
    return None


def _answer(error: ClientError) -> StorageError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return StorageUnavailable(
            "The bucket does not exist.", hint="Make it, or correct STORAGE_URL.", retryable=False
        )
    if code in _FULL or status == 507:
        return StorageFull("The object store is full.", hint="Free some space and run it again.")
    if code in _PASSING or status >= 500 or status in {408, 409, 429}:
        return StorageUnavailable("The object store is overloaded.", hint="Try again later.", details={"code": code})
    if status == 404:
        return ArtifactMissing("A stored artifact is gone.", hint="Run the job again: what is missing is made anew.")
    if status in {401, 403}:
        return _refused_us()
    return StorageError("The object store refused a request.", code="storage_refused", details={"code": code})


def _refused_us() -> StorageError:
    return StorageUnavailable(
        "The object store does not accept our credentials.",
        hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that may use the bucket.",
        retryable=False,
    )
