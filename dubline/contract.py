"""What a job is asked with and what it answers: shared by the flow, the API and the clients."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dubline.models import ArtifactRef, DubOptions, Frozen, StageStats

Stage = Literal[
    "ingest",
    "extract",
    "diarize",
    "transcribe",
    "segment",
    "separate",
    "translate",
    "synthesize",
    "fit",
    "subtitle",
    "mix",
    "mux",
    "preview",
    "report",
    "publish",
]

STAGE_WEIGHTS: dict[Stage, float] = {
    "ingest": 0.5,
    "extract": 2.0,
    "diarize": 3.0,
    "transcribe": 11.0,
    "segment": 0.2,
    "separate": 6.0,
    "translate": 1.5,
    "synthesize": 68.0,
    "fit": 0.2,
    "subtitle": 0.2,
    "mix": 4.0,
    "mux": 4.0,
    "preview": 2.0,
    "report": 6.0,
    "publish": 0.4,
}
"""Share of the wall clock by stage, from a 4 minute lecture on two cores: progress is weighted by cost, not count."""


SOURCE_URI = "`file://…` of a local file, or `artifact:blobs/…?size=<bytes>` of one that is stored"


class TranslateVideoParams(Frozen):
    """The one parameter of `translate_video`. Holds no secret: Prefect stores it in clear.

    `revision` is the number of the edits among the options; `attempt` makes the manifest be written again though the
    same result was published before.
    """

    job_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    source_uri: str = Field(description=SOURCE_URI)
    options: DubOptions
    revision: int = 0
    attempt: int = 1
    scope: str = "global"
    refresh: bool = False


MediaJob = Literal["audio_extraction", "transcription"]

MEDIA_STAGES: dict[MediaJob, tuple[Stage, ...]] = {
    "audio_extraction": ("ingest", "extract", "publish"),
    "transcription": ("ingest", "extract", "transcribe", "segment", "subtitle", "publish"),
}
"""Stages of a job that does not dub: its progress is weighted among these."""


class MediaOptions(Frozen):
    """What may be asked of a job that does not dub. Names are those of the job API."""

    source_language: str | None = None
    stt_engine: str = "auto"
    stt_model: str = "base"
    audio_format: Literal["wav", "mp3", "flac"] = "wav"


class ProcessMediaParams(Frozen):
    """The one parameter of `process_media`; `attempt` as of a dub."""

    job_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    source_uri: str = Field(description=SOURCE_URI)
    job_type: MediaJob
    options: MediaOptions = MediaOptions()
    scope: str = "global"
    refresh: bool = False
    attempt: int = 1


def manifest_record(job_id: str) -> str:
    """Name of the record that holds a job's `JobResult`: no manifest, no result."""
    return f"jobs/{job_id}/manifest.json"


def revision_record(job_id: str, revision: int) -> str:
    """Name of the record that keeps the `JobResult` of a revision when another one is rendered."""
    return f"{revision_folder(job_id)}/{revision}.json"


def revision_folder(job_id: str) -> str:
    """Where a job's `revision_record`s lie."""
    return f"jobs/{job_id}/revisions"


FIRST_MINUTE = "first_minute"
"""Name of the artifact that a running job offers: the first minute of its dub."""


def first_minute_record(job_id: str) -> str:
    """Name of the record that holds that `Artifact`."""
    return f"jobs/{job_id}/first-minute.json"


def failure_record(job_id: str) -> str:
    """Name of the record in which a flow leaves why it failed (`DublineError.to_dict`)."""
    return f"jobs/{job_id}/failure.json"


class Artifact(Frozen):
    """A file of the result, with the name and suffix it is offered under."""

    name: str
    suffix: str
    ref: ArtifactRef


class StageRun(Frozen):
    """How a stage went in this run: task runs in all, and how many of them came from the cache."""

    stage: Stage
    tasks: int
    cached: int
    seconds: float


class JobResult(Frozen):
    """The answer of both flows, and the content of `manifest.json`.

    Attributes:
        source_language: What is spoken, BCP 47; `und` when nobody said and nothing was recognised.
        target_language: What it was dubbed into; empty when nothing was.
        media_s: Length of the source in seconds.
        verdict: `pass`, `review` or `fail` of a dub; `done` of a job that does not dub.
        artifacts: The files; no two share a name or a suffix.
        revision: Number of the edits that it was rendered with; 0 without any.
    """

    job_id: str
    source_language: str
    target_language: str
    media_s: float
    verdict: str
    message: str
    artifacts: tuple[Artifact, ...]
    stats: tuple[StageStats, ...] = ()
    revision: int = 0

    def artifact(self, name: str) -> Artifact:
        return next(a for a in self.artifacts if a.name == name)


class Progress(Frozen):
    """One progress message. `percentage` never falls within a run."""

    job_id: str
    stage: Stage
    percentage: float
    message: str
    at_s: float
