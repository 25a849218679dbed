"""Every error that Dubline raises on purpose.

DublineError
├── InputError            the person's file, language or options; never retried
├── EngineError
│   ├── EngineUnavailable package or weights missing, or the pair cannot be done
│   ├── EngineOutOfMemory retryable
│   └── EngineOutputInvalid
├── StorageError
│   ├── ArtifactMissing
│   ├── StorageUnavailable retryable
│   └── StorageFull
├── MediaError            ffmpeg failed; holds the tail of its words
├── Cancelled             somebody asked the work to stop
└── ClientError
    ├── ApiError          a problem document
    ├── JobFailed         (= TranslationError)
    └── WaitTimeout
"""

from __future__ import annotations

from typing import Any


class DublineError(Exception):
    """Base of the tree.

    Args:
        message: One sentence for a person; no path, stack trace or secret.
        code: Stable machine name; defaults to the class's own.
        hint: What the person can do about it.
        details: Small JSON values (valid choices, limits) for programs.
    """

    code: str = "dubline_error"
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        retryable: bool | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        self.hint = hint
        self.details = details or {}

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape that the command line and the API show."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
            "details": self.details,
        }


class InputError(DublineError):
    code = "input_invalid"


class EngineError(DublineError):
    code = "engine_error"


class EngineUnavailable(EngineError):
    code = "engine_unavailable"


class EngineOutOfMemory(EngineError):
    code = "engine_out_of_memory"
    retryable = True


class EngineOutputInvalid(EngineError):
    """The engine answered with something unusable (empty audio, cut text)."""

    code = "engine_output_invalid"
    retryable = True


class StorageError(DublineError):
    code = "storage_error"


class ArtifactMissing(StorageError):
    code = "artifact_missing"


class StorageUnavailable(StorageError):
    code = "storage_unavailable"
    retryable = True


class StorageFull(StorageError):
    code = "storage_full"


def disk_full() -> StorageFull:
    """What to raise when a disk has no room left."""
    return StorageFull("The disk is full.", hint="Free some space and run it again.")


class MediaError(DublineError):
    """ffmpeg ended badly; `details["tail"]` holds the end of what it said."""

    code = "media_error"


class Cancelled(DublineError):
    code = "cancelled"


class ClientError(DublineError):
    code = "client_error"


class ApiError(ClientError):
    code = "api_error"


class JobFailed(ClientError):
    code = "job_failed"


TranslationError = JobFailed


class WaitTimeout(ClientError, TimeoutError):
    code = "wait_timeout"
