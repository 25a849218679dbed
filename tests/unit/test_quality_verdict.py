from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from dubline.errors import InputError
from dubline.models import DroppedSegment, EngineChoice, Line, Span, StageStats, Utterance
from dubline.quality.models import (
    Container,
    FileFacts,
    GlossaryMiss,
    LineReport,
    MixQuality,
    Provenance,
    Recognition,
    Report,
    Timing,
    TrackReport,
    Translation,
    VoiceQuality,
)
from dubline.quality.page import load, render
from dubline.quality.verdict import judge, worst_lines

TEXT = "Uma linha [bold]longa\x1b[31m[/bold] demais para o tempo que tem."


def row(name: str = "u1", **changes) -> LineReport:
    base = {
        "utterance_id": name,
        "start_s": 3.0,
        "end_s": 5.0,
        "source_start_s": 3.0,
        "slot_s": 2.0,
        "natural_s": 2.0,
        "stretch": 1.0,
        "onset_error_s": 0.02,
        "is_onset_measured": True,
        "drift_s": 0.0,
        "overrun_s": 0.0,
        "source_text": "A line.",
        "target_text": TEXT,
    }
    return LineReport.model_validate({**base, **changes})


RECOGNITION = Recognition(
    language="en",
    probability=0.98,
    speech_s=60.0,
    speech_coverage=0.97,
    wordless=(Span(start_s=40.06, end_s=40.54),),
    median_log_probability=-0.2,
    dropped=(),
    repeated_phrases=(),
)
TRANSLATION = Translation(
    lines=10,
    untranslated=(),
    empty=(),
    numbers=2,
    numbers_kept=1.0,
    numbers_lost=(),
    glossary_hits=0,
    glossary_misses=(),
    length_ratio_median=1.1,
    back_translation_chrf=79.0,
)
TIMING = Timing(
    lines=(row(),),
    speech_overlap_iou=0.8,
    voice_source="x",
    share_pace_le_1_2=0.95,
    onset_shift_s=0.03,
    overlap_s=0.0,
    length_error_s=0.01,
    length_tolerance_s=0.041,
    exact_length=True,
)
VOICE = VoiceQuality(
    listened_s=40.0,
    listened_lines=6,
    words=100,
    wer=0.07,
    cer=0.03,
    fallback_lines=(),
    silent_lines=(),
    unspoken_lines=(),
    clipped_share=0.0,
)
MIX = MixQuality(
    integrated_lufs=-20.0,
    source_voice_lufs=-20.0,
    dub_voice_lufs=-20.2,
    loudness_error_lu=-0.2,
    true_peak_dbtp=-2.0,
    bed_below_voice_db=25.0,
    limited_share=0.0,
)
CONTAINER = Container(
    container="mov,mp4",
    streams=(
        TrackReport(kind="audio", codec="aac", language="pt-BR", is_default=True, duration_s=60, size="48000 Hz"),
    ),
    video_stream_hash_equal=True,
    subtitle_cues=20,
    subtitle_rule_breaks={},
    subtitle_breaks=(),
)
GOOD = (RECOGNITION, TRANSLATION, TIMING, VOICE, MIX, CONTAINER)


def test_a_good_dub_passes() -> None:
    assert judge(*GOOD) == ("pass", ())


@pytest.mark.parametrize(
    ("part", "changes", "verdict"),
    [
        (0, {"probability": 0.3}, "review"),
        (0, {"speech_coverage": 0.5}, "review"),
        (0, {"speech_coverage": 0.5, "speech_s": 1.5}, "pass"),
        (0, {"median_log_probability": -0.8}, "review"),
        (0, {"repeated_phrases": ("thank you",)}, "review"),
        (0, {"dropped": (DroppedSegment(start_s=0, end_s=4, text="x", reason="repetition"),)}, "review"),
        (0, {"dropped": (DroppedSegment(start_s=0, end_s=4, text="x", reason="no_speech"),)}, "pass"),
        (1, {"empty": ("u1",)}, "fail"),
        (1, {"untranslated": ("u1",)}, "review"),
        (1, {"numbers_lost": ("u1",)}, "review"),
        (1, {"glossary_misses": (GlossaryMiss(utterance_id="u1", term="a", wanted="b"),)}, "review"),
        (1, {"back_translation_chrf": 59.0}, "review"),
        (1, {"back_translation_chrf": None}, "pass"),
        (2, {"overlap_s": 0.01}, "fail"),
        (2, {"exact_length": False}, "fail"),
        (2, {"onset_shift_s": -0.2}, "review"),
        (2, {"onset_shift_s": -0.5}, "fail"),
        (2, {"share_pace_le_1_2": 0.8}, "review"),
        (3, {"silent_lines": ("u1",)}, "fail"),
        (3, {"wer": 0.2}, "review"),
        (3, {"wer": 0.2, "words": 10}, "pass"),
        (3, {"wer": None}, "pass"),
        (3, {"fallback_lines": ("u1",)}, "review"),
        (3, {"last_resort": "The voice is a mechanical one."}, "review"),
        (3, {"clipped_share": 0.001}, "review"),
        (4, {"true_peak_dbtp": -0.9}, "fail"),
        (4, {"loudness_error_lu": 1.2}, "review"),
        (2, {"displaced_lines": ("u1",)}, "review"),
        (3, {"misheard_lines": ("u1",)}, "review"),
        (3, {"unlike_lines": ("u1",)}, "review"),
        (3, {"clipped_lines": ("u1",)}, "review"),
        (4, {"leaking_lines": ("u1",)}, "review"),
        (4, {"original_voice_db": -15.0}, "review"),
        (4, {"original_voice_db": -15.0, "bed": "kept"}, "pass"),
        (4, {"original_voice_db": -24.0}, "pass"),
        (5, {"video_stream_hash_equal": False}, "fail"),
        (5, {"video_stream_hash_equal": None}, "pass"),
        (5, {"subtitle_rule_breaks": {"gap": 2}}, "review"),
    ],
)
def test_each_threshold_tells(part: int, changes: dict, verdict: str) -> None:
    parts = list(GOOD)
    parts[part] = parts[part].model_copy(update=changes)
    found, reasons = judge(*parts)
    assert found == verdict
    assert len(reasons) == (0 if verdict == "pass" else 1)


def _line(name: str, candidates: tuple[str, ...] = ()) -> Line:
    utterance = Utterance(id=name, start_s=3.0, end_s=5.0, slot_end_s=5.0, text="A line.")
    return Line(utterance=utterance, text=TEXT, candidates=candidates)


def test_worst_lines_say_what_would_mend_them() -> None:
    rows = [
        row("fine"),
        row("long", stretch=1.25, natural_s=4.0, overrun_s=1.2),
        row("silent", is_silent=True),
        row("number"),
        row("um", target_text="Hum.", wer=1.0),  # one word that a listener may miss by itself
        row("words", target_text="Bem feito.", wer=1.0),
    ]
    lines = [_line(r.utterance_id, (TEXT, "Uma linha curta.") if r.utterance_id == "long" else ()) for r in rows]
    found = worst_lines(rows, lines, TRANSLATION.model_copy(update={"numbers_lost": ("number",)}), "pt-BR")
    assert [w.utterance_id for w in found] == ["silent", "words", "number", "long"]
    fits = int(len(TEXT) * 2.0 * 1.2 / 4.0)
    assert f"{fits} characters" in found[3].mend
    assert found[3].proposal == "Uma linha curta."
    many = [row(f"u{i}", is_silent=True) for i in range(30)]
    assert len(worst_lines(many, [_line(f"u{i}") for i in range(30)], TRANSLATION, "pt-BR")) == 10


def _report() -> Report:
    rows = (row(), row("u2", stretch=1.25, natural_s=4.0, wer=0.6, is_onset_measured=False))
    timing = TIMING.model_copy(update={"lines": rows})
    return Report(
        verdict="review",
        message="2 lines dubbed.",
        reasons=("One thing.", "Another thing."),
        provenance=Provenance(
            dubline_version="0.1.0",
            source=FileFacts(sha256="a", size_bytes=1),
            output=FileFacts(sha256="b", size_bytes=1),
            media_s=60.0,
            engines=(EngineChoice(kind="tts", engine="kokoro", version="1", voice="pf_dora"),),
            stages=(StageStats(stage="synthesize", seconds=12.0, made=2),),
            rtf={"synthesize": 0.2},
        ),
        recognition=RECOGNITION,
        translation=TRANSLATION,
        timing=timing,
        voice=VOICE,
        mix=MIX,
        container=CONTAINER,
        worst_lines=worst_lines(rows, [_line("u1"), _line("u2")], TRANSLATION, "pt-BR"),
    )


def test_the_page_shows_what_a_person_needs(tmp_path: Path) -> None:
    report = _report()
    path = tmp_path / "talk.pt-BR.report.json"
    # The exporter adds what the run itself cost.
    path.write_text(report.model_copy(update={"run": {"wall_s": 3.2}}).model_dump_json(indent=1))
    loaded = load(path)
    assert loaded.run == {"wall_s": 3.2}
    out = io.StringIO()
    render(loaded, Console(file=out, width=160))
    page = out.getvalue()
    for wanted in (
        "REVIEW",
        "Another thing.",
        "WER 7.0%",
        "79.0 chrF",
        "97.0%, no word at 00:40.1",
        "bit for bit",
        "u2",
        "1.25",
        "pf_dora",
        "[bold]",
    ):
        assert wanted in page


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"verdict": "pass"}', b"[1, 2]"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.code == "report_invalid"
    assert str(path) not in caught.value.message


def test_a_missing_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path / "none.json")
    assert caught.value.code == "report_unreadable"
