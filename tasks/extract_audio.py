"""extract: the bed at full rate and the recogniser's audio, each straight from the source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dubline.media.extract import STT_RATE_HZ, extract_bed, extract_speech
from dubline.models import ArtifactRef, MediaInfo
from tasks._policies import StageRequest, StageResult, stage_task, store, workspace
from tasks._progress import TRACKER

_LEVELS = "<f4"


class BedRequest(StageRequest):
    source: ArtifactRef
    media: MediaInfo
    audio_index: int


class BedResult(StageResult):
    bed: ArtifactRef
    measured: ArtifactRef
    levels: ArtifactRef
    rate_hz: int
    samples: int


class SpeechRequest(StageRequest):
    source: ArtifactRef
    media: MediaInfo
    audio_index: int

    def identity(self):
        return {**self.model_dump(mode="json"), "rate_hz": STT_RATE_HZ}  # else its key would be the bed's


class SpeechResult(StageResult):
    stt: ArtifactRef
    downmix: str


@stage_task("extract", 4, name="extract bed")
def extract_bed_audio(request: BedRequest) -> BedResult:
    """Decode the chosen track for the mix."""
    with workspace() as work:
        bed, measured = work / "bed.wav", work / "bed.s16"
        done = extract_bed(
            store().fetch(request.source),
            request.media,
            request.audio_index,
            bed,
            measured=measured,
            work_dir=work,
        )
        return BedResult(
            bed=store().put_file(bed, "audio/wav"),
            measured=store().put_file(measured, "application/octet-stream"),
            levels=put_levels(done.lufs),
            rate_hz=done.rate_hz,
            samples=done.samples,
        )


@stage_task("extract", 3, name="extract speech")
def extract_speech_audio(request: SpeechRequest) -> SpeechResult:
    """Decode the chosen track for the recogniser."""
    with workspace() as work:
        stt = work / "stt.wav"
        downmix = extract_speech(
            store().fetch(request.source),
            request.media,
            request.audio_index,
            stt,
            work_dir=work,
            on_progress=lambda at_s: TRACKER.set("extract", at_s / request.media.duration_s, "Extracting the sound"),
        )
        return SpeechResult(stt=store().put_file(stt, "audio/wav"), downmix=downmix)


def put_levels(lufs: NDArray[np.float64]) -> ArtifactRef:
    """Store momentary loudness."""
    return store().put_bytes(lufs.astype(_LEVELS).tobytes(), "application/octet-stream")


def levels_of(ref: ArtifactRef) -> NDArray[np.float64]:
    """Momentary loudness, as it was stored."""
    return np.frombuffer(store().read_bytes(ref), _LEVELS).astype(np.float64)
