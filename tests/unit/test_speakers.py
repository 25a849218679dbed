from __future__ import annotations

import io
import itertools
import pickle
import random
import struct
from collections import OrderedDict

import numpy as np
import pytest

from dubline.engines import resemblyzer_weights
from dubline.engines.base import Voice
from dubline.errors import EngineUnavailable
from dubline.models import Line, Span, Speaker, SpeakerTurn, Utterance, Word
from dubline.quality.der import diarization_error
from dubline.quality.voices import VoicedLine, judge_voices
from dubline.speakers.casting import cast
from dubline.speakers.clusters import cluster
from dubline.speakers.pitch import median_pitch_hz
from dubline.stages.diarize import plan_windows, to_turns
from dubline.stages.synthesize import batches_by_voice
from dubline.timing.segmentation import segment

RATE_HZ = 16_000
PORTUGUESE = (
    Voice("pf_dora", "pt-BR", "female"),
    Voice("pm_alex", "pt-BR", "male"),
    Voice("pm_santa", "pt-BR", "male"),
)


def turn(start_s: float, end_s: float, speaker: str) -> SpeakerTurn:
    return SpeakerTurn(start_s=start_s, end_s=end_s, speaker=speaker)


def speaker(number: int, pitch_hz: float | None) -> Speaker:
    return Speaker(label=f"S{number}", pitch_hz=pitch_hz, speech_s=10.0)


def test_error_rate_counts_each_kind_and_takes_the_best_naming() -> None:
    reference = [turn(0, 10, "a"), turn(10, 20, "b")]
    assert diarization_error(reference, [turn(0, 10, "y"), turn(10, 20, "x")]).rate == 0.0
    error = diarization_error(reference, [turn(1, 12, "x"), turn(12, 23, "y")])
    assert (error.missed_s, error.false_alarm_s, error.confused_s) == pytest.approx((1.0, 3.0, 2.0))
    assert error.rate == pytest.approx(0.3)
    # Two at once: both are counted, and one heard is one missed.
    both = diarization_error([turn(0, 10, "a"), turn(5, 10, "b")], [turn(0, 10, "x")])
    assert (both.missed_s, both.speech_s) == pytest.approx((5.0, 15.0))
    assert diarization_error(reference, [turn(0, 10.2, "x"), turn(10.2, 20, "y")], collar_s=0.25).rate == 0.0


def test_error_rate_agrees_with_trying_every_naming() -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        edges = np.sort(rng.uniform(0, 30, 12)).round(2)
        true = [turn(a, b, str(rng.integers(4))) for a, b in itertools.pairwise(edges)]
        found = [turn(a, b, str(rng.integers(5))) for a, b in itertools.pairwise(edges)]
        names = sorted({t.speaker for t in found})
        best = max(
            sum(t.duration_s for t, f in zip(true, found, strict=True) if naming[names.index(f.speaker)] == t.speaker)
            for naming in itertools.permutations([*"0123", *"-----"], len(names))
        )
        error = diarization_error(true, found)
        assert error.speech_s - error.confused_s == pytest.approx(best, abs=0.2)


def prints(*counts: int, spread: float = 0.55, seed: int = 1) -> np.ndarray:
    """Prints around as many random directions; two of one direction are apart by about `spread` squared."""
    rng = np.random.default_rng(seed)
    rows = []
    for count in counts:
        centre = rng.normal(size=256)
        noise = rng.normal(size=(count, 256))
        rows.append(centre / np.linalg.norm(centre) + spread * noise / np.linalg.norm(noise, axis=1, keepdims=True))
    out = np.concatenate(rows)
    return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)


def test_speakers_are_counted_and_a_stray_print_is_not_one() -> None:
    labels = cluster(prints(40, 25, 12, 1))
    assert [len(set(labels[a:b])) for a, b in ((0, 40), (40, 65), (65, 77))] == [1, 1, 1]
    assert len(set(labels.tolist())) == 3
    assert len(set(cluster(prints(60)).tolist())) == 1
    assert len(cluster(np.zeros((0, 256), np.float32))) == 0


def test_a_number_of_speakers_is_kept_to() -> None:
    rows = prints(40, 25, 12)
    assert [len(set(cluster(rows, speakers=n).tolist())) for n in (1, 2, 3)] == [1, 2, 3]


def test_turns_bridge_pauses_and_name_speakers_as_they_come() -> None:
    speech = [Span(start_s=0, end_s=4), Span(start_s=5, end_s=6), Span(start_s=6.5, end_s=10)]
    owners, windows = plan_windows(speech)
    labels = [7 if w.start_s < 6 else 2 for w in windows]
    assert [(t.start_s, t.end_s, t.speaker) for t in to_turns(speech, owners, windows, labels)] == [
        (0.0, 6.0, "S1"),
        (6.5, 10.0, "S2"),
    ]
    assert max(w.duration_s for w in windows) == pytest.approx(1.6)


@pytest.mark.parametrize("pitch_hz", [85.0, 120.0, 210.0, 320.0])
def test_pitch_of_a_buzz_is_heard_without_octave_errors(pitch_hz: float) -> None:
    at = np.arange(3 * RATE_HZ) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * k * pitch_hz * at) / k for k in range(1, 12))
    noise = np.random.default_rng(0).normal(size=len(at)) * 0.05
    assert median_pitch_hz((0.1 * (buzz + noise)).astype(np.float32)) == pytest.approx(pitch_hz, rel=0.03)


def test_noise_has_no_pitch() -> None:
    assert median_pitch_hz(np.random.default_rng(0).normal(size=RATE_HZ).astype(np.float32)) is None
    assert median_pitch_hz(np.zeros(100, np.float32)) is None


def test_voices_follow_pitch_and_are_distinct_while_there_are_enough() -> None:
    three = [speaker(1, 110), speaker(2, 210), speaker(3, 130)]
    assert cast(three, PORTUGUESE, first="pf_dora") == {"S1": "pm_alex", "S2": "pf_dora", "S3": "pm_santa"}
    women = cast([speaker(1, 210), speaker(2, 220)], PORTUGUESE, first="pf_dora")
    assert set(women.values()) == {"pf_dora"}
    named = cast(three, PORTUGUESE, first="pm_santa", is_named=True)
    assert named == {"S1": "pm_santa", "S2": "pf_dora", "S3": "pm_alex"}
    assert cast([], PORTUGUESE, first="pf_dora") == {"S1": "pf_dora"}
    assert cast([speaker(1, 100)], PORTUGUESE, first="pf_dora") == {"S1": "pm_alex"}
    assert cast([speaker(1, None)], PORTUGUESE, first="pf_dora") == {"S1": "pf_dora"}
    assert cast([speaker(1, 100)], PORTUGUESE, first="pf_dora", is_named=True) == {"S1": "pf_dora"}
    silent = (Voice("a", "en"), Voice("b", "en"))
    assert cast([speaker(1, 100), speaker(2, 300)], silent, first="a") == {"S1": "a", "S2": "b"}


def test_batches_hold_one_voice_and_every_line_once() -> None:
    lines = [
        Line(
            utterance=Utterance(
                id=f"u{i}", start_s=i, end_s=i + 1, slot_end_s=i + 1, text="a", speaker=f"S{i % 3 + 1}"
            ),
            text="x" * 200,
        )
        for i in range(30)
    ]
    casting = {"S1": "a", "S2": "b", "S3": "a"}
    batches = batches_by_voice(lines, casting, workers=2)
    assert sorted(line.utterance.id for _, batch in batches for line in batch) == sorted(x.utterance.id for x in lines)
    assert all(casting[line.utterance.speaker] == voice for voice, batch in batches for line in batch)


def test_batches_get_smaller_so_that_workers_end_together() -> None:
    rng = random.Random(3)
    lines = [
        Line(
            utterance=Utterance(id=f"u{i}", start_s=i, end_s=i + 1, slot_end_s=i + 1, text="a", speaker="S1"),
            text="x" * rng.randint(40, 250),
        )
        for i in range(60)
    ]
    batches = [batch for _, batch in batches_by_voice(lines, {"S1": "a"}, workers=2)]
    free_at = [0, 0]  # two workers, each takes the next batch when it is free
    for batch in batches:
        worker = free_at.index(min(free_at))
        free_at[worker] += sum(len(line.text) for line in batch)
    assert max(free_at) - min(free_at) <= 60
    assert len(batches) <= len(lines) / 2


def test_a_change_of_speaker_moves_to_the_end_of_the_sentence() -> None:
    texts = ["", "He", "is", "the", "reciter.", "He", "should", "make", "inquiries."][1:]
    words = [Word(start_s=i * 0.3, end_s=i * 0.3 + 0.28, text=f" {t}") for i, t in enumerate(texts)]
    for change_s in (0.9, 1.2, 1.5):  # windows of sound place a change this badly
        rows = segment(
            words,
            media_duration_s=9,
            language="en",
            speakers=[turn(0, change_s, "S1"), turn(change_s, 9, "S2")],
        )
        assert [(u.speaker, u.text) for u in rows] == [
            ("S1", "He is the reciter."),
            ("S2", "He should make inquiries."),
        ]


class Pitchfork:
    """Prints by the power below and above 500 Hz."""

    def embed(self, audio, spans):
        rows = []
        for span in spans:
            power = np.abs(np.fft.rfft(audio[round(span.start_s * RATE_HZ) : round(span.end_s * RATE_HZ)], 8192))
            rows.append([power[:256].sum(), power[256:].sum()])
        out = np.array(rows, np.float32)
        return out / np.linalg.norm(out, axis=1, keepdims=True)

    def close(self) -> None: ...


def test_the_judge_finds_the_one_line_in_another_voice() -> None:
    tones_hz = {"low": 200.0, "high": 900.0}
    voices = ["low", "high", "low", "high", "low", "high", "low", "high"]
    heard = [*voices[:4], "high", *voices[5:]]  # line 4 came out in the wrong one
    at = np.arange(2 * RATE_HZ) / RATE_HZ
    sound = np.concatenate([np.sin(2 * np.pi * tones_hz[v] * at) for v in heard]).astype(np.float32)
    lines = [VoicedLine(f"u{i}", Span(start_s=2 * i, end_s=2 * i + 1.9), v) for i, v in enumerate(voices)]

    def read(span: Span) -> np.ndarray:
        return sound[round(span.start_s * RATE_HZ) : round(span.end_s * RATE_HZ)]

    found = judge_voices(read, lines, Pitchfork(), "")
    assert (found.judged, found.swapped) == (8, ("u4",))
    assert judge_voices(read, lines, None, "why").reason == "why"
    assert judge_voices(read, lines[::2], Pitchfork(), "").reason == "There is one voice only."


class Call:
    def __reduce__(self):
        return print, ("run",)


def test_weights_cannot_run_anything(capsys: pytest.CaptureFixture[str]) -> None:
    file = io.BytesIO(b"".join(pickle.dumps(v) for v in (1, 1, {}, {"model_state": Call()})))
    with pytest.raises(EngineUnavailable) as caught:
        resemblyzer_weights.read_checkpoint(file)
    assert caught.value.code == "weights_corrupt"
    assert "run" not in capsys.readouterr().out
    with pytest.raises(EngineUnavailable):
        resemblyzer_weights.read_checkpoint(io.BytesIO(b"nothing of the kind"))


def test_a_tensor_is_read_at_its_offset_in_its_storage() -> None:
    class Writer(pickle.Pickler):
        def persistent_id(self, obj):
            return ("storage", "FloatStorage", "7", "cpu", 8, None) if obj == "the storage" else None

    # What torch writes for a tensor, without torch: the name of its builder, and the arguments.
    tree = io.BytesIO()
    Writer(tree, protocol=2).dump(["the storage"])
    reference = tree.getvalue()[tree.getvalue().index(b"(") : tree.getvalue().index(b"Q") + 1]
    shape = b"K\x02K\x03\x86"
    arguments = b"(" + reference + b"K\x02" + shape + b"K\x03K\x01\x86" + b"t"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"
    body = b"\x80\x02}X\x0b\x00\x00\x00model_state}X\x0d\x00\x00\x00linear.weight" + tensor + b"ss."
    values = struct.pack("<q8f", 8, *range(8))
    head = b"".join(pickle.dumps(v) for v in (1, 1, OrderedDict()))
    out = resemblyzer_weights.read_checkpoint(io.BytesIO(head + body + pickle.dumps(["7"]) + values))
    assert out["linear.weight"].tolist() == [[2, 3, 4], [5, 6, 7]]
