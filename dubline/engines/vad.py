"""Where somebody speaks: Silero's voice activity model, as faster-whisper carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dubline import ledger
from dubline.models import Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RATE_HZ = 16_000
_BLOCK_S = 300.0  # memory stays flat for long media
_MIN_SILENCE_MS = 350
_MIN_SPEECH_MS = 120


def speech_spans(audio: NDArray[np.float32], *, threshold: float = 0.5) -> list[Span]:
    """Spans of speech in 16 kHz mono float32 audio, in seconds, in order, not padded.

    Very quiet recordings are brought to a usual level first: the model was trained at one.
    """
    import numpy as np
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=threshold,
        min_silence_duration_ms=_MIN_SILENCE_MS,
        min_speech_duration_ms=_MIN_SPEECH_MS,
        speech_pad_ms=0,
    )
    loud = float(np.percentile(np.abs(audio[:: max(1, len(audio) // 200_000)]), 99.5)) if len(audio) else 0.0
    if loud < 1e-4:
        return []
    gain = min(100.0, 0.3 / loud) if loud < 0.05 else 1.0
    spans: list[Span] = []
    size = int(_BLOCK_S * _RATE_HZ)
    with ledger.busy("stt:silero-vad"):
        for first in range(0, len(audio), size):
            block = audio[first : first + size]
            for row in get_speech_timestamps(block * gain if gain != 1.0 else block, options):
                start_s, end_s = (first + row["start"]) / _RATE_HZ, (first + row["end"]) / _RATE_HZ
                if spans and start_s - spans[-1].end_s < 0.05:
                    spans[-1] = Span(start_s=spans[-1].start_s, end_s=end_s)
                else:
                    spans.append(Span(start_s=start_s, end_s=end_s))
    return spans
