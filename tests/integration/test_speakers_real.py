"""Voices told apart with the real weights, on real readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.speakers import measure, read_rttm
from dubline.engines import resemblyzer, resemblyzer_weights
from dubline.engines.mel import melspectrogram
from dubline.models import Span
from dubline.quality.der import diarization_error
from dubline.quality.voices import VoicedLine, judge_voices
from dubline.settings import Settings

pytestmark = [pytest.mark.engines, pytest.mark.slow]
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def encoder():
    settings = Settings()
    gap = resemblyzer.PLUGIN.missing(settings)
    if gap is not None:
        pytest.skip(gap.reason)
    return resemblyzer.PLUGIN.load(settings)


@pytest.fixture(scope="module")
def clip(media_dir: Path) -> Path:
    return media_dir / "speech" / "turns_real_4spk_public.opus"


def test_four_readers_are_told_apart(encoder, clip: Path) -> None:
    found, _ = measure(clip)
    error = diarization_error(read_rttm(clip.with_suffix(".rttm")), found.turns)
    print(f"DER without a collar {error.rate:.1%}")
    assert len(found.speakers) == 4
    assert error.rate <= 0.20
    assert error.confused_s / error.speech_s <= 0.02


def test_the_judge_finds_a_line_read_by_another(encoder, clip: Path) -> None:
    audio, _ = soundfile.read(clip, dtype="float32")
    turns = [t for t in read_rttm(clip.with_suffix(".rttm")) if t.duration_s >= 3]
    lines = [VoicedLine(f"u{i}", Span(start_s=t.start_s, end_s=t.start_s + 3), t.speaker) for i, t in enumerate(turns)]

    def read(span: Span) -> np.ndarray:
        return audio[round(span.start_s * RATE_HZ) : round(span.end_s * RATE_HZ)]

    assert judge_voices(read, lines, encoder, "").swapped == ()
    other = next(t.speaker for t in turns if t.speaker != lines[5].voice)
    planted = [*lines[:5], VoicedLine("u5", lines[5].span, other), *lines[6:]]
    assert judge_voices(read, planted, encoder, "").swapped == ("u5",)


def test_the_graph_computes_what_the_layers_say(encoder, clip: Path) -> None:
    """Against the recurrence written out, in the order of gates of the checkpoint."""
    import io
    import zipfile

    wheel = resemblyzer_weights.source(Settings())
    if wheel is None:
        pytest.skip("only the graph is here")
    with zipfile.ZipFile(wheel) as archive:
        arrays = resemblyzer_weights.read_checkpoint(io.BytesIO(archive.read("resemblyzer/pretrained.pt")))
    audio, _ = soundfile.read(clip, dtype="float32", start=RATE_HZ, frames=int(1.6 * RATE_HZ))
    rows = melspectrogram(audio)[:160] * (1e-3 / np.mean(audio**2))

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    for n in range(3):
        hidden = cell = np.zeros(256)
        out = []
        for row in rows:
            gates = arrays[f"lstm.weight_ih_l{n}"] @ row + arrays[f"lstm.bias_ih_l{n}"]
            gates = gates + arrays[f"lstm.weight_hh_l{n}"] @ hidden + arrays[f"lstm.bias_hh_l{n}"]
            entry, forget, new, gone = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(entry) * np.tanh(new)
            hidden = sigmoid(gone) * np.tanh(cell)
            out.append(hidden)
        rows = np.array(out)
    wanted = np.maximum(arrays["linear.weight"] @ rows[-1] + arrays["linear.bias"], 0)
    (found,) = encoder.embed(audio, [Span(start_s=0, end_s=1.6)])
    assert found @ (wanted / np.linalg.norm(wanted)) > 0.999
