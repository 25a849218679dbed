"""AAC in parts: side by side on all cores, and only those whose sound is not that of an earlier track's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.cancel import STOP, StopToken
from dubline.media import argv
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch

OPTIONS = {"c:a:0": "aac", "b:a:0": "160k", "aac_coder:a:0": "fast"}
_FRAME = 1024  # samples of a frame (ISO/IEC 14496-3); the encoder's first one holds nothing that is heard
_LEAD_FRAMES = 24  # encoded before a part and dropped: by then an encoder no longer knows where it began
_PART_FRAMES = 512  # 11 s at 48 kHz; twice as long costs a tenth less, and an edit more
_FEW_PARTS, _MOST_PARTS = 8, 32  # of one run, which encodes its parts side by side
_RATES_HZ = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)


@dataclass(frozen=True)
class AacTrack:
    """An encoded track: a file of ADTS frames, and how many samples at which rate they are.

    `parts` tells where in the file a part's frames lie (first byte, bytes), by what it was made of.
    """

    path: Path
    frames: int
    samples: int
    rate_hz: int
    parts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

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


@dataclass(frozen=True)
class KeptParts:
    """The file of an earlier track, and where its parts lie in it."""

    path: Path
    parts: Mapping[str, tuple[int, int]]

    def frames(self, key: str) -> bytes | None:
        """The frames of a part; None where the earlier track had no such sound."""
        if key not in self.parts:
            return None
        first, length = self.parts[key]
        with self.path.open("rb") as file:
            file.seek(first)
            return file.read(length)


@dataclass(frozen=True)
class _Part:
    """Samples to encode, from `first` to before `end`, and which of the frames that come of it are the part's own."""

    first: int
    end: int
    own: slice

    def read(self, file: soundfile.SoundFile) -> NDArray[np.int16]:
        file.seek(self.first)
        return np.asarray(file.read(self.end - self.first, dtype="int16", always_2d=True), np.int16)


def encode_in_parts(
    audio: Path,
    *,
    threads: int,
    length_s: float | None,
    work_dir: Path,
    deadline_s: float,
    kept: KeptParts | None = None,
    stop: StopToken = STOP,
    on_progress: Callable[[float], None] | None = None,
) -> AacTrack | None:
    """Encode 16-bit PCM with as many encoders as there are threads; the frames are nearly those of one encoder alone.

    A frame depends on its own samples and those of the frame before, and hardly on what was encoded earlier. A part's
    frames depend on nothing but its own samples and some before and after, whichever parts are made or kept.

    Args:
        audio: The sound, as PCM.
        threads: Runs of ffmpeg side by side.
        length_s: Only that much from the start; None: all.
        work_dir: Where the result lies.
        deadline_s: Wall seconds that a run may take.
        kept: Parts of an earlier track, which are not encoded again.
        stop: Polled while ffmpeg runs.
        on_progress: Gets the media seconds that are there.

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
    parts = _cut(samples)
    if len(parts) < 2 or rate_hz not in _RATES_HZ:
        return None
    keys = _keys(audio, parts, threads, stop)
    found = {number: kept.frames(key) for number, key in enumerate(keys)} if kept is not None else {}
    made = {number: frames for number, frames in found.items() if frames is not None}
    missing = [number for number in range(len(parts)) if number not in made]
    runs = max(min(threads, -(-len(missing) // _FEW_PARTS)), -(-len(missing) // _MOST_PARTS))
    groups = [missing[run * len(missing) // runs : (run + 1) * len(missing) // runs] for run in range(runs)]
    with ThreadPoolExecutor(threads) as pool:
        encode = _Encoder(audio, parts, work_dir, deadline_s, stop)
        for group, encoded in zip(groups, pool.map(encode, groups), strict=True):
            made |= dict(zip(group, encoded, strict=True))
            if on_progress is not None:
                on_progress(samples / rate_hz * len(made) / len(parts))
    path = work_dir / "dub.aac"
    places: dict[str, tuple[int, int]] = {}
    count = 0
    with path.open("wb") as track:
        for number, key in enumerate(keys):
            places[key] = (track.tell(), len(made[number]))
            count += sum(1 for _ in _frames(made[number]))
            track.write(made[number])
    if count != -(-samples // _FRAME) + 1:
        return None  # another encoder, with another way to begin or to end
    return AacTrack(path, count, samples, rate_hz, places)


def _cut(samples: int) -> list[_Part]:
    """Parts that begin where frames do.

    Frame n of the whole covers samples from (n - 1) * 1024, so a part that begins with frame n + 1 is encoded from some
    frames before n, up to what its last frame reaches into.
    """
    blocks = -(-samples // _FRAME)
    out: list[_Part] = []
    for block in range(0, blocks, _PART_FRAMES):
        lead = min(block, _LEAD_FRAMES)
        is_last = block + _PART_FRAMES >= blocks
        end = samples if is_last else min(samples, (block + _PART_FRAMES + 2) * _FRAME)
        begin = lead + 1 if block else 0
        out.append(
            _Part((block - lead) * _FRAME, end, slice(begin, None if is_last else lead + _PART_FRAMES + 1)),
        )
    return out


def _keys(audio: Path, parts: Sequence[_Part], threads: int, stop: StopToken) -> list[str]:
    """Identities of what the parts are made of, by as many threads as may work: after an edit nothing else can."""

    def some(first: int) -> list[str]:
        with soundfile.SoundFile(str(audio)) as file:
            out: list[str] = []
            for part in parts[first : first + share]:
                stop.check()
                out.append(_key(part.read(file), file.samplerate, part.own.start))
            return out

    share = -(-len(parts) // threads)
    with ThreadPoolExecutor(threads) as pool:
        return [key for keys in pool.map(some, range(0, len(parts), share)) for key in keys]


def _key(pcm: NDArray[np.int16], rate_hz: int, lead: int) -> str:
    """Identity of what a part is made of."""
    digest = hashlib.sha256(json.dumps([rate_hz, pcm.shape, lead, _PART_FRAMES, OPTIONS]).encode())
    digest.update(np.ascontiguousarray(pcm).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Encoder:
    """Encodes parts of a sound, several in one run of ffmpeg: to start it takes as long as to encode some seconds."""

    audio: Path
    parts: Sequence[_Part]
    work_dir: Path
    deadline_s: float
    stop: StopToken

    def __call__(self, numbers: Sequence[int]) -> list[bytes]:
        with Scratch(self.work_dir) as scratch, soundfile.SoundFile(str(self.audio)) as file:
            sinks: list[Any] = []
            for number in numbers:
                name = f"part{number}.wav"
                soundfile.write(str(scratch.path / name), self.parts[number].read(file), file.samplerate)
                sound = argv.source(name, is_timed=False)["a:0"]
                sinks.append(argv.sink([sound], f"part{number}.aac", "adts", **OPTIONS))
            run_ffmpeg(argv.arguments(*sinks), deadline_s=self.deadline_s, cwd=scratch.path, stop=self.stop)
            encoded = [list(_frames((scratch.path / f"part{n}.aac").read_bytes())) for n in numbers]
        return [b"".join(frames[self.parts[n].own]) for n, frames in zip(numbers, encoded, strict=True)]


def _frames(data: bytes) -> Iterator[bytes]:
    """The frames of an ADTS stream; each says its length in 13 bits (ISO/IEC 14496-3, 1.A.2)."""
    at = 0
    while at + 7 <= len(data):
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        yield data[at : at + length]
        at += max(7, length)
