"""The finished file: picture untouched, dub on time and whole, tracks named, nothing carried along."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from dubline.media import aac
from dubline.media.mux import SubtitleTrack, mux, stream_hash
from dubline.media.picture import make_clip
from dubline.media.preview import Item, listen, look
from dubline.media.probe import probe
from dubline.models import MediaInfo
from dubline.settings import Settings

RATE = 48_000
WHOLE = 10**9  # frames: a track is never cut
CLICKS_S = (0.05, 0.5, 1.0)


@pytest.fixture
def srt(tmp_path: Path) -> Path:
    path = tmp_path / "words.srt"
    path.write_text("1\n00:00:00,200 --> 00:00:01,200\nOlá, mundo\n\n", encoding="utf-8")
    return path


@pytest.fixture
def clicks(tmp_path: Path) -> Callable[[MediaInfo], Path]:
    """A dub as long as the media, with a click at known times."""

    def make(info: MediaInfo) -> Path:
        pcm = np.zeros((round(info.duration_s * RATE), 2), np.float32)
        for at_s in CLICKS_S:
            start = int(at_s * RATE)
            pcm[start : start + 240] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(240) / RATE)[: len(pcm[start:]), None]
        path = tmp_path / "dub.wav"
        soundfile.write(path, pcm, RATE)
        return path

    return make


def _onsets(path: Path) -> list[float]:
    """Times at which the default track's clicks sound, as a player shows them."""
    with av.open(str(path)) as container:
        zero_s = (container.start_time or 0) / 1e6
        track = container.streams.audio[0]
        parts, first_s = [], None
        for frame in container.decode(track):
            first_s = frame.time if first_s is None else first_s
            parts.append(frame.to_ndarray()[0])
    pcm = np.abs(np.concatenate(parts))
    loud = np.flatnonzero(pcm > 0.3)
    starts = loud[np.insert(np.diff(loud) > RATE // 10, 0, True)]
    assert first_s is not None
    return [float(s) / RATE + first_s - zero_s for s in starts]


def _picture_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        zero_s = (container.start_time or 0) / 1e6
        return sorted(float(p.pts * p.time_base) - zero_s for p in container.demux(video=0) if p.pts is not None)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("gen/ls3_bframes_negdts.mp4", "mp4"),
        ("gen/ls3_vfr.mp4", "mp4"),
        ("gen/ls3_hevc10.mp4", "mp4"),
        ("gen/ls3_av1_opus.mkv", "mp4"),
        ("gen/ls3_vp9_opus.webm", "mp4"),
        ("gen/ls3_ts_wrap.ts", "mp4"),
        ("gen/ls3_flv.flv", "mp4"),
        ("gen/ls3_gp3_h263_8k.3gp", "mkv"),
        ("gen/ls3_fragmented.mp4", "mp4"),
        ("gen/ls3_audio_longer.mp4", "mp4"),
        ("gen/ls3_video_longer.mp4", "mp4"),
        ("odd/ax_sample.avi", "mp4"),
        ("odd/ae_cover_art.mp4", "mp4"),
    ],
)
@pytest.mark.parametrize("part_frames", [WHOLE, 20])
def test_the_picture_is_copied_and_the_sound_is_on_time(
    media_dir: Path,
    tmp_path: Path,
    srt: Path,
    clicks: Callable[[MediaInfo], Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    suffix: str,
    part_frames: int,
) -> None:
    monkeypatch.setattr(aac, "_PART_FRAMES", part_frames)  # the clips are short
    source = media_dir / "video" / name
    info = probe(source, Settings())
    done = mux(
        source,
        info,
        clicks(info),
        work_dir=tmp_path,
        target_language="pt-BR",
        subtitles=[SubtitleTrack(srt, "pt-BR"), SubtitleTrack(srt, "en")],
        threads=2,
    )
    out = probe(done.path, Settings())
    assert (done.suffix, done.video_copied) == (suffix, True)
    assert stream_hash(source, "video") == stream_hash(done.path, "video")
    assert [s.kind for s in out.streams] == ["video", "audio", "subtitle", "subtitle"]
    assert [s.language for s in out.streams][1:] == ["por", "por", "eng"]
    assert out.streams[1].is_default
    assert out.duration_s == pytest.approx(info.duration_s, abs=0.025)
    assert _onsets(done.path) == pytest.approx(CLICKS_S, abs=0.025)
    if suffix == "mp4" and info.video is not None and info.video.has_timestamps:
        np.testing.assert_allclose(_picture_times(done.path), _picture_times(source), atol=0.002)


def _tones(rate_hz: int, seconds: float) -> np.ndarray:
    """Tones that come and go, so that a joint in the wrong place or between unlike windows is heard."""
    at_s = np.arange(round(seconds * rate_hz)) / rate_hz
    tone = 0.3 * np.sin(2 * np.pi * (200 + 40 * at_s) * at_s) * (1 + np.sin(2 * np.pi * 3.1 * at_s)) / 2
    noise = np.random.default_rng(0).standard_normal(len(at_s)) * 0.02
    return np.stack([tone + noise, tone], axis=1).astype(np.float32)


@pytest.mark.parametrize(("rate_hz", "seconds"), [(44_100, 31.7), (48_000, 22.0), (96_000, 21.3)])
def test_parts_encoded_side_by_side_are_one_track(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate_hz: int, seconds: float
) -> None:
    pcm = _tones(rate_hz, seconds)
    audio = tmp_path / "dub.wav"
    soundfile.write(audio, pcm, rate_hz)
    parts = aac._PART_FRAMES
    info = MediaInfo(container="mp4", duration_s=seconds, size_bytes=1, streams=())
    heard, lengths = [], []
    for frames in (WHOLE, parts):
        monkeypatch.setattr(aac, "_PART_FRAMES", frames)
        done = mux(audio, info, audio, work_dir=tmp_path / str(frames), target_language="es", threads=2)
        assert (done.track is not None) == (frames == parts)
        with av.open(str(done.path)) as container:
            heard.append(np.concatenate([f.to_ndarray()[0] for f in container.decode(container.streams.audio[0])]))
            lengths.append(container.streams.audio[0].duration)
    assert lengths[0] == lengths[1]
    assert len(heard[0]) == len(heard[1]) >= len(pcm)
    joints = range(parts * 1024, len(pcm), parts * 1024)
    for window in (slice(0, None), slice(-4096, None), *(slice(joint - 8192, joint + 8192) for joint in joints)):
        errors = [float(np.mean((h[: len(pcm)][window] - pcm[window, 0]) ** 2)) for h in heard]
        assert errors[1] < 1.3 * errors[0]


def test_parts_whose_sound_is_the_same_are_not_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aac, "_PART_FRAMES", 64)
    runs: list[str] = []
    run = aac.run_ffmpeg
    monkeypatch.setattr(aac, "run_ffmpeg", lambda what, **named: (runs.extend(what), run(what, **named))[1])

    def encode(pcm: np.ndarray, name: str, kept: aac.KeptParts | None) -> tuple[aac.AacTrack, int]:
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "dub.wav", pcm, 48_000)
        runs.clear()
        track = aac.encode_in_parts(
            tmp_path / name / "dub.wav",
            threads=2,
            length_s=None,
            work_dir=tmp_path / name,
            deadline_s=60,
            kept=kept,
        )
        assert track is not None
        return track, sum(word.endswith(".aac") for word in runs)

    pcm = _tones(48_000, 20.0)
    first, made = encode(pcm, "first", None)
    assert made == len(first.parts) == 15
    changed = pcm.copy()
    changed[8 * 48_000 : 9 * 48_000] *= 0.5
    fresh, _ = encode(changed, "fresh", None)
    second, made = encode(changed, "second", aac.KeptParts(first.path, first.parts))
    assert 1 <= made <= 3
    assert second.path.read_bytes() == fresh.path.read_bytes() != first.path.read_bytes()
    again, made = encode(changed, "again", aac.KeptParts(second.path, second.parts))
    assert made == 0
    assert again.path.read_bytes() == fresh.path.read_bytes()


def test_the_hash_sees_a_change_of_the_picture(media_dir: Path) -> None:
    folder = media_dir / "video/gen"
    assert stream_hash(folder / "ls3_rotated_90_phone.mov", "video") != stream_hash(folder / "ls3_vfr.mp4", "video")


def test_the_original_sound_is_kept_on_demand(
    media_dir: Path, tmp_path: Path, clicks: Callable[[MediaInfo], Path]
) -> None:
    source = media_dir / "video/gen/ls3_two_audio_por_default.mkv"
    info = probe(source, Settings())
    done = mux(
        source,
        info,
        clicks(info),
        work_dir=tmp_path,
        target_language="es",
        original_audio_index=2,
        original_language="en",
    )
    out = probe(done.path, Settings())
    assert [(s.language, s.is_default) for s in out.audio] == [("spa", True), ("eng", False)]
    assert stream_hash(source, "audio", index=1) == stream_hash(done.path, "audio", index=1)


def test_a_phone_video_stays_upright(media_dir: Path, tmp_path: Path, clicks: Callable[[MediaInfo], Path]) -> None:
    source = media_dir / "video/gen/ls3_rotated_90_phone.mov"
    info = probe(source, Settings())
    done = mux(source, info, clicks(info), work_dir=tmp_path, target_language="es")
    turns = []
    for path in (source, done.path):
        with av.open(str(path)) as container:
            turns.append(next(container.decode(video=0)).rotation)
    assert turns[0] == turns[1] != 0


def test_nothing_of_the_containers_words_is_carried_along(
    media_dir: Path, tmp_path: Path, clicks: Callable[[MediaInfo], Path]
) -> None:
    for name in ("video/gen/ls3_huge_metadata.mp4", "video/gen/ls3_subs_chapters.mkv"):
        source = media_dir / name
        info = probe(source, Settings())
        done = mux(source, info, clicks(info), work_dir=tmp_path, target_language="es")
        with av.open(str(done.path)) as container:
            assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
            assert not container.chapters()
            assert [s.type for s in container.streams] == ["video", "audio"]


@pytest.mark.parametrize("name", ["gen/ls3_audio_with_cover.mp3", "gen/ls3_cover_art_first.m4a", "odd/ax_eac3joc.mp4"])
def test_sound_alone_becomes_m4a(
    media_dir: Path, tmp_path: Path, srt: Path, clicks: Callable[[MediaInfo], Path], name: str
) -> None:
    source = media_dir / "video" / name
    info = probe(source, Settings())
    done = mux(
        source,
        info,
        clicks(info),
        work_dir=tmp_path,
        target_language="es",
        subtitles=[SubtitleTrack(srt, "es")],
        burn=srt,
    )
    out = probe(done.path, Settings())
    assert (done.suffix, done.media_type, done.video_copied) == ("m4a", "audio/mp4", False)
    assert [s.kind for s in out.streams] == ["audio"]
    assert out.duration_s == pytest.approx(info.duration_s, abs=0.002)


@pytest.mark.parametrize("name", ["ls3_odd_yuv444_217x385.mp4", "ls3_rotated_90_phone.mov"])
def test_subtitles_are_burned_in(
    media_dir: Path, tmp_path: Path, srt: Path, clicks: Callable[[MediaInfo], Path], name: str
) -> None:
    source = media_dir / "video/gen" / name
    info = probe(source, Settings())
    done = mux(source, info, clicks(info), work_dir=tmp_path, target_language="es", burn=srt)
    out = probe(done.path, Settings())
    assert not done.video_copied
    assert out.video is not None
    assert (out.video.width, out.video.height) == (216, 384)
    assert out.duration_s == pytest.approx(info.duration_s, abs=0.025)
    assert out.video.packets == (info.video.packets if info.video else 0)
    assert _difference(source, done.path, at_s=0.6) > 3 * _difference(source, done.path, at_s=2.0)


def _difference(source: Path, burned: Path, *, at_s: float) -> float:
    """Share of strongly changed pixels in the lower third of the frame at a time, both pictures upright."""
    frames = []
    for path in (source, burned):
        with av.open(str(path)) as container:
            frame = next(f for f in container.decode(video=0) if f.time is not None and f.time >= at_s)
            upright = np.rot90(frame.to_ndarray(format="gray"), frame.rotation // 90)
        frames.append(upright[:384, :216].astype(int)[256:])
    return float(np.mean(np.abs(frames[0] - frames[1]) > 60)) + 1e-4


def _preview(source: Path, info: MediaInfo, sound: Path, work: Path) -> list[Item]:
    seen = look(source, info, work_dir=work)
    return [*seen.thumbnails, *listen(sound, seen.clip, seen.clip_at_s, work_dir=work)]


@pytest.mark.parametrize(
    "name",
    [
        "gen/ls3_rotated_90_phone.mov",
        "gen/ls3_hevc10.mp4",
        "gen/ls3_short_0.3s.mp4",
        "odd/ae_sar_2by3.mp4",
        "gen/ls3_flv.flv",  # nothing comes of it when its very beginning is sought
        "gen/ls3_copycut_negative_ts.mkv",  # nor of this, whatever is sought in it
    ],
)
def test_previews(media_dir: Path, tmp_path: Path, clicks: Callable[[MediaInfo], Path], name: str) -> None:
    source = media_dir / "video" / name
    info = probe(source, Settings())
    items = {i.name: i for i in _preview(source, info, clicks(info), tmp_path)}
    assert set(items) == {"peaks", "thumbnail1", "thumbnail2", "thumbnail3", "clip"}
    for item in items.values():
        if item.name == "peaks":
            continue
        with av.open(str(item.path)) as container:
            if item.name == "clip":
                (sound,) = container.streams.audio
                assert float(sound.duration * sound.time_base) == pytest.approx(min(10.0, info.duration_s), abs=0.1)
            picture = container.streams.video[0]
            assert max(picture.width, picture.height) <= 480
            if "rotated" in name:
                assert picture.height > picture.width
    peaks = json.loads(items["peaks"].path.read_text())
    assert 0 < len(peaks) <= 800
    assert max(peaks) == pytest.approx(0.8, abs=0.01)


def test_a_single_picture_has_one_thumbnail(tmp_path: Path) -> None:
    still, shown = tmp_path / "still.mp4", np.full((120, 160, 3), 90, np.uint8)
    with av.open(str(still), "w") as container:
        picture = container.add_stream("mpeg4", rate=25, width=160, height=120, pix_fmt="yuv420p")
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        container.mux(picture.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        for _ in range(100):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate = RATE
            container.mux(sound.encode(frame))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
    seen = look(still, probe(still, Settings()), work_dir=tmp_path)
    assert [item.name for item in seen.thumbnails] == ["thumbnail1"]


@pytest.mark.parametrize("shown", ["late", "never"])
def test_no_look_is_worth_a_job(tmp_path: Path, shown: str) -> None:
    source, grey = tmp_path / "late.mkv", np.full((90, 160, 3), 90, np.uint8)
    with av.open(str(source), "w") as container:
        picture = container.add_stream("libx264", rate=25, width=160, height=90, pix_fmt="yuv420p")
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        packets = []
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(grey, "rgb24")
            frame.pts = 12 * 25 + number
            packets += picture.encode(frame)
        packets += picture.encode(None)
        for _ in range(20 * RATE // 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate = RATE
            container.mux(sound.encode(frame))
        for packet in packets:
            if shown == "never":
                packet = av.Packet(bytes(packet)[:5] + bytes(len(bytes(packet)) - 5))
                packet.stream, packet.pts, packet.dts = picture, packets[0].pts, packets[0].dts
            container.mux(packet)
        container.mux(sound.encode(None))
    info = probe(source, Settings())
    items = {i.name for i in _preview(source, info, _silent(tmp_path, info), tmp_path)}
    assert items == ({"peaks", "clip", *(f"thumbnail{n}" for n in (1, 2, 3))} if shown == "late" else {"peaks"})


def _silent(folder: Path, info: MediaInfo) -> Path:
    path = folder / "silent.wav"
    soundfile.write(path, np.zeros(round(info.duration_s * RATE)), RATE)
    return path


def test_of_much_picture_the_key_frames_are_shown(
    media_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = media_dir / "video/gen/ls3_antiphase.mp4"  # its first frame is the only key frame
    info = probe(source, Settings())

    def pictures(folder: str) -> list[bytes]:
        (tmp_path / folder).mkdir()
        return [item.path.read_bytes() for item in look(source, info, work_dir=tmp_path / folder).thumbnails]

    assert len(set(pictures("exact"))) == 3
    monkeypatch.setattr("dubline.media.preview._is_cheap", lambda _: False)
    shown = pictures("quick")
    assert len(shown) == 3
    assert len(set(shown)) == 1


def test_sound_alone_has_peaks_only(media_dir: Path, tmp_path: Path, clicks: Callable[[MediaInfo], Path]) -> None:
    source = media_dir / "video/gen/ls3_audio_with_cover.mp3"
    info = probe(source, Settings())
    assert [i.name for i in _preview(source, info, clicks(info), tmp_path)] == ["peaks"]


def test_the_samples_picture(tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, 0.1 * np.ones(24_000), 24_000)
    make_clip(sound, 1.0, tmp_path / "sample.mp4", work_dir=tmp_path)
    info = probe(tmp_path / "sample.mp4", Settings())
    assert info.video is not None
    assert (info.video.width, info.video.height) == (640, 360)
    assert info.duration_s == pytest.approx(1.0, abs=0.05)
