"""The sound of a finished file: decoded whole, and after an edit only where it is another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from dubline.media import argv, finished
from dubline.media.aac import KeptParts, encode_in_parts
from dubline.media.finished import RATE_HZ, FinishedSound, decode_finished, decode_mono
from dubline.media.kept_sound import KeptSound
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.media.true_peak import of_all

_RATE_HZ, _LENGTH_S = 44_100, 94.3


def _sound(channels: int, *, other_at_s: float | None = None) -> NDArray[np.float32]:
    """Tones that come and go; for a second and a half from `other_at_s` they are others, and louder.

    No noise: a codec makes up its own, anew with each decoding.
    """
    at_s = np.arange(round(_LENGTH_S * _RATE_HZ)) / _RATE_HZ
    loud = 0.1 + 0.05 * np.sin(2 * np.pi * at_s / 7)
    sound = loud * (np.sin(2 * np.pi * 220 * at_s) + 0.5 * np.sin(2 * np.pi * 1370 * at_s + np.sin(at_s)))
    if other_at_s is not None:
        here = slice(round(other_at_s * _RATE_HZ), round((other_at_s + 1.5) * _RATE_HZ))
        sound[here] = 0.4 * np.sin(2 * np.pi * 330 * at_s[here])
    return np.column_stack([sound, 0.5 * sound][:channels]).astype(np.float32)


def _file(folder: Path, sound: NDArray[np.float32], kept: KeptParts | None = None) -> tuple[Path, KeptParts]:
    """A finished file as `mux` makes it, of the parts of an earlier one where they are the same."""
    folder.mkdir()
    soundfile.write(str(folder / "mix.wav"), sound, _RATE_HZ, subtype="PCM_16")
    track = encode_in_parts(folder / "mix.wav", threads=2, length_s=None, work_dir=folder, deadline_s=60, kept=kept)
    assert track is not None
    with Scratch(folder) as scratch:
        sink = argv.sink([track.source(scratch)["a:0"]], "out0.mp4", "mp4", **track.copied)
        run_ffmpeg(argv.arguments(sink), deadline_s=60, cwd=scratch.path)
        video = scratch.move("out0.mp4", folder / "dub.mp4")
    return video, KeptParts(track.path, track.parts)


def _decoded(video: Path, kept: KeptSound | None = None) -> FinishedSound:
    work = video.parent / ("again" if kept else "whole")
    work.mkdir()
    return decode_finished(video, work_dir=work, media_s=_LENGTH_S, kept=kept)


def _kept(sound: FinishedSound) -> KeptSound:
    return KeptSound(
        sound.stereo, sound.channels, sound.marks, tuple(sound.momentary_lufs.tolist()), tuple(sound.peaks())
    )


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What was decoded: from where, and how much."""
    seen: list[dict[str, str]] = []
    decode = finished._decode

    def noting(video: Path, **options: object) -> object:
        seen.append({k: str(v) for k, v in options.items() if k in ("ss", "t")})
        return decode(video, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(finished, "_decode", noting)
    return seen


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("at_s", [0.2, 33.0, 39.4, 92.0])  # the third reaches into the next ten seconds
def test_what_changed_is_decoded_and_all_is_as_if_it_were(
    tmp_path: Path, windows: list[dict[str, str]], channels: int, at_s: float
) -> None:
    video, parts = _file(tmp_path / "before", _sound(channels))
    before = _kept(_decoded(video))
    edited, _ = _file(tmp_path / "after", _sound(channels, other_at_s=at_s), parts)
    whole = _decoded(edited)
    windows.clear()
    again = _decoded(edited, before)
    [window] = windows
    assert float(window.get("t", _LENGTH_S - float(window.get("ss", 0)))) < 25  # an encoder's part, and some beside it
    assert again.marks == whole.marks != before.marks
    for own, other in ((again.mono, whole.mono), (again.stereo, whole.stereo)):
        a, b = (np.fromfile(path, "<i2").astype(int) for path in (own, other))
        assert len(a) == len(b)
        assert np.abs(a - b).max() <= 3
    assert again.momentary_lufs == pytest.approx(whole.momentary_lufs, abs=0.02)
    assert [p.true_peak for p in again.peaks()] == pytest.approx([p.true_peak for p in whole.peaks()], rel=1e-3)
    assert of_all(again.peaks()).values == of_all(whole.peaks()).values
    assert of_all(whole.peaks()).true_peak > of_all(before.peaks).true_peak


def test_a_file_that_is_the_same_is_not_decoded(tmp_path: Path, windows: list[dict[str, str]]) -> None:
    video, _ = _file(tmp_path / "before", _sound(2))
    whole = _decoded(video)
    windows.clear()
    again = _decoded(video, _kept(whole))
    assert windows == []
    assert again.mono.read_bytes() == whole.mono.read_bytes()
    assert again.stereo.read_bytes() == whole.stereo.read_bytes()
    assert again.peaks() == whole.peaks()
    assert again.momentary_lufs.tolist() == whole.momentary_lufs.tolist()


def test_another_sound_is_decoded_whole(tmp_path: Path, windows: list[dict[str, str]]) -> None:
    before = _kept(_decoded(_file(tmp_path / "before", _sound(2))[0]))
    softer, _ = _file(tmp_path / "softer", 0.5 * _sound(2))
    shorter, _ = _file(tmp_path / "shorter", _sound(2)[: 80 * _RATE_HZ])
    windows.clear()
    for video in (softer, shorter):
        assert len(_decoded(video, before).momentary_lufs) == int(
            soundfile.info(str(video.parent / "mix.wav")).duration * 10
        )
    assert windows == [{}, {}]


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_what_is_heard_is_what_ffmpeg_makes_of_all_channels(tmp_path: Path, channels: int) -> None:
    tones = [0.1 * np.sin(np.arange(48_000) * 0.02 * (n + 1)) for n in range(channels)]
    soundfile.write(str(tmp_path / "sound.wav"), np.column_stack(tones), 48_000)
    (tmp_path / "mono").mkdir()
    sound = decode_finished(tmp_path / "sound.wav", work_dir=tmp_path, media_s=1)
    mono = decode_mono(tmp_path / "sound.wav", work_dir=tmp_path / "mono", media_s=1)
    heard, wanted = (np.fromfile(path, "<i2").astype(int) for path in (sound.mono, mono))
    assert len(heard) == len(wanted) == RATE_HZ
    assert np.abs(heard - wanted).max() <= 1
    assert np.abs(heard).max() > 1000
    assert sound.marks == ()  # too short to be kept


def test_what_has_no_marks_is_no_earlier_file() -> None:
    assert KeptSound(Path(), 2, (), (), ()).changed(()) is None
