"""AAC by all cores: a track is cut where frames begin, its parts are encoded side by side, their frames joined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import soundfile

from dubline.cancel import STOP, StopToken
from dubline.media import argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch

OPTIONS = {"c:a:0": "aac", "b:a:0": "160k", "aac_coder:a:0": "fast"}
_FRAME = 1024  # samples of a frame (ISO/IEC 14496-3); the encoder's first one holds nothing that is heard
_LEAD_FRAMES = 24  # encoded before a part and dropped: by then an encoder no longer knows where it began
_LEAST_PART_S = 10.0
_RATES_HZ = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)


@dataclass(frozen=True)
class AacTrack:
    """An encoded track: a file of ADTS frames, and how many samples at which rate they are."""

    path: Path
    frames: int
    samples: int
    rate_hz: int

    def source(self, scratch: Scratch) -> Any:
        """The track as an input that is heard from time zero: its first frame lies before."""
        before_s = f"-{_FRAME / self.rate_hz:.9f}"
        return argv.source(scratch.link(self.path), formats="aac", is_timed=False, format="aac", itsoffset=before_s)

    @property
    def copied(self) -> dict[str, str]:
        """Options that copy it, its last frame only as long as there is sound."""
        last = self.samples - (self.frames - 2) * _FRAME
        cut = rf"setts=duration=if(eq(N\,{self.frames - 1})\,{last}/{self.rate_hz}/TB\,DURATION)"
        return {"c:a:0": "copy", "bsf:a:0": cut}


def encode_in_parts(
    audio: Path,
    *,
    threads: int,
    length_s: float | None,
    work_dir: Path,
    deadline_s: float,
    stop: StopToken = STOP,
    on_progress: Callable[[float], None] | None = None,
) -> AacTrack | None:
    """Encode PCM with as many encoders as there are threads; the frames are nearly those of one encoder alone.

    A frame depends on its own samples and those of the frame before, and hardly on what was encoded earlier.

    Args:
        audio: The sound, as PCM.
        threads: Cores that may be used.
        length_s: Only that much from the start; None: all.
        work_dir: Where the result lies.
        deadline_s: Wall seconds that a part may take.
        stop: Polled while ffmpeg runs.
        on_progress: Gets the media seconds written.

    Returns:
        The track; None where there is nothing to gain, or frames of a rate that ADTS cannot name.

    Raises:
        MediaError: ffmpeg could not do it.
        StorageFull: the disk is full.
        Cancelled: somebody asked to stop.
    """
    info = soundfile.info(str(audio))
    rate_hz = info.samplerate
    samples = info.frames if length_s is None else min(info.frames, round(length_s * rate_hz))
    count = min(threads, int(samples / rate_hz / _LEAST_PART_S))
    if count < 2 or rate_hz not in _RATES_HZ:
        return None
    firsts = [samples * part // count // _FRAME for part in range(count)]
    done_s = [0.0] * count

    def told(part: int, at_s: float) -> None:
        done_s[part] = at_s
        if on_progress is not None:
            on_progress(sum(done_s))

    with Scratch(work_dir) as scratch, ThreadPoolExecutor(count) as pool:
        name = scratch.link(audio)

        def encode(part: int) -> list[bytes]:
            first = max(0, firsts[part] - _LEAD_FRAMES)
            end = samples if part + 1 == count else (firsts[part + 1] + 2) * _FRAME
            sound = argv.source(name, is_timed=False)["a:0"].filter(
                "atrim", start_sample=first * _FRAME, end_sample=end
            )
            out = argv.sink([sound.filter("asetpts", "PTS-STARTPTS")], f"part{part}.aac", "adts", **OPTIONS)
            run_ffmpeg(
                argv.arguments(out),
                deadline_s=deadline_s,
                cwd=scratch.path,
                stop=stop,
                on_progress=partial(told, part),
            )
            # Frame n of the whole covers samples from (n - 1) * 1024: a part's own begin with that after its first.
            frames = list(_frames((scratch.path / f"part{part}.aac").read_bytes()))
            begin = firsts[part] + 1 - first if part else 0
            return frames[begin:] if part + 1 == count else frames[begin : firsts[part + 1] + 1 - first]

        frames = [frame for part in pool.map(encode, range(count)) for frame in part]
    if len(frames) != -(-samples // _FRAME) + 1:
        return None  # another encoder, with another way to begin or to end
    path = work_dir / "dub.aac"
    path.write_bytes(b"".join(frames))
    return AacTrack(path, len(frames), samples, rate_hz)


def _frames(data: bytes) -> Iterator[bytes]:
    """The frames of an ADTS stream; each says its length in 13 bits (ISO/IEC 14496-3, 1.A.2)."""
    at = 0
    while at + 7 <= len(data):
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        yield data[at : at + length]
        at += max(7, length)
