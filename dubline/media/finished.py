"""The sound of a finished file, decoded for everything that is measured on it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.media import argv
from dubline.media.extract import measurable
from dubline.media.kept_sound import LEAD_S, PART_S, KeptSound, part_marks
from dubline.media.loudness import metered, read_momentary
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.media.true_peak import Peaks, measure_peaks
from dubline.models import Span

RATE_HZ = 16_000

_FEW_AT_ONCE = 32_768  # samples handed from filter to filter: a codec's 1024 cost twice the time
_MOST_AT_ONCE = 8  # excerpts of one run: each has threads of its own, and each thread its share of address space
_BLOCK = 60 * RATE_HZ
_STEP_S = 0.1  # of the meter
_LEAST_S = 3 * PART_S  # what is shorter is decoded sooner than looked through
_LEAD_S = 0.2  # decoded before an excerpt and dropped: a codec's first frame after a jump is not whole


@dataclass(frozen=True)
class FinishedSound:
    """First audio track of a finished file, on the file's own timeline.

    Attributes:
        mono: 16 kHz, raw little-endian 16 bit: what a recogniser hears.
        stereo: The same with two channels.
        channels: How many the track has.
        momentary_lufs: 400 ms windows, one every 100 ms; value `i` looks back from 0.1 * (i + 1) s.
        marks: What each 10 s are made of, as `part_marks` gives it; none of what is too short to be kept.
        halved: All channels at their own rate, at half their level: what is above full scale is still there. Begins
            `lead_s` before the first of the `decoded` parts; None where all is an earlier file's.
        kept_peaks: Of the parts of an earlier file.
    """

    mono: Path
    stereo: Path
    channels: int
    momentary_lufs: NDArray[np.float64]
    marks: tuple[str, ...]
    halved: Path | None
    lead_s: float = 0.0
    decoded: range = range(0)
    kept_peaks: tuple[Peaks, ...] = ()

    def peaks(self) -> list[Peaks]:
        """The true peak of each 10 s, and how much of them is at full scale."""
        if self.halved is None:
            return list(self.kept_peaks)
        parts = measure_peaks(self.halved, 2.0, part_s=PART_S, skip_s=self.lead_s)
        if not self.kept_peaks:
            return parts
        before, after = self.kept_peaks[: self.decoded.start], self.kept_peaks[self.decoded.stop :]
        return [*before, *parts[: len(self.decoded)], *after]

    def close(self) -> None:
        """Remove what was decoded."""
        for file in (self.mono, self.stereo, self.halved):
            if file is not None:
                file.unlink(missing_ok=True)


def decode_mono(video: Path, *, work_dir: Path, media_s: float) -> Path:
    """Decode the first audio track to raw 16 kHz mono, little-endian 16 bit.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    with Scratch(work_dir) as scratch:
        sound = argv.arguments(argv.sink([_mono(_track(scratch.link(video)))], "finished.raw", "s16le"))
        run_ffmpeg(sound, deadline_s=_deadline_s(media_s), cwd=scratch.path)
        return scratch.move("finished.raw", work_dir / "finished.s16")


def decode_excerpts(video: Path, spans: Sequence[Span], *, work_dir: Path, media_s: float) -> list[NDArray[np.float32]]:
    """Decode parts of the first audio track to 16 kHz mono in -1 … 1, without decoding what lies before them.

    Each is as long as its span; behind the end of the sound there is silence.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    found: list[NDArray[np.float32]] = []
    with Scratch(work_dir) as scratch:
        name = scratch.link(video)
        for first in range(0, len(spans), _MOST_AT_ONCE):
            found += _excerpts(scratch, name, spans[first : first + _MOST_AT_ONCE], _deadline_s(media_s))
    return found


def _excerpts(scratch: Scratch, name: str, spans: Sequence[Span], deadline_s: float) -> list[NDArray[np.float32]]:
    starts_s = [max(0.0, math.floor((s.start_s - _LEAD_S) * 10) / 10) for s in spans]  # whole samples at usual rates
    outputs: list[Any] = []
    for number, (at_s, span) in enumerate(zip(starts_s, spans, strict=True)):
        length_s = f"{span.end_s - at_s + _LEAD_S:.3f}"
        sound = _mono(_track(name, **_from(at_s), t=length_s)).filter("apad", whole_dur=length_s)
        outputs.append(argv.sink([sound], f"excerpt{number}.raw", "s16le"))
    run_ffmpeg(argv.arguments(*outputs), deadline_s=deadline_s, cwd=scratch.path)
    found: list[NDArray[np.float32]] = []
    for number, (at_s, span) in enumerate(zip(starts_s, spans, strict=True)):
        samples = np.fromfile(scratch.path / f"excerpt{number}.raw", "<i2")[round((span.start_s - at_s) * RATE_HZ) :]
        found.append(samples[: round(span.duration_s * RATE_HZ)].astype(np.float32) / np.float32(32768))
    return found


def _from(at_s: float) -> dict[str, str]:
    return {"ss": f"{at_s:.3f}"} if at_s else {}  # a jump to the beginning loses the first frame


def decode_finished(video: Path, *, work_dir: Path, media_s: float, kept: KeptSound | None = None) -> FinishedSound:
    """Decode the sound into `work_dir` for all that is measured on it. Memory does not grow with the length.

    Parts that have the packets of an earlier file are taken from there: only what lies between the first and the last
    that have not is decoded.

    Raises:
        MediaError: the file cannot be decoded, or holds no sound.
    """
    sound = None
    with ThreadPoolExecutor(1) as beside:
        marking = beside.submit(_marks, video, work_dir, media_s)
        if kept is not None:
            marks = marking.result()
            changed = kept.changed(marks)
            if changed is not None and 2 * len(changed) <= len(marks):
                sound = _decode_changed(video, kept, changed, marks, work_dir=work_dir, media_s=media_s)
        if sound is None:
            stereo, halved, levels = _decode(video, work_dir=work_dir, media_s=media_s)
            channels = soundfile.info(str(halved)).channels
            sound = FinishedSound(work_dir / "finished.s16", stereo, channels, levels, marking.result(), halved)
    _mix_down(sound.stereo, sound.mono, math.sqrt(0.5) if sound.channels == 1 else 1.0)
    return sound


def _marks(video: Path, work_dir: Path, media_s: float) -> tuple[str, ...]:
    return part_marks(video, work_dir=work_dir, media_s=media_s) if media_s >= _LEAST_S else ()


def _decode_changed(
    video: Path, kept: KeptSound, changed: range, marks: tuple[str, ...], *, work_dir: Path, media_s: float
) -> FinishedSound | None:
    """The kept sound with some of its parts anew; None where they do not fit in."""
    mono, stereo = work_dir / "finished.s16", work_dir / "finished.kept.s16"
    shutil.copyfile(kept.stereo, stereo)
    levels = np.array(kept.momentary_lufs)
    sound = FinishedSound(mono, stereo, kept.channels, levels, marks, None, kept_peaks=kept.peaks)
    if not changed:
        return sound
    is_last = changed.stop == len(marks)
    lead_s = LEAD_S if changed.start else 0.0
    at_s = changed.start * PART_S - lead_s
    length = {} if is_last else {"t": f"{len(changed) * PART_S + lead_s + LEAD_S:.3f}"}
    part, halved, heard = _decode(video, work_dir=work_dir, media_s=media_s, **_from(at_s), **length)
    if not part.stat().st_size:
        return None
    new = np.memmap(part, "<i2", "r").reshape(-1, 2)[round(lead_s * RATE_HZ) :]
    part.unlink()
    heard = heard[round(lead_s / _STEP_S) :]
    with stereo.open("r+b") as file:
        whole = np.memmap(file, "<i2", "r+").reshape(-1, 2)
        here = slice(
            round(changed.start * PART_S * RATE_HZ), None if is_last else round(changed.stop * PART_S * RATE_HZ)
        )
        steps = slice(
            round(changed.start * PART_S / _STEP_S), None if is_last else round(changed.stop * PART_S / _STEP_S)
        )
        frames, count = len(whole[here]), len(levels[steps])
        is_exact = soundfile.info(str(halved)).samplerate % 10 == 0  # else the meter's steps are not 100 ms
        if len(new) < frames or len(heard) < count or not is_exact or (is_last and len(new) != frames):
            return None
        whole[here], levels[steps] = new[:frames], heard[:count]
    return replace(sound, halved=halved, lead_s=lead_s, decoded=changed)


def _decode(video: Path, *, work_dir: Path, media_s: float, **window: str) -> tuple[Path, Path, NDArray[np.float64]]:
    """16 kHz stereo, all channels at half their level, and momentary loudness, of all or of a part."""
    with Scratch(work_dir) as scratch:
        forks = _track(scratch.link(video), **window).filter_multi_output("asplit", 3)
        sounds = argv.arguments(
            argv.sink([measurable(forks[0])], "stereo.raw", "s16le"),
            argv.sink(
                [forks[2].filter("volume", 0.5).filter("aformat", sample_fmts="s16")], "halved.wav", "wav", rf64="auto"
            ),
            metered(forks[1], "momentary.txt"),
        )
        run_ffmpeg(sounds, deadline_s=_deadline_s(media_s), cwd=scratch.path)
        levels = np.maximum(read_momentary((scratch.path / "momentary.txt").read_bytes()), -120.0)
        stereo = scratch.move("stereo.raw", work_dir / "finished.stereo.s16")
        return stereo, scratch.move("halved.wav", work_dir / "finished.halved.wav"), levels


def _mix_down(stereo: Path, mono: Path, level: float) -> None:
    """What ffmpeg, too, makes of two channels, without resampling them again. `level` is that of the two."""
    with stereo.open("rb") as read, mono.open("wb") as write:
        while data := read.read(4 * _BLOCK):
            both = np.frombuffer(data, "<i2").reshape(-1, 2).sum(axis=1, dtype=np.float32)
            write.write(np.clip(np.rint(both / np.float32(2 * level)), -32768, 32767).astype("<i2").tobytes())


def _track(name: str, **options: Any) -> Any:
    # Sound that starts after the picture is led by silence, so that sample 0 is the file's time zero.
    sound = argv.source(name, **options)["a:0"].filter("aresample", **{"async": 1, "first_pts": 0})
    return sound.filter("asetnsamples", _FEW_AT_ONCE, pad=0)


def decode_stereo(path: Path, output: Path, *, work_dir: Path, media_s: float) -> Path:
    """Decode a sound file to raw 16 kHz stereo, as `FinishedSound.stereo` is.

    Raises:
        MediaError: the file cannot be decoded.
    """
    with Scratch(work_dir) as scratch:
        sound = argv.source(scratch.link(path))["a:0"].filter("asetnsamples", _FEW_AT_ONCE, pad=0)
        sound = argv.sink([measurable(sound)], "stereo.raw", "s16le")
        run_ffmpeg(argv.arguments(sound), deadline_s=_deadline_s(media_s), cwd=scratch.path)
        return scratch.move("stereo.raw", output)


def _mono(sound: Any) -> Any:
    return sound.filter("aresample", RATE_HZ).filter("aformat", sample_fmts="s16", channel_layouts="mono")


def _deadline_s(media_s: float) -> float:
    return 60.0 + 2.0 * media_s
