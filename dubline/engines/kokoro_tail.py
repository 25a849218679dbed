"""The hiss into which Kokoro lets the last vowel of a short text fade, taken off.

The Portuguese voices (others seldom) say the end of a vowel behind up to some 25 phonemes without voice: 75 to 125 ms
of noise above 3.5 kHz, 5 to 20 dB below the voice, in every form of the model. It is heard as an s: `Olá` as "Olás".
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Of the International Phonetic Alphabet, as espeak writes it; what has no voice or a hiss of its own is what is left.
_SONORANT = frozenset("aeiouyæɐɑɒɔəɚɛɜɪɨʊʌʉøœɘɵɤɯwjɥmnɲŋlɫʎ")
_VOICED = _SONORANT | frozenset("bdɡgɾrɹ")
_LETTERS = _VOICED | frozenset("pktcqszʃʒfvθðʧʤʦʣʨɕʑʂʐxχɣhɦçʁβɸʔ")

_LOOKED_AT_S = 0.6
_FRAME_S, _HOP_S, _FADE_S = 0.02, 0.005, 0.04
_LOW_HZ, _HIGH_HZ = 3000.0, 3500.0
_VOICE_DB, _HEARD_DB = -25.0, -40.0  # against the loudest frame, below 3 kHz
_RISING_DB = 8.0  # of the hiss over the voice, while it comes up


def ends_in_voice(phonemes: str) -> bool:
    """Whether the last syllable has only sounds of voice, so that a hiss behind it is none of the text's."""
    letters = [c for c in unicodedata.normalize("NFD", phonemes) if c in _LETTERS]
    end = len(letters)
    while end and letters[end - 1] in _SONORANT:
        end -= 1
    ending = len(letters) - end
    return ending > 2 or (ending > 0 and (end == 0 or letters[end - 1] in _VOICED))


def without_hiss(samples: NDArray[np.float32], phonemes: str, rate_hz: int) -> NDArray[np.float32]:
    """Mono sound that ends where its voice does, if the text does too; as it was if no hiss follows the voice."""
    import numpy as np

    frame, hop = int(_FRAME_S * rate_hz), int(_HOP_S * rate_hz)
    start = max(0, len(samples) - int(_LOOKED_AT_S * rate_hz))
    if len(samples) - start < frame or not ends_in_voice(phonemes):
        return samples
    frames = np.lib.stride_tricks.sliding_window_view(samples[start:], frame)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(frame), axis=1)) ** 2
    at_hz = np.fft.rfftfreq(frame, 1 / rate_hz)
    low = 10 * np.log10(power[:, at_hz < _LOW_HZ].sum(axis=1) + 1e-9)
    high = 10 * np.log10(power[:, at_hz >= _HIGH_HZ].sum(axis=1) + 1e-9)
    voiced = np.flatnonzero((low > low.max() + _VOICE_DB) & (low > high))
    if not len(voiced):
        return samples
    hiss = voiced[-1] + 1 + np.flatnonzero(((high > low) & (high > low.max() + _HEARD_DB))[voiced[-1] + 1 :])
    if not len(hiss):
        return samples
    first = int(hiss[0])
    while first > 0 and high[first - 1] > low[first - 1] - _RISING_DB:
        first -= 1
    kept = samples[: start + first * hop + frame // 2].copy()
    fade = min(len(kept), int(_FADE_S * rate_hz))
    kept[len(kept) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return kept
