"""The first minute of a dub, put together while the rest is still spoken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.media.mux import Muxed, mux
from dubline.models import Background, MediaInfo, Profile, Span, Spoken, Utterance
from dubline.stages.mix import Ground, mix
from dubline.stages.transcribe import BEGINNING_S
from dubline.timing.pauses import fit_item
from dubline.timing.planner import plan

_LAST_LINE_S = 30.0
_BLOCK = 1 << 20


def is_early(utterance: Utterance) -> bool:
    """Whether an utterance is heard in the first minute."""
    return utterance.start_s < BEGINNING_S


def make_beginning(
    source: Path,
    media: MediaInfo,
    bed: Path,
    bed_lufs: NDArray[np.float64],
    utterances: Sequence[Utterance],
    spoken: dict[str, Spoken],
    audio: dict[str, Path],
    speech: Sequence[Span],
    *,
    rate_hz: int,
    profile: Profile,
    background: Background,
    target_language: str,
    threads: int,
    work: Path,
) -> Muxed:
    """Fit, mix and mux the first minute much as the whole will be: no subtitles, no background separated.

    The last line may go on beyond it, so the sound is made for as long as it may take, and cut after the minute.

    Args:
        source: The video.
        media: What `probe` said of it.
        bed: The source's sound, stereo, at `rate_hz`.
        bed_lufs: Its momentary loudness.
        utterances: Those that are heard in the first minute, in order, at least one.
        spoken: Their lines, by utterance id.
        audio: Audio file by utterance id.
        speech: Where somebody speaks in the source.
        rate_hz: Rate of the bed and of the dub.
        profile: How lines are fitted.
        background: What becomes of the bed.
        target_language: BCP 47.
        threads: Cores that may be used.
        work: Folder for what is needed on the way, and for the result.

    Raises:
        MediaError: ffmpeg could not write it.
    """
    slots_end_s = max(u.slot_end_s for u in utterances)
    until_s = min(media.duration_s, max(BEGINNING_S, min(slots_end_s, BEGINNING_S + _LAST_LINE_S)))
    total = round(until_s * rate_hz)
    items = [fit_item(u, spoken[u.id], speech) for u in utterances]
    mixed = work / "beginning.wav"
    mix(
        Ground(_head(bed, total, work / "bed.wav"), bed_lufs[: int(until_s * 10)]),
        plan(items, total_samples=total, rate_hz=rate_hz, profile=profile),
        audio,
        [s.model_copy(update={"end_s": min(s.end_s, until_s)}) for s in speech if s.start_s < until_s],
        background=background,
        output=mixed,
        work=work,
        threads=threads,
    )
    return mux(
        source,
        media,
        mixed,
        work_dir=work,
        target_language=target_language,
        length_s=BEGINNING_S,
        threads=threads,
    )


def _head(path: Path, samples: int, out: Path) -> Path:
    """The first samples of a sound file, in a file of their own."""
    with (
        soundfile.SoundFile(str(path)) as file,
        soundfile.SoundFile(str(out), "w", file.samplerate, file.channels, file.subtype, format="RF64") as head,
    ):
        while samples > 0 and len(block := file.read(min(samples, _BLOCK), dtype="float32", always_2d=True)):
            head.write(block)
            samples -= len(block)
    return out
