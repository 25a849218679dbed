"""Planted faults in a finished file made of real speech: each must be found, and nothing in the clean one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from dubline.engines.base import SttEngine
from dubline.media import finished as finished_sound
from dubline.media.finished import FinishedSound, decode_stereo
from dubline.media.kept_sound import KeptSound
from dubline.media.loudness import gated_lufs, momentary
from dubline.media.mux import mux
from dubline.media.probe import probe
from dubline.media.true_peak import Peaks
from dubline.models import (
    ArtifactRef,
    DubOptions,
    Line,
    Placement,
    Segment,
    Span,
    Spoken,
    Timeline,
    Transcript,
    Utterance,
)
from dubline.quality.container import compare_picture
from dubline.quality.models import Report
from dubline.quality.sound import line_mask
from dubline.quality.translation import measure_translation
from dubline.settings import Settings
from dubline.stages.mix import MixFacts
from dubline.stages.report import ReportInputs, build_report
from dubline.stages.subtitle import build_cues

RATE = 48_000
LINES = 6


@dataclass
class Dub:
    """Real speech in the place of a finished dub, with its sentences as the lines."""

    audio: NDArray[np.float32]
    rows: list[tuple[str, float, float, str]]
    folder: Path
    kept: KeptSound | None = None

    def place(self, number: int) -> slice:
        _, start_s, end_s, _ = self.rows[number]
        return slice(round(start_s * RATE), round(end_s * RATE))

    def report(
        self,
        finished: NDArray[np.float32],
        *,
        texts: dict[int, str] | None = None,
        timeline: Timeline | None = None,
        stt: SttEngine | None = None,
        level_lufs: float | None = None,
        original: NDArray[np.float32] | None = None,
        before: KeptSound | None = None,
        last_resort: str = "",
    ) -> Report:
        source, output = self.folder / "source.flac", self.folder / "output.flac"
        soundfile.write(source, self.audio, RATE)
        soundfile.write(output, finished, RATE)
        if original is not None:
            soundfile.write(self.folder / "bed.flac", original, RATE)
            decode_stereo(
                self.folder / "bed.flac", self.folder / "bed.s16", work_dir=self.folder, media_s=len(original) / RATE
            )
        spoken = {row[0]: self.folder / f"{row[0]}.flac" for row in self.rows}
        for number, path in enumerate(spoken.values()):
            soundfile.write(path, self.audio[self.place(number), 0], RATE)
        settings = Settings()
        media = probe(source, settings)
        lines = tuple(
            Line(
                utterance=Utterance(id=name, start_s=a, end_s=b, slot_end_s=b + 0.2, text=text),
                text=(texts or {}).get(i, text),
            )
            for i, (name, a, b, text) in enumerate(self.rows)
        )
        spans = tuple(Span(start_s=a, end_s=b) for _, a, b, _ in self.rows)
        levels = momentary(source)
        transcript = Transcript(
            language="en",
            segments=tuple(Segment(start_s=a, end_s=b, text=t) for _, a, b, t in self.rows),
            speech=spans,
            duration_s=media.duration_s,
        )
        timeline = timeline or self.timeline()
        inputs = ReportInputs(
            source=source,
            source_ref=_ref(source),
            media=media,
            output=output,
            output_ref=_ref(output),
            video_copied=False,
            transcript=transcript,
            lines=lines,
            spoken=tuple(
                Spoken(utterance_id=name, audio=_ref(source), samples=1, sample_rate_hz=RATE, engine="e", voice="v")
                for name, *_ in self.rows
            ),
            timeline=timeline,
            cues=build_cues(lines, timeline, transcript, target_language="en", fps=25.0),
            translation=measure_translation(
                lines, source_language="en", target_language="en", glossary={}, mt_reverse=None
            ),
            mix=MixFacts(
                source_voice_lufs=level_lufs or gated_lufs(levels, line_mask(spans, len(levels))),
                dub_voice_lufs=None,
                voice_gain_db=0.0,
                voice_lift_db=0.0,
                duck_db=-20.0,
                limited_share=0.0,
            ),
            spoken_audio=spoken,
            bed=self.folder / "bed.s16" if original is not None else None,
            choices=(),
            stats=(),
            options=DubOptions(target_language="en", listen="all" if stt else "off"),
            source_language="en",
            sound_before=before,
            last_resort=last_resort,
        )

        def keep(sound: FinishedSound, peaks: Sequence[Peaks]) -> None:
            stereo = shutil.copy(sound.stereo, self.folder / "kept.s16")
            levels = tuple(sound.momentary_lufs.tolist())
            self.kept = KeptSound(stereo, sound.channels, sound.marks, levels, tuple(peaks))

        return build_report(inputs, self.folder / "work", settings, stt, on_sound=keep)

    def timeline(self, **moved_s: float) -> Timeline:
        return Timeline(
            sample_rate_hz=RATE,
            total_samples=len(self.audio),
            placements=tuple(
                Placement(
                    utterance_id=name,
                    start_sample=round((a + moved_s.get(name, 0.0)) * RATE),
                    length_samples=round((b - a) * RATE),
                    stretch=1.0,
                    slot_s=b - a + 0.2,
                    natural_s=b - a,
                    onset_error_s=0.0,
                    drift_s=0.0,
                )
                for name, a, b, _ in self.rows
            ),
        )


def _ref(path: Path) -> ArtifactRef:
    data = path.read_bytes()
    return ArtifactRef(
        uri="artifact:x", sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), media_type="audio/flac"
    )


@pytest.fixture
def dub(media_dir: Path, tmp_path: Path) -> Dub:
    told = json.loads((media_dir / "speech/lj_printing_3m30.json").read_text())["segments"][:LINES]
    audio, rate = soundfile.read(media_dir / "speech/lj_printing_3m30.opus", dtype="float32", always_2d=True)
    assert rate == RATE
    end = round((told[-1]["end"] + 1.0) * RATE)
    part = audio[:end].mean(axis=1) * 0.7
    (tmp_path / "work").mkdir()
    rows = [(f"u{i}", s["start"], s["end"], s["text"]) for i, s in enumerate(told)]
    return Dub(np.stack([part, part], axis=1), rows, tmp_path)


def test_a_clean_dub_shows_no_fault(dub: Dub) -> None:
    report = dub.report(dub.audio)
    assert report.verdict == "pass", report.reasons
    assert report.worst_lines == ()
    assert report.voice.silent_lines == ()
    assert report.timing.exact_length
    assert report.timing.overlap_s == 0
    assert report.timing.onset_shift_s is not None
    assert abs(report.timing.onset_shift_s) < 0.08
    assert report.timing.speech_overlap_iou is not None
    assert report.timing.speech_overlap_iou > 0.8
    assert report.mix.loudness_error_lu is not None
    assert abs(report.mix.loudness_error_lu) < 0.3
    assert report.voice.clipped_share == 0
    assert report.mix.original_voice_db is None
    assert min(line.likeness or 0 for line in report.timing.lines) > 0.9
    assert report.container.video_stream_hash_equal is None
    assert report.provenance.output.sha256 == _ref(dub.folder / "output.flac").sha256
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_a_muted_line_is_found_even_over_a_ducked_bed(dub: Dub) -> None:
    finished = dub.audio.copy()
    finished[dub.place(3)] *= 10 ** (-20 / 20)
    report = dub.report(finished)
    assert report.voice.silent_lines == ("u3",)
    assert report.verdict == "fail"
    assert report.worst_lines[0].utterance_id == "u3"


def test_a_late_line_shows_in_its_onset(dub: Dub) -> None:
    finished = dub.audio.copy()
    late = dub.place(4)
    cut, shift = late.stop - late.start, round(0.5 * RATE)
    finished[late] = 0
    finished[late.start + shift : late.stop + shift] = dub.audio[late][:cut]
    report = dub.report(finished)
    assert report.timing.displaced_lines == ("u4",)
    assert report.verdict == "review"
    assert report.worst_lines[0].utterance_id == "u4"
    errors = [line.onset_error_s for line in report.timing.lines]
    assert errors[4] == pytest.approx(0.5, abs=0.1)
    assert max(abs(e) for e in errors[:4]) < 0.15


def test_a_clipped_line_is_found_below_full_scale(dub: Dub) -> None:
    finished = dub.audio.copy()
    loud = np.abs(finished[dub.place(1)]).max()
    finished[dub.place(1)] = np.clip(finished[dub.place(1)], -loud / 5, loud / 5) * 2.5
    report = dub.report(finished)
    assert report.voice.clipped_lines == ("u1",)
    assert report.voice.clipped_share == 0
    assert report.verdict == "review"
    assert report.worst_lines[0].utterance_id == "u1"


def test_a_fault_is_found_beside_what_was_measured_of_an_earlier_render(
    dub: Dub, monkeypatch: pytest.MonkeyPatch
) -> None:
    dub.report(dub.audio)
    before, dub.kept = dub.kept, None
    finished = dub.audio.copy()
    place = dub.place(1)
    finished[place] = np.clip(finished[place] * 8, -0.4, 0.4) / 0.4
    whole = dub.report(finished)
    windows: list[object] = []
    decode = finished_sound._decode
    monkeypatch.setattr(
        finished_sound, "_decode", lambda *rest, **named: (windows.append(named.get("t")), decode(*rest, **named))[1]
    )
    again = dub.report(finished, before=before)
    assert len(windows) == 1
    assert windows[0] is not None
    assert again.voice == whole.voice
    assert again.voice.clipped_lines == ("u1",)
    assert again.voice.clipped_share > 0
    assert again.mix == whole.mix
    assert again.timing == whole.timing
    assert again.verdict == whole.verdict != "pass"
    assert dub.report(finished, before=dub.kept) == again
    assert len(windows) == 1  # a file that is the same is not decoded


def test_the_sound_of_another_line_is_found_without_listening(dub: Dub) -> None:
    finished = dub.audio.copy()
    place, other = dub.place(2), dub.place(0)
    finished[place] = np.resize(dub.audio[other], (place.stop - place.start, 2))
    report = dub.report(finished)
    assert report.voice.unlike_lines == ("u2",)
    assert report.verdict == "review"
    assert report.worst_lines[0].utterance_id == "u2"


def test_the_original_voice_under_a_line_is_found(dub: Dub, media_dir: Path) -> None:
    """A ducked original passes, as does a line over none; under one line it is left almost as loud as the dub."""
    other, rate = soundfile.read(media_dir / "speech/libri_1088_clean.wav", dtype="float32")
    there = np.interp(np.arange(len(dub.audio)) * rate / RATE, np.arange(10 * len(other)), np.tile(other, 10))
    there *= np.sqrt(np.mean(dub.audio**2) / np.mean(there**2))
    original = np.stack([there, there], axis=1).astype(np.float32)
    ducked = dub.audio + np.float32(10 ** (-27 / 20)) * original
    clean = dub.report(ducked, original=original)
    assert clean.verdict == "pass", clean.reasons
    assert clean.mix.original_voice_db is not None
    assert clean.mix.original_voice_db < -22
    ducked[dub.place(3)] += np.float32(10 ** (-6 / 20)) * original[dub.place(3)]
    planted = dub.report(ducked, original=original)
    assert planted.mix.leaking_lines == ("u3",)
    assert planted.verdict == "review"
    assert planted.worst_lines[0].utterance_id == "u3"


@pytest.mark.parametrize("shift_s", [0.5, -0.5])
def test_a_track_out_of_sync_fails(dub: Dub, shift_s: float) -> None:
    report = dub.report(np.roll(dub.audio, round(shift_s * RATE), axis=0))
    assert report.timing.onset_shift_s == pytest.approx(shift_s, abs=0.1)
    assert report.verdict == "fail"


def test_clipping_and_peaks_are_found(dub: Dub) -> None:
    report = dub.report(np.clip(dub.audio * 20, -1, 1))
    assert report.voice.clipped_share > 0.001
    assert report.mix.true_peak_dbtp is not None
    assert report.mix.true_peak_dbtp > -1
    assert report.verdict == "fail"


def test_a_quieter_voice_is_for_review(dub: Dub) -> None:
    report = dub.report(dub.audio * 10 ** (-3 / 20))
    assert report.mix.loudness_error_lu == pytest.approx(-3, abs=0.3)
    assert report.verdict == "review"


def test_a_voice_of_the_last_resort_is_the_first_reason(dub: Dub) -> None:
    report = dub.report(dub.audio * 10 ** (-3 / 20), last_resort="The voice is a mechanical one.")
    assert report.verdict == "review"
    assert len(report.reasons) > 1
    assert report.message.endswith(f" {report.reasons[0]}")
    assert report.reasons[0] == "The voice is a mechanical one."


def test_a_cut_end_fails(dub: Dub) -> None:
    report = dub.report(dub.audio[: -RATE // 4])
    assert report.timing.length_error_s == pytest.approx(-0.25, abs=0.03)
    assert not report.timing.exact_length
    assert report.verdict == "fail"


def test_lines_over_one_another_fail(dub: Dub) -> None:
    report = dub.report(dub.audio, timeline=dub.timeline(u2=-0.8))
    assert report.timing.overlap_s == pytest.approx(0.5, abs=0.01)
    assert report.verdict == "fail"


def test_another_picture_has_another_hash(media_dir: Path, tmp_path: Path) -> None:
    settings = Settings()
    source, other = (media_dir / "video/gen" / n for n in ("ls3_bframes_negdts.mp4", "ls3_hevc10.mp4"))
    media = probe(source, settings)
    soundfile.write(tmp_path / "dub.wav", np.zeros((round(media.duration_s * RATE), 2)), RATE)
    done = mux(source, media, tmp_path / "dub.wav", work_dir=tmp_path, target_language="pt-BR")
    output = probe(done.path, settings)
    told = {"is_copied": True, "work_dir": tmp_path}
    assert compare_picture(source, media, done.path, output, **told) == (True, "")
    assert compare_picture(other, probe(other, settings), done.path, output, **told)[0] is False
    told["is_copied"] = False
    assert compare_picture(source, media, done.path, output, **told)[0] is None


@pytest.mark.engines
@pytest.mark.slow
def test_wrong_words_are_heard(dub: Dub, listener: Callable[[], SttEngine]) -> None:
    stt = listener()
    wrong = "Seven yellow tractors were sold by my neighbour in the valley last winter."
    right, planted = dub.report(dub.audio, stt=stt), dub.report(dub.audio, stt=stt, texts={2: wrong})
    assert right.voice.wer is not None
    assert right.voice.wer < 0.12
    assert {n.utterance_id: n.wer for n in planted.timing.lines}["u2"] > 0.8
    assert planted.worst_lines[0].utterance_id == "u2"
    assert (right.voice.misheard_lines, planted.voice.misheard_lines) == ((), ("u2",))


@pytest.fixture
def listener() -> Callable[[], SttEngine]:
    from dubline.engines.pool import acquire
    from dubline.engines.registry import choose_stt
    from dubline.errors import EngineError

    def load() -> SttEngine:
        settings = Settings()
        try:
            choice = choose_stt(settings, engine="faster-whisper", model="base", language="en")
        except EngineError as error:
            pytest.skip(error.message)
        return acquire(choice, settings).__enter__()

    return load
