"""faster-whisper's model, which encodes no window twice, no more of a short one than is asked for, and guesses less."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from faster_whisper import WhisperModel


class Model(WhisperModel):
    """Remembers the window it encoded last, thread by thread.

    Where no language is named, the library encodes the first half minute to find it, and again to recognise it: a fifth
    of the work on talks cut into a few chunks.

    A window of 30 s costs the same however little it holds, unless its padding is left out (`fitted`): 0.3 s for a line
    of 7 s instead of 1.4 on one core.
    """

    _NEARLY = 1  # frames: of sound shorter than a window, recognition leaves out the last one
    _KEPT_FRAMES = 400  # of the padding; with 1 s the decoder loops now and then
    _SILENCE = 0.6  # probability of no speech from which Whisper's authors take a doubtful window for silence

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._last = threading.local()

    def encode(self, features: np.ndarray) -> Any:
        known: tuple[np.ndarray, Any] | None = getattr(self._last, "window", None)
        if known is not None and known[0].shape == features.shape:
            differs = np.any(known[0] != features, axis=tuple(range(features.ndim - 1)))
            if np.count_nonzero(differs) <= self._NEARLY:
                return known[1]
        encoded = super().encode(
            self._without_padding(features) if getattr(self._last, "is_fitted", False) else features
        )
        self._last.window = (features.copy(), encoded)
        return encoded

    @contextmanager
    def fitted(self) -> Iterator[None]:
        """In the block, this thread's windows end 4 s behind their sound."""
        self._last.is_fitted = True
        try:
            yield
        finally:
            self._last.is_fitted = False

    def _without_padding(self, features: np.ndarray) -> np.ndarray:
        sound = np.flatnonzero(np.any(features != 0, axis=tuple(range(features.ndim - 1))))
        end = (int(sound[-1]) + 1 if len(sound) else 0) + self._KEPT_FRAMES
        return np.ascontiguousarray(features[..., : -(-end // 100) * 100])

    def generate_with_fallback(self, encoder_output: Any, prompt: list[int], tokenizer: Any, options: Any) -> Any:
        """Take what the decoder first makes of a window in which it hears no voice.

        The last half second of a clip is often a window of its own. Words drawn at random for it, five times at five
        temperatures, are at best improbable ones, at worst "W-W-W-W" with some confidence, and others each time.
        Whoever reads the rows sees the probabilities; the library would leave such a row out without a word.
        """
        return super().generate_with_fallback(
            encoder_output, prompt, tokenizer, replace(options, no_speech_threshold=self._SILENCE)
        )

    def forget(self) -> None:
        """Let go of what this thread encoded."""
        self._last.window = None
