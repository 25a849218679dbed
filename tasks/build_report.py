"""report: measured on the finished file."""

from __future__ import annotations

from contextlib import ExitStack

from dubline.engines.registry import choose_mt
from dubline.errors import EngineError, InputError
from dubline.models import (
    ArtifactRef,
    DubOptions,
    EngineChoice,
    MediaInfo,
    Spoken,
    StageStats,
    Timeline,
    Transcript,
)
from dubline.settings import get_settings
from dubline.stages.mix import MixFacts
from dubline.stages.report import ReportInputs
from dubline.stages.report import build_report as build
from dubline.stages.subtitle import CueSets
from tasks._engines import engine
from tasks._policies import StageRequest, StageResult, load, save, stage_task, store, workspace
from tasks._progress import TRACKER
from tasks.translate_text import Lines


class ReportRequest(StageRequest):
    source: ArtifactRef
    media: MediaInfo
    video: ArtifactRef
    video_copied: bool
    transcript: ArtifactRef
    lines: ArtifactRef
    timeline: ArtifactRef
    cues: ArtifactRef
    spoken: tuple[Spoken, ...]
    mix: MixFacts
    choices: tuple[EngineChoice, ...]
    source_language: str
    options: DubOptions
    stats: tuple[StageStats, ...]

    def identity(self):
        return self.model_dump(mode="json", exclude={"stats"})


class ReportResult(StageResult):
    report: ArtifactRef
    verdict: str
    message: str
