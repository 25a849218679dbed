"""Judgements on what ffmpeg measured or said: the gates of BS.1770, the choice of a downmix, missing fonts."""

from __future__ import annotations

import numpy as np
import pytest

from dubline.errors import EngineUnavailable
from dubline.media.extract import bed_rate, choose_downmix
from dubline.media.loudness import gated_lufs
from dubline.media.mux import _check_drawn


def test_a_steady_level_is_its_own_loudness() -> None:
    assert gated_lufs(np.full(50, -23.0)) == pytest.approx(-23.0)


def test_the_relative_gate_leaves_out_what_is_10_lu_quieter() -> None:
    loud, quiet = np.full(50, -20.0), np.full(500, -40.0)
    assert gated_lufs(np.concatenate([loud, quiet])) == pytest.approx(-20.0)


def test_silence_is_gated_and_silence_alone_is_nothing() -> None:
    assert gated_lufs(np.concatenate([np.full(50, -20.0), np.full(50, -np.inf)])) == pytest.approx(-20.0)
    assert gated_lufs(np.full(50, -np.inf)) is None
    assert gated_lufs(np.zeros(0)) is None


def test_power_is_averaged_not_decibels() -> None:
    assert gated_lufs(np.array([-20.0, -26.0])) == pytest.approx(10 * np.log10((10**-2.0 + 10**-2.6) / 2))


def test_a_mask_chooses_blocks() -> None:
    levels = np.concatenate([np.full(10, -20.0), np.full(10, -25.0)])
    assert gated_lufs(levels, np.arange(25) >= 10) == pytest.approx(-25.0)


@pytest.mark.parametrize(
    ("channels_db", "plain_db", "layout", "expected"),
    [
        ([-20.0], -20.0, "mono", "mix"),
        ([-20.0, -20.0], -20.0, "stereo", "mix"),
        ([-20.0, -20.0], -90.0, "stereo", "difference"),
        ([-20.0, -30.0], -60.0, "stereo", "left"),
        ([-np.inf, -20.0], -26.0, "stereo", "right"),
        ([-20.0, -np.inf], -26.0, "stereo", "left"),
        ([-90.0, -90.0], -120.0, "stereo", "mix"),
        ([-90.0, -90.0, -20.0, -90.0, -90.0, -90.0], -31.0, "5.1(side)", "centre"),
        ([-30.0, -30.0, -25.0, -10.0, -40.0, -40.0], -30.0, "5.1", "mix"),
        ([-90.0, -90.0, -90.0, -90.0, -20.0, -90.0], -40.0, "5.1", "loudest"),
    ],
)
def test_a_downmix_keeps_the_voice(channels_db: list[float], plain_db: float, layout: str, expected: str) -> None:
    assert choose_downmix(channels_db, plain_db, layout)[0] == expected


@pytest.mark.parametrize(("source", "bed"), [(8000, 48000), (44100, 44100), (48000, 48000), (96000, 48000), (0, 48000)])
def test_the_bed_keeps_full_rate(source: int, bed: int) -> None:
    assert bed_rate(source) == bed


def test_subtitles_that_no_font_can_draw_are_an_error() -> None:
    line = "fontselect: failed to find any fallback with glyph 0x{:X} for font: (Arial, 400, 0)\n"
    _check_drawn(line.format(0x1F600) * 9)
    for log in (line.format(0), "".join(line.format(code) for code in range(0x65E5, 0x65EA))):
        with pytest.raises(EngineUnavailable) as caught:
            _check_drawn(log)
        assert caught.value.code == "fonts_missing"
