"""What a job is asked with and what it answers: shared by the flow, the API and the clients."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dubline.models import ArtifactRef, DubOptions, Frozen, StageStats

Stage = Literal[
    "ingest",
    "extract",
    "transcribe",
    "segment",
    "translate",
    "synthesize",
    "fit",
    "mix",
    "subtitle",
    "mux",
    "preview",
    "report",
    "publish",
]

STAGE_WEIGHTS: dict[Stage, float] = {
    "ingest": 0.5,
    "extract": 2.0,
    "transcribe": 11.0,
    "segment": 0.2,
    "translate": 1.5,
    "synthesize": 68.0,
    "fit": 0.2,
    "mix": 4.0,
    "subtitle": 0.2,
    "mux": 4.0,
    "preview": 2.0,
    "report": 6.0,
    "publish": 0.4,
}
"""Share of the wall clock by stage, from a 4 minute lecture on two cores: progress is weighted by cost, not count."""


class TranslateVideoParams(Frozen):
    """The one parameter of `translate_video`. Holds no secret: Prefect stores it in clear."""

    job_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    source_uri: str = Field(description="`file://…` of a local file, or `artifact:…` already stored")
    options: DubOptions
    scope: str = "global"
    refresh: bool = False


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
    """The answer of `translate_video`, and the content of `manifest.json`."""

    job_id: str
    source_language: str
    target_language: str
    media_s: float
    verdict: str
    message: str
    artifacts: tuple[Artifact, ...]
    stats: tuple[StageStats, ...] = ()

    def artifact(self, name: str) -> Artifact:
        return next(a for a in self.artifacts if a.name == name)


class Progress(Frozen):
    """One progress message. `percentage` never falls within a run."""

    job_id: str
    stage: Stage
    percentage: float
    message: str
    at_s: float
