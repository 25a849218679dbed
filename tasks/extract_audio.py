"""extract: the bed at full rate and the recogniser's audio, both straight from the source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dubline.media.extract import extract_audio as extract
from dubline.models import ArtifactRef, MediaInfo
from tasks._policies import StageRequest, StageResult, stage_task, store, workspace
from tasks._progress import TRACKER

_LEVELS = "<f4"


class ExtractRequest(StageRequest):
    source: ArtifactRef
    media: MediaInfo
    audio_index: int


class ExtractResult(StageResult):
    bed: ArtifactRef
    stt: ArtifactRef
    levels: ArtifactRef
    rate_hz: int
    samples: int
    downmix: str


@stage_task("extract", 2, name="extract audio")
def extract_audio(request: ExtractRequest) -> ExtractResult:
    """Decode the chosen track twice: for the mix and for the recogniser."""
    with workspace() as work:
        bed, stt = work / "bed.wav", work / "stt.wav"
        done = extract(
            store().fetch(request.source),
            request.media,
            request.audio_index,
            bed,
            stt,
            work_dir=work,
            on_progress=lambda at_s: TRACKER.set("extract", at_s / request.media.duration_s, "Extracting the sound"),
        )
        return ExtractResult(
            bed=store().put_file(bed, "audio/wav"),
            stt=store().put_file(stt, "audio/wav"),
            levels=put_levels(done.bed_lufs),
            rate_hz=done.rate_hz,
            samples=done.samples,
            downmix=done.downmix,
        )


def put_levels(lufs: NDArray[np.float64]) -> ArtifactRef:
    """Store momentary loudness."""
    return store().put_bytes(lufs.astype(_LEVELS).tobytes(), "application/octet-stream")


def levels_of(ref: ArtifactRef) -> NDArray[np.float64]:
    """Momentary loudness, as it was stored."""
    return np.frombuffer(store().read_bytes(ref), _LEVELS).astype(np.float64)
