"""Sound out of real and awkward containers: on time, whole, audible, at its level."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from dubline.media import argv
from dubline.media.extract import STT_RATE_HZ, Bed, Downmix, extract_bed, extract_speech
from dubline.media.finished import RATE_HZ, decode_excerpts, decode_mono, decode_stereo
from dubline.media.loudness import gated_lufs, momentary
from dubline.media.probe import probe
from dubline.media.runner import run_ffmpeg
from dubline.media.stretch import StretchJob, stretch_many
from dubline.models import MediaInfo, Span
from dubline.settings import Settings


@dataclass(frozen=True)
class Taken:
    info: MediaInfo
    facts: Bed
    downmix: Downmix
    bed: NDArray[np.float64]
    stt: NDArray[np.float64]

    def stt_db(self, start_s: float = 0.0, end_s: float | None = None) -> float:
        part = self.stt[int(start_s * STT_RATE_HZ) : None if end_s is None else int(end_s * STT_RATE_HZ)]
        return _db(part)


def _db(samples: NDArray[np.float64]) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-9))


@pytest.fixture
def take(media_dir: Path, tmp_path: Path) -> Callable[[str], Taken]:
    def run(name: str) -> Taken:
        source = media_dir / name
        info = probe(source, Settings())
        bed, stt = tmp_path / "bed.wav", tmp_path / "stt.wav"
        measured = tmp_path / "bed.s16"
        facts = extract_bed(source, info, info.audio[-1].index, bed, measured=measured, work_dir=tmp_path)
        decoded = decode_stereo(bed, tmp_path / "again.s16", work_dir=tmp_path, media_s=info.duration_s)
        there, again = (np.fromfile(path, "<i2").astype(int) for path in (measured, decoded))
        assert len(there) == len(again)
        assert np.abs(there - again).max(initial=0) <= 2  # the bed's own, but for the rounding
        downmix = extract_speech(source, info, info.audio[-1].index, stt, work_dir=tmp_path)
        bed_pcm, bed_rate = soundfile.read(bed)
        stt_pcm, stt_rate = soundfile.read(stt)
        assert (bed_rate, stt_rate) == (facts.rate_hz, STT_RATE_HZ)
        assert bed_pcm.shape == (facts.samples, 2)
        assert facts.samples == round(info.duration_s * facts.rate_hz)
        assert stt_pcm.shape == (round(info.duration_s * STT_RATE_HZ),)
        measured = momentary(bed)  # what was measured on the way is the bed's own
        is_loud = measured > -60
        assert (facts.lufs.shape, is_loud.any()) == (measured.shape, (facts.lufs > -60).any())
        np.testing.assert_allclose(facts.lufs[is_loud], measured[is_loud], atol=0.1)
        return Taken(info, facts, downmix, bed_pcm, stt_pcm)

    return run


def test_late_sound_keeps_its_delay(take: Callable[[str], Taken]) -> None:
    taken = take("video/gen/ls3_audio_delay_2500ms.mp4")
    assert np.abs(taken.bed[: int(2.4 * taken.facts.rate_hz)]).max() == 0
    assert taken.stt_db(2.5, 9.0) > -40


def test_late_sound_keeps_its_delay_in_a_transport_stream(media_dir: Path, tmp_path: Path) -> None:
    """There ffmpeg takes the earliest stream that it is asked for as zero, so sound alone would come too early."""
    (tmp_path / "in0").symlink_to((media_dir / "video/gen/ls3_audio_delay_2500ms.mp4").resolve())
    words = ["-i", "file:in0", "-c", "copy", "-f", "mpegts", "file:late.ts"]
    run_ffmpeg(words, deadline_s=30.0, cwd=tmp_path)
    source, bed, stt = tmp_path / "late.ts", tmp_path / "bed.wav", tmp_path / "stt.wav"
    info = probe(source, Settings())
    extract_bed(source, info, info.audio[0].index, bed, work_dir=tmp_path)
    extract_speech(source, info, info.audio[0].index, stt, work_dir=tmp_path)
    for path in (bed, stt):
        pcm, rate = soundfile.read(path, always_2d=True)
        assert np.flatnonzero(np.abs(pcm).max(axis=1) > 0.003)[0] / rate == pytest.approx(2.49, abs=0.05)


def test_a_hole_is_filled_with_silence(take: Callable[[str], Taken]) -> None:
    taken = take("video/gen/ls3_audio_gap.mkv")
    window = taken.facts.rate_hz // 10
    levels = np.abs(taken.bed[: len(taken.bed) // window * window]).max(axis=1).reshape(-1, window).max(axis=1)
    silent = np.flatnonzero(levels == 0)
    assert 1.7 < len(silent) / 10 < 2.1
    assert silent[-1] - silent[0] == len(silent) - 1
    assert levels[silent[-1] + 3 :].max() > 0.05


@pytest.mark.parametrize(
    ("name", "downmix"),
    [
        ("video/gen/ls3_antiphase.mp4", "difference"),
        ("speech/lj_antiphase_stereo.flac", "difference"),
        ("video/gen/ls3_centre_only_51.mp4", "centre"),
        ("speech/lj_centre_only_51.flac", "centre"),
        ("speech/lj_right_only.flac", "right"),
        ("speech/8_channel_id.m4a", "mix"),
        ("video/real_barcelona_10s.mp4", "mix"),
    ],
)
def test_no_downmix_loses_the_voice(take: Callable[[str], Taken], name: str, downmix: str) -> None:
    taken = take(name)
    assert taken.downmix == downmix
    assert taken.stt_db() > -40
    if downmix == "difference":
        assert _db(taken.bed.sum(axis=1)) < _db(taken.bed[:, 0]) - 12  # left as it was found
        assert _db(taken.bed[:, 0]) == pytest.approx(taken.stt_db(), abs=1.0)


@pytest.mark.parametrize(
    ("name", "rate_hz"),
    [
        ("video/gen/ls3_gp3_h263_8k.3gp", 48_000),
        ("video/gen/ls3_avi_mp3_11025.avi", 48_000),
        ("video/gen/ls3_ts_wrap.ts", 48_000),
        ("video/gen/ls3_copycut_negative_ts.mkv", 48_000),
        ("video/gen/ls3_two_audio_por_default.mkv", 48_000),
        ("video/real_manifesto_88s.mp4", 44_100),
    ],
)
def test_odd_containers_give_sound_at_full_rate(take: Callable[[str], Taken], name: str, rate_hz: int) -> None:
    taken = take(name)
    assert taken.facts.rate_hz == rate_hz
    assert taken.stt_db() > -40


def test_the_recognisers_sound_is_on_the_beds_timeline(take: Callable[[str], Taken]) -> None:
    taken = take("video/gen/ls3_flv.flv")
    rate = taken.facts.rate_hz
    onset_bed = np.flatnonzero(np.abs(taken.bed).max(axis=1) > 0.05)[0] / rate
    onset_stt = np.flatnonzero(np.abs(taken.stt) > 0.05)[0] / STT_RATE_HZ
    assert onset_stt == pytest.approx(onset_bed, abs=0.005)


def _tone(path: Path, seconds: float, dbfs: float, channels: int, rate: int = 48_000) -> Path:
    at = np.arange(int(seconds * rate)) / rate
    wave = 10 ** (dbfs / 20) * np.sin(2 * np.pi * 1000 * at)
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate, subtype="PCM_24")
    return path


@pytest.mark.parametrize(("channels", "offset_lu"), [(2, 0.0), (1, -3.01)])
def test_loudness_of_the_ebu_tone(tmp_path: Path, channels: int, offset_lu: float) -> None:
    """EBU Tech 3341, case 1: a 1 kHz stereo sine at -23 dBFS peak is -23 LUFS; one channel alone is 3 LU less."""
    path = _tone(tmp_path / "tone.wav", 5.0, -23.0, channels)
    levels = momentary(path)
    assert len(levels) in (49, 50)
    assert np.isneginf(levels[:3]).all()
    assert gated_lufs(levels) == pytest.approx(-23.0 + offset_lu, abs=0.1)


def test_our_gate_agrees_with_the_reference_meter_on_speech(media_dir: Path, tmp_path: Path) -> None:
    path = media_dir / "speech/lj_25s_silence_first.flac"
    words = ["-i", f"file:{path}", "-filter:a", "ebur128=framelog=quiet", "-f", "null", "-"]
    said = re.search(r"\n\s*I:\s*(\S+) LUFS", run_ffmpeg(words, deadline_s=60.0, cwd=tmp_path).stderr_tail)
    assert said is not None
    assert gated_lufs(momentary(path)) == pytest.approx(float(said[1]), abs=0.15)


def test_silence_has_no_loudness(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros((48_000, 2)), 48_000)
    assert gated_lufs(momentary(path)) is None


@pytest.mark.parametrize("threads", [1, 3])
def test_stretch_is_exact_in_length_and_keeps_the_pitch(tmp_path: Path, threads: int) -> None:
    source = _tone(tmp_path / "tone.wav", 4.0, -12.0, 1, rate=24_000)
    ratios = [1.0, 1.04, 1.2345, 0.85, *np.linspace(1.01, 1.45, 33)]
    jobs = [StretchJob(source, float(r), tmp_path / f"line{i}.f32") for i, r in enumerate(ratios)]
    part = StretchJob(source, 1.1, tmp_path / "part.f32", first=24_000, end=60_000)
    stretch_many([*jobs, part], 44_100, threads=threads, work_dir=tmp_path)
    for job in (*jobs, part):
        samples = np.fromfile(job.target, dtype="<f4")
        seconds = 1.5 if job is part else 4.0
        assert len(samples) / 44_100 == pytest.approx(seconds / job.ratio, abs=0.03)
        middle = samples[len(samples) // 4 : -len(samples) // 4]
        crossings = np.count_nonzero(np.diff(np.signbit(middle)))
        assert crossings / 2 / (len(middle) / 44_100) == pytest.approx(1000, rel=0.01)
    assert len(np.fromfile(jobs[0].target, dtype="<f4")) == pytest.approx(4 * 44_100, abs=2)
    assert [p for p in tmp_path.iterdir() if p.is_dir()] == []


def test_lines_are_stretched_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _tone(tmp_path / "tone.wav", 0.5, -12.0, 1, rate=24_000)
    both = threading.Barrier(2, timeout=20)  # broken, and an error, unless two runs are under way at once

    def met(*args: Any, **options: Any) -> Any:
        both.wait()
        return run_ffmpeg(*args, **options)

    monkeypatch.setattr("dubline.media.stretch.run_ffmpeg", met)
    jobs = [StretchJob(source, 1.1, tmp_path / f"line{i}.f32") for i in range(8)]
    stretch_many(jobs, 48_000, threads=2, work_dir=tmp_path)
    assert all(job.target.stat().st_size for job in jobs)


def test_many_short_excerpts_are_what_lies_there(tmp_path: Path) -> None:
    at_s = np.arange(60 * 48_000) / 48_000
    sweep = 0.3 * np.sin(2 * np.pi * (100 * at_s + 10 * at_s**2))  # no two moments are alike
    soundfile.write(str(tmp_path / "in.wav"), sweep, 48_000, subtype="PCM_16")
    streams = [argv.source("in.wav")["a:0"], argv.pattern("testsrc=size=320x180:rate=10:duration=60")["v:0"]]
    encoded = argv.sink(streams, "out.mp4", "mp4", **{"c:a": "aac", "c:v": "libx264", "preset:v": "ultrafast"})
    run_ffmpeg(argv.arguments(encoded), deadline_s=60, cwd=tmp_path)
    video = tmp_path / "out.mp4"
    whole = np.fromfile(decode_mono(video, work_dir=tmp_path, media_s=60), "<i2").astype(np.float32) / 32768
    spans = [Span(start_s=1.457 * n, end_s=1.457 * n + 0.6) for n in range(45)]  # the last ones lie behind the end
    for span, found in zip(spans, decode_excerpts(video, spans, work_dir=tmp_path, media_s=60), strict=True):
        there = whole[round(span.start_s * RATE_HZ) :][: round(0.6 * RATE_HZ)]
        assert len(found) == round(0.6 * RATE_HZ)
        np.testing.assert_allclose(found[: len(there)], there, atol=0.02)
        assert np.abs(found[len(there) :]).max(initial=0.0) < 0.02
