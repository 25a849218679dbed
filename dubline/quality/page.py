"""A report as a page in the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dubline.errors import InputError
from dubline.languages import name as language_name
from dubline.quality.models import LineReport, Report
from dubline.quality.verdict import COMFORTABLE_PACE

_COLOURS = {"pass": "green", "review": "yellow", "fail": "red"}
_SHOWN_LINES = 60
_BAR = 16
_LARGEST_BYTES = 256 * 1024**2


def load(path: Path) -> Report:
    """Read a report.

    Raises:
        InputError: `report_unreadable` (no such file, or too large) or `report_invalid` (no report of Dubline's).
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError("The file is too large for a report.", code="report_unreadable")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            "The report cannot be read.", code="report_unreadable", hint="Name a file that ends in .report.json."
        ) from error
    try:
        return Report.model_validate_json(data)
    except ValidationError as error:
        raise InputError(
            "The file is not a report of this version of Dubline.",
            code="report_invalid",
            hint="Name a file that ends in .report.json.",
        ) from error


def render(report: Report, console: Console) -> None:
    """Print verdict, key figures, the lines with their timing, and what would mend the worst of them."""
    _head(report, console)
    console.print(_figures(report))
    if report.timing.lines:
        console.print(_lines(report.timing.lines))
        hidden = len(report.timing.lines) - _SHOWN_LINES
        if hidden > 0:
            console.print(f"… and {hidden} more lines in the file", style="dim")
    if report.worst_lines:
        console.print(_worst(report))
    if report.container.subtitle_breaks:
        console.print(_breaks(report))
    console.print(_cost(report))
    console.print(_engines(report))


def _head(report: Report, console: Console) -> None:
    head = Text(report.verdict.upper(), style=f"bold {_COLOURS[report.verdict]}")
    head.append("  ")
    head.append_text(_plain(report.message))
    console.print(head)
    # The message already says the first reason.
    for reason in report.reasons[1:] if report.timing.lines else report.reasons:
        console.print(_plain(f"  - {reason}"))
    console.print()


def _table(title: str, *columns: str, right: Iterable[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _plain(text: str, style: str = "") -> Text:
    """Text of a file as it is: no markup, and no control characters, which would speak to the terminal."""
    return Text("".join(c if c.isprintable() else " " for c in text), style=style)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _understood(report: Report) -> str:
    share, wordless = _share(report.recognition.speech_coverage), report.recognition.wordless
    if not wordless:
        return share
    more = f" and {len(wordless) - 3} more" if len(wordless) > 3 else ""
    return f"{share}, no word at {', '.join(_clock(s.start_s) for s in wordless[:3])}{more}"


def _number(value: float | None, unit: str, digits: int = 1, *, signed: bool = False) -> str:
    return "-" if value is None else f"{value:{'+z' if signed else 'z'}.{digits}f} {unit}".rstrip()


def _figures(report: Report) -> Table:
    """Three columns of name and value: timing, voice and sound, text and file."""
    timing, voice, mix, text = report.timing, report.voice, report.mix, report.translation
    picture = {True: "bit for bit", False: "CHANGED", None: report.container.video_stream_hash_reason}
    rows = [
        ("Language", language_name(report.recognition.language) if report.recognition.language != "und" else "-"),
        ("Speech understood", _understood(report)),
        ("Lines", str(text.lines)),
        ("Numbers kept", _share(text.numbers_kept)),
        ("Back-translation", _or(_number(text.back_translation_chrf, "chrF"), text.back_translation_reason)),
        ("Heard again", _or(_rates(report), voice.reason)),
        ("Speakers", _speakers(report)),
        ("Pace up to 1.2", _share(timing.share_pace_le_1_2)),
        ("Overlap with source speech", _share(timing.speech_overlap_iou)),
        ("Heard against laid onset", _number(timing.onset_shift_s, "s", 2, signed=True)),
        ("Lines over one another", _number(timing.overlap_s, "s", 2)),
        ("Length against source", _number(1000 * timing.length_error_s, "ms", 1, signed=True)),
        ("Voice against source's", _number(mix.loudness_error_lu, "LU", 1, signed=True)),
        ("Loudness", _number(mix.integrated_lufs, "LUFS")),
        ("True peak", _number(mix.true_peak_dbtp, "dBTP")),
        ("Bed below voice", _number(mix.bed_below_voice_db, "dB")),
        ("Original sound", mix.bed),
        ("Original voice left", _number(mix.original_voice_db, "dB", 0)),
        ("Picture", picture[report.container.video_stream_hash_equal]),
        (
            "Subtitle rule breaks",
            f"{sum(report.container.subtitle_rule_breaks.values())} in {report.container.subtitle_cues} cues",
        ),
        ("Subtitles from their words", _number(report.container.subtitle_distance_s, "s", 1)),
        (
            "Streams",
            ", ".join(
                f"{s.kind} {s.codec}{f' ({s.language})' if s.language else ''}" for s in report.container.streams
            ),
        ),
    ]
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, _plain(value))
    return table


def _or(value: str, reason: str) -> str:
    return f"- {reason}" if value == "-" and reason else value


def _speakers(report: Report) -> str:
    speakers = report.speakers
    if not speakers.rows:
        return f"one voice - {speakers.reason}" if speakers.reason else "one voice"
    rows = [f"{s.label}: {s.voice} ({_number(s.pitch_hz, 'Hz', 0)}, {s.lines} lines)" for s in speakers.rows]
    swapped = f"; {len(speakers.swapped_lines)} of {speakers.judged_lines} lines in another's voice"
    return ", ".join(rows) + (swapped if speakers.judged_lines else f"; not judged: {speakers.judge_reason}")


def _rates(report: Report) -> str:
    voice = report.voice
    if voice.wer is None:
        return "-"
    cer = f", CER {voice.cer:.1%}" if voice.cer is not None else ""
    before = f", {voice.remembered_lines} of them heard before" if voice.remembered_lines else ""
    return f"WER {voice.wer:.1%}{cer} over {voice.listened_s:.0f} s, {voice.listened_lines} lines{before}"


def _lines(rows: tuple[LineReport, ...]) -> Table:
    """A bar a line: how much of its slot the voice's natural length would take; the mark is the slot's end."""
    table = _table(
        "\nLines",
        "id",
        "at",
        "pace",
        "natural length in slot",
        "onset",
        "WER",
        "text",
        right=("at", "pace", "onset", "WER"),
    )
    for row in rows[:_SHOWN_LINES]:
        style = "red" if row.is_silent else "yellow" if row.stretch > COMFORTABLE_PACE + 1e-3 else "default"
        table.add_row(
            _plain(row.utterance_id),
            _clock(row.start_s),
            Text(f"{row.stretch:.2f}", style=style),
            _bar(row),
            f"{row.onset_error_s:+.2f}{'' if row.is_onset_measured else '*'}",
            "" if row.wer is None else f"{row.wer:.0%}",
            _plain(row.target_text[:80] + ("…" if len(row.target_text) > 80 else "")),
        )
    if not all(row.is_onset_measured for row in rows[:_SHOWN_LINES]):
        table.caption = "* laid, not heard: the line follows the one before without a pause, or is masked"
        table.caption_justify = "left"
    return table


def _bar(row: LineReport) -> Text:
    """Filled to natural length over slot; a full slot is two thirds of the width."""
    slot = round(_BAR * 2 / 3)
    used = min(_BAR, round(slot * row.natural_s / row.slot_s)) if row.slot_s > 0 else _BAR
    bar = Text("█" * min(used, slot), style="green")
    bar.append("·" * (slot - min(used, slot)), style="dim")
    bar.append("|", style="dim")
    bar.append("█" * max(0, used - slot), style="yellow")
    return bar


def _worst(report: Report) -> Table:
    table = _table("\nWorth a look", "id", "at", "what", "what would mend it", right=("at",))
    for line in report.worst_lines:
        mend = _plain(line.mend)
        if line.proposal:
            mend.append("\nA text that fits: ").append_text(_plain(line.proposal, style="italic"))
        table.add_row(_plain(line.utterance_id), _clock(line.start_s), _plain(line.problem), mend)
    return table


def _breaks(report: Report) -> Table:
    table = _table("\nSubtitle rules broken", "subtitles", "at", "rule", "text", right=("at",))
    for row in report.container.subtitle_breaks:
        table.add_row(row.track, _clock(row.start_s), _plain(row.rule), _plain(row.text.replace("\n", " / ")))
    return table


def _cost(report: Report) -> Table:
    made = {s.stage: 0 for s in report.provenance.stages}
    reused = dict(made)
    seconds = {k: 0.0 for k in made}
    for row in report.provenance.stages:
        made[row.stage] += row.made
        reused[row.stage] += row.reused
        seconds[row.stage] += row.seconds
    table = _table("\nCost", "stage", "seconds", "RTF", "made", "reused", right=("seconds", "RTF", "made", "reused"))
    for stage, spent_s in seconds.items():
        table.add_row(
            stage,
            f"{spent_s:.1f}",
            f"{report.provenance.rtf.get(stage, 0.0):.3f}",
            str(made[stage] or ""),
            str(reused[stage] or ""),
        )
    return table


def _engines(report: Report) -> Text:
    used = ", ".join(" ".join(filter(None, (c.engine, c.version, c.model, c.voice))) for c in report.provenance.engines)
    return _plain(f"Dubline {report.provenance.dubline_version}{f': {used}' if used else ''}", style="dim")


def _clock(seconds: float) -> str:
    whole = int(seconds)
    hours = f"{whole // 3600}:" if whole >= 3600 else ""
    return f"{hours}{whole // 60 % 60:02d}:{seconds % 60:04.1f}"
