"""The picture of the sample clip: the wave is there to be seen while somebody speaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from dubline.media.picture import make_clip
from dubline.media.probe import probe
from dubline.media.runner import run_ffmpeg
from dubline.settings import Settings

_RATE_HZ = 16_000


def _white(clip: Path, at_s: float) -> float:
    """Share of the frame that is nearly white."""
    words = ["-ss", f"{at_s}", "-i", f"file:{clip.name}", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = run_ffmpeg(words, deadline_s=30.0, cwd=clip.parent, capture_stdout=True)
    frame = np.frombuffer(done.stdout, np.uint8).reshape(360, 640)
    return float((frame > 200).mean())


def test_the_wave_is_seen_where_there_is_sound(tmp_path: Path) -> None:
    at_s = np.arange(4 * _RATE_HZ) / _RATE_HZ
    sound = np.where(at_s < 2, 0.2 * np.sin(2 * np.pi * 150 * at_s), 0.0)
    soundfile.write(tmp_path / "a.wav", sound, _RATE_HZ)
    clip = tmp_path / "clip.mp4"
    make_clip(tmp_path / "a.wav", 4.0, clip, work_dir=tmp_path)
    assert probe(clip, Settings()).duration_s == 4.0
    assert clip.stat().st_size < 1_000_000
    assert _white(clip, 1.0) > 0.05
    assert _white(clip, 3.0) < 0.01
