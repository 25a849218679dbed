"""The separator that comes with Dubline, on real speech over film music in the forms that sources take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from dubline.engines import deepfilternet
from dubline.engines.base import SeparateEngine
from dubline.engines.vad import speech_spans
from dubline.media.extract import extract_bed, extract_speech
from dubline.media.finished import decode_stereo
from dubline.media.probe import probe
from dubline.media.resample import resample_file
from dubline.quality.leak import measure_leak
from dubline.settings import Settings
from dubline.stages.separate import has_background, pause_level_db, separate

pytestmark = [pytest.mark.engines, pytest.mark.slow]
LENGTH_S = 9
Sound = NDArray[np.float32]


def mono(voice: Sound, film: Sound) -> Sound:
    return (voice + film)[:, None]


def soft(voice: Sound, film: Sound) -> Sound:
    return mono(voice, film) * np.float32(0.03)


def antiphase(voice: Sound, film: Sound) -> Sound:
    return np.stack([voice + film, -voice - film], axis=1)


def wide(voice: Sound, film: Sound) -> Sound:
    return np.stack([voice + film, voice - film], axis=1)


def surround(voice: Sound, film: Sound) -> Sound:
    """Voice in the centre, film in front and behind, nothing in the bass."""
    other = np.roll(film, len(film) // 3)
    return np.stack([film, other, 2 * voice, 0 * film, other, film], axis=1) / np.float32(2)


@pytest.fixture(scope="module")
def engine() -> Iterator[SeparateEngine]:
    settings = Settings()
    gap = deepfilternet.PLUGIN.missing(settings)
    if gap is not None:
        pytest.skip(gap.reason)
    loaded = deepfilternet.PLUGIN.load(settings)
    yield loaded
    loaded.close()


@pytest.mark.parametrize(
    ("form", "rate_hz"),
    [
        (mono, 16_000),
        (mono, 8_000),
        (soft, 48_000),
        (wide, 96_000),
        (wide, 44_100),
        (antiphase, 48_000),
        (surround, 48_000),
    ],
    ids=["mono", "8k", "soft", "96k", "44.1k", "antiphase", "5.1"],
)
def test_the_voice_goes_in_every_form(
    form: Callable[[Sound, Sound], Sound], rate_hz: int, engine: SeparateEngine, media_dir: Path, tmp_path: Path
) -> None:
    both, _ = soundfile.read(media_dir / "speech/lj_over_film_music_fx.flac", dtype="float32")
    alone, given_hz = soundfile.read(media_dir / "speech/lj_right_only.flac", dtype="float32")
    voice = alone[: LENGTH_S * given_hz, 1]
    film = both[: LENGTH_S * given_hz] - voice
    beds: dict[str, Path] = {}
    for name, parts in {"both": (voice, film), "voice": (voice, 0 * film), "film": (0 * voice, film)}.items():
        soundfile.write(tmp_path / "given.wav", 0.7 * form(*parts), given_hz)
        source = tmp_path / f"{name}.source.wav"
        resample_file(tmp_path / "given.wav", source, rate_hz, work_dir=tmp_path)
        media = probe(source, Settings())
        beds[name], heard = tmp_path / f"{name}.bed.wav", tmp_path / f"{name}.stt.wav"
        extract_bed(source, media, media.audio[0].index, beds[name], work_dir=tmp_path)
        extract_speech(source, media, media.audio[0].index, heard, work_dir=tmp_path)
    speech = speech_spans(soundfile.read(tmp_path / "voice.stt.wav", dtype="float32")[0])
    assert has_background(pause_level_db(soundfile.read(tmp_path / "both.stt.wav", dtype="float32")[0], 16_000, speech))

    beds["out"] = tmp_path / "out.wav"
    separate(beds["both"], speech, engine, output=beds["out"], work=tmp_path)
    before, bed_hz = soundfile.read(beds["both"], dtype="float32")
    after, out_hz = soundfile.read(beds["out"], dtype="float32")
    assert (after.shape, out_hz) == (before.shape, bed_hz)
    raws = {n: decode_stereo(p, tmp_path / f"{n}.s16", work_dir=tmp_path, media_s=LENGTH_S) for n, p in beds.items()}
    left = measure_leak(raws["out"], raws["voice"], None, speech, []).whole_db
    kept = measure_leak(raws["out"], raws["film"], None, speech, []).whole_db
    print(f"{form.__name__} {rate_hz}: voice {left} dB, film {kept} dB")
    assert left is not None
    assert left < -12
    assert kept is not None
    assert kept > -4
    if form is mono:
        np.testing.assert_allclose(after[:, 0], after[:, 1], atol=1e-4)
    if form is antiphase:
        np.testing.assert_allclose(after[:, 0], -after[:, 1], atol=1e-4)
