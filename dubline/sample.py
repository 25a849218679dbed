"""The sample clip: the project's own words, spoken by an English voice, over a picture of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from dubline.engines.pool import acquire
from dubline.engines.registry import choose_tts
from dubline.media.picture import make_clip
from dubline.settings import Settings

TEXT = (
    "Good morning, and welcome to a very short talk about voices.",
    "Every language has its own music, and a good dub lets you hear it without losing the speaker.",
    "In 1927, the first films with sound were shown in forty theatres. Nobody had planned for subtitles.",
    "So people began to speak over the picture, line by line, trying to stay in time with the lips.",
    "That is what this program does. It listens, it translates, and then it speaks again.",
    "Thank you for listening.",
)
SHORT_TEXT = ("This is a short clip that the service made by itself.", "It speaks two sentences and is done.")
_PAUSE_S = 0.7


def make_sample(target: Path, settings: Settings, *, text: Sequence[str] = TEXT, engine: str = "auto") -> None:
    """Write the clip: the lines of `text` (about half a minute by default), spoken by an English voice, as MP4.

    Raises:
        EngineUnavailable: no English voice is installed, or the engine that was named is not here.
    """
    choice = choose_tts(settings, engine=engine, language="en-US", voice=None)
    parts: list[np.ndarray] = []
    with acquire(choice, settings) as voice:
        rate_hz = int(voice.sample_rate_hz)
        for line in text:
            parts.append(np.zeros(int(_PAUSE_S * rate_hz), np.float32))
            parts.append(voice.synthesize(line, voice=choice.voice, language="en-US").samples)
    parts.append(np.zeros(int(2 * _PAUSE_S * rate_hz), np.float32))
    sound = np.concatenate(parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dubline-sample-") as folder:
        work = Path(folder)
        soundfile.write(work / "speech.wav", sound, rate_hz)
        make_clip(work / "speech.wav", len(sound) / rate_hz, target, work_dir=work)
