"""Sound out of a source: the bed at full rate, and the recogniser's 16 kHz, both on the media's timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from dubline.media import argv
from dubline.media.runner import deadline_s, run
from dubline.models import MediaInfo

Downmix = Literal["mix", "left", "right"]
_STT_HZ = 16_000
_CANCELLED = 0.1  # a mix with a tenth of the louder channel's power: the channels cancel one another
_DEAF = 0.001  # a channel 30 dB below the other carries no speech of its own
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Extracted:
    """Rate and exact length of the bed, and which channel the recogniser was given."""

    rate_hz: int
    samples: int
    downmix: Downmix


def bed_rate_hz(source_hz: int) -> int:
    """44.1 kHz stays, its multiples and fractions become it, everything else becomes 48 kHz."""
    return 44_100 if source_hz > 0 and (source_hz % 11_025 == 0) else 48_000


def extract_audio(
    source: Path,
    media: MediaInfo,
    audio_index: int,
    bed: Path,
    stt: Path,
    *,
    work_dir: Path,
    on_progress: Callable[[float], None] | None = None,
) -> Extracted:
    """Write the bed (stereo, lossless) and the recogniser's audio (16 kHz mono).

    Both start at the media's time zero and last exactly as long as the media: a track that starts late is led by
    silence, holes in its timestamps are filled, what is missing at the end is silence.

    Raises:
        MediaError: the sound cannot be decoded.
    """
    rate_hz = bed_rate_hz(media.stream(audio_index).sample_rate_hz)
    samples = max(1, round(media.duration_s * rate_hz))
    timed = (
        argv.source(source)[str(audio_index)]
        .filter("aresample", rate_hz, **{"async": 1, "first_pts": 0, "min_hard_comp": 0.05})
        .filter("aformat", sample_fmts="fltp", channel_layouts="stereo")
        .filter("apad", whole_len=samples)
        .filter("atrim", end_sample=samples)
    )
    node = argv.output([timed], bed, acodec="pcm_s16le", rf64="auto", format="wav")
    run(argv.command(node), folder=work_dir, deadline=deadline_s(media.duration_s), on_progress=on_progress)
    downmix = choose_downmix(bed)
    heard = argv.made(bed).audio
    if downmix == "mix":
        heard = heard.filter("aformat", channel_layouts="mono")
    else:
        heard = heard.filter("channelmap", map=0 if downmix == "left" else 1, channel_layout="mono")
    heard = heard.filter("aresample", _STT_HZ)
    node = argv.output([heard], stt, acodec="pcm_s16le", rf64="auto", format="wav")
    run(argv.command(node), folder=work_dir, deadline=deadline_s(media.duration_s), on_progress=on_progress)
    with soundfile.SoundFile(str(bed)) as file:
        samples = file.frames
    return Extracted(rate_hz=rate_hz, samples=samples, downmix=downmix)


def choose_downmix(bed: Path) -> Downmix:
    """How to make one channel of two without losing the voice.

    Channels in opposite phase cancel in a plain mix, and a dead channel halves it: then the louder one is taken.
    """
    left = right = middle = 0.0
    with soundfile.SoundFile(str(bed)) as file:
        while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
            left += float(np.dot(block[:, 0], block[:, 0]))
            right += float(np.dot(block[:, 1], block[:, 1]))
            mixed = block.mean(axis=1)
            middle += float(np.dot(mixed, mixed))
    loud = max(left, right)
    if loud > 0 and (middle < _CANCELLED * loud or min(left, right) < _DEAF * loud):
        return "left" if left >= right else "right"
    return "mix"
