"""The rows. Every one that holds something of a person carries its user; times are float seconds since the epoch."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON as Json
from sqlalchemy import BigInteger, Column, Index, Text
from sqlmodel import Field, SQLModel

LOCAL_USER = "local"
"""The one user of a service without accounts."""


# SQLModel types `__tablename__` as a method; a name is what its documentation gives.
class User(SQLModel, table=True):
    __tablename__ = "users"  # pyright: ignore[reportAssignmentType]

    id: str = Field(primary_key=True, max_length=36)
    name: str = Field(max_length=200)
    created_s: float


class StoredFile(SQLModel, table=True):
    """An upload. Its content lies in the artifact store under `sha256`; `media` is what probing said of it."""

    __tablename__ = "files"  # pyright: ignore[reportAssignmentType]

    id: str = Field(primary_key=True, max_length=36)
    user_id: str = Field(index=True, max_length=36)
    filename: str = Field(sa_column=Column(Text, nullable=False))
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(index=True, max_length=64)
    media_type: str = Field(max_length=100)
    duration_s: float = 0.0
    media: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    created_s: float


class ResumableUpload(SQLModel, table=True):
    """A file that comes in pieces: `offset_bytes` of it are safe. `file_id` is set when it is whole and stored."""

    __tablename__ = "resumable_uploads"  # pyright: ignore[reportAssignmentType]

    id: str = Field(primary_key=True, max_length=36)
    user_id: str = Field(index=True, max_length=36)
    filename: str = Field(sa_column=Column(Text, nullable=False))
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    offset_bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    file_id: str | None = Field(default=None, max_length=36)
    created_s: float
    expires_s: float = Field(index=True)


class Job(SQLModel, table=True):
    """A job and the last that was seen of its run.

    A job waits for the dispatcher while its status is `uploaded` or `queued` and `flow_run_id` is empty. `lease_s` is
    until when a dispatcher holds it, `fence` counts the claims. `attempt` counts runs asked for by people, `crashes`
    the times that this run was taken up again. `revision` is the one that the attempt renders; the one that `result`
    shows stands in it.
    """

    __tablename__ = "jobs"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index("jobs_by_user", "user_id", "created_s"),
        Index("jobs_by_status", "status", "priority", "created_s"),
    )

    id: str = Field(primary_key=True, max_length=36)
    user_id: str = Field(max_length=36)
    job_type: str = Field(max_length=40)
    status: str = Field(max_length=20)
    file_id: str | None = Field(default=None, index=True, max_length=36)
    source_uri: str = Field(sa_column=Column(Text, nullable=False))
    filename: str = Field(sa_column=Column(Text, nullable=False))
    size_bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    media_s: float = 0.0
    source_language: str | None = Field(default=None, max_length=64)
    target_language: str | None = Field(default=None, max_length=64)
    priority: int = 5
    options: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    request: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))

    attempt: int = 1
    revision: int = 0
    crashes: int = 0
    flow_run_id: str | None = Field(default=None, index=True, max_length=36)
    run_state: str = Field(default="", max_length=40)
    is_cancelling: bool = False
    lease_s: float = 0.0
    fence: int = 0

    stage: str = Field(default="", max_length=40)
    step: str = Field(default="", sa_column=Column(Text, nullable=False))
    progress: float = 0.0
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(Json(none_as_null=True), nullable=True))
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(Json(none_as_null=True), nullable=True))
    is_dead: bool = False
    created_s: float
    updated_s: float
    started_s: float | None = None
    ended_s: float | None = None
    alive_s: float | None = None


class JobEvent(SQLModel, table=True):
    """One line of a job's history."""

    __tablename__ = "job_events"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(index=True, max_length=36)
    user_id: str = Field(max_length=36)
    at_s: float
    kind: str = Field(max_length=40)
    status: str = Field(max_length=20)
    message: str = Field(sa_column=Column(Text, nullable=False))
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))


class JobRevision(SQLModel, table=True):
    """What a person made of a job's lines: all edits since the lines as made. Revision 0, without any, has no row.

    `undone_to` is the revision that an undo of this one goes back to; None when there is nothing before it. Revisions
    of one `digest` are equal.
    """

    __tablename__ = "job_revisions"  # pyright: ignore[reportAssignmentType]

    job_id: str = Field(primary_key=True, max_length=36)
    revision: int = Field(primary_key=True)
    user_id: str = Field(max_length=36)
    undone_to: int | None = None
    note: str = Field(default="", sa_column=Column(Text, nullable=False))
    edits: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(Json, nullable=False))
    digest: str = Field(max_length=64)
    created_s: float


class JobBlob(SQLModel, table=True):
    """Which stored objects a job's result names, so that deleting one job leaves what another still shows."""

    __tablename__ = "job_blobs"  # pyright: ignore[reportAssignmentType]

    job_id: str = Field(primary_key=True, max_length=36)
    sha256: str = Field(primary_key=True, index=True, max_length=64)


class IdempotentAnswer(SQLModel, table=True):
    """The first answer to a key. `status` 0 means that the first request is still at work."""

    __tablename__ = "idempotent_answers"  # pyright: ignore[reportAssignmentType]

    user_id: str = Field(primary_key=True, max_length=36)
    key: str = Field(primary_key=True, max_length=255)
    request_sha256: str = Field(max_length=64)
    status: int = 0
    body: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    created_s: float


class Lease(SQLModel, table=True):
    """Who may do a thing that only one process does at a time, and until when."""

    __tablename__ = "leases"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True, max_length=40)
    holder: str = Field(default="", max_length=80)
    until_s: float = 0.0
    fence: int = 0
