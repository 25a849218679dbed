"""Cues: cut, timed and broken into lines by the reading rules, and written as SRT and WebVTT. Pure.

The rules are those of the timed-text guides that broadcasters and streaming services publish: at most two lines of 42
characters (16 for Chinese and Japanese), at most 17 characters a second (9), 0.83 … 7 s on screen, two frames apart.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from dubline.models import Cue, Frozen

MIN_S, MAX_S = 0.833, 7.0
_CPS_MARGIN = 0.985  # rounding to milliseconds must not break the rule

_CLAUSE = re.compile(r"[,;:—–…)»”]$|[.!?]$")
_OPENERS = frozenset(
    [
        "and",
        "but",
        "or",
        "nor",
        "so",
        "because",
        "that",
        "which",
        "who",
        "when",
        "while",
        "where",
        "if",
        "though",
        "although",
        "as",
        "than",
        "e",
        "mas",
        "ou",
        "nem",
        "que",
        "porque",
        "quando",
        "onde",
        "se",
        "como",
        "pois",
        "enquanto",
        "embora",
        "y",
        "pero",
        "o",
        "ni",
        "que",
        "porque",
        "cuando",
        "donde",
        "si",
        "como",
        "pues",
        "aunque",
        "mientras",
    ]
)
_CLINGING = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "to",
        "in",
        "on",
        "at",
        "by",
        "for",
        "with",
        "from",
        "my",
        "your",
        "his",
        "her",
        "its",
        "our",
        "their",
        "this",
        "that",
        "mr",
        "mrs",
        "dr",
        "o",
        "a",
        "os",
        "as",
        "um",
        "uma",
        "uns",
        "umas",
        "de",
        "do",
        "da",
        "dos",
        "das",
        "em",
        "no",
        "na",
        "nos",
        "nas",
        "por",
        "para",
        "com",
        "sem",
        "ao",
        "à",
        "meu",
        "minha",
        "seu",
        "sua",
        "este",
        "esta",
        "el",
        "la",
        "los",
        "las",
        "un",
        "una",
        "unos",
        "unas",
        "del",
        "al",
        "en",
        "con",
        "sin",
        "por",
        "para",
        "su",
        "mi",
        "tu",
    ]
)


class CueSource(Frozen):
    """A text and the time in which it is spoken."""

    text: str
    start_s: float
    end_s: float


class RuleBreak(Frozen):
    """A reading rule that a cue breaks; `value` against `limit` in the rule's own unit."""

    rule: Literal["lines", "line_length", "reading_speed", "too_short", "too_long", "gap", "outside"]
    cue: int
    value: float
    limit: float


class _Limits(Frozen):
    width: int
    speed: float


def limits(language: str) -> _Limits:
    """Line width in characters and reading speed in characters a second."""
    return (
        _Limits(width=16, speed=9.0) if language.split("-")[0] in {"ja", "zh", "ko"} else _Limits(width=42, speed=17.0)
    )


def clean(text: str) -> str:
    """One line of plain text: control and formatting characters out, white space folded."""
    kept = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(kept.split())


def make_cues(
    sources: Sequence[CueSource],
    *,
    media_duration_s: float,
    fps: float,
    language: str,
    second: Sequence[str] | None = None,
) -> list[Cue]:
    """Cues in order of time, never overlapping, inside the media.

    Args:
        second: Another text for each source (bilingual): each cue shows one line of both, and the rules of reading
            speed hold for the first.
    """
    rule = limits(language)
    pieces: list[CueSource] = []
    texts: list[str] = []
    for number, source in enumerate(sources):
        first = _pieces(clean(source.text), rule, seconds=source.end_s - source.start_s, lines=1 if second else 2)
        if not first:
            continue
        total = sum(map(len, first))
        at_s = source.start_s
        others = _parallel(clean(second[number]), len(first), [len(p) for p in first]) if second else None
        for index, piece in enumerate(first):
            length_s = (source.end_s - source.start_s) * len(piece) / total
            pieces.append(CueSource(text=piece, start_s=at_s, end_s=at_s + length_s))
            texts.append(f"{piece}\n{others[index]}" if others and others[index] else break_lines(piece, rule.width))
            at_s += length_s
    return _timed(pieces, texts, rule, media_duration_s=media_duration_s, gap_s=_gap_s(fps))


def _gap_s(fps: float) -> float:
    return max(2.0 / fps if fps > 0 else 0.08, 0.04) + 0.0015


def _pieces(text: str, rule: _Limits, *, seconds: float, lines: int) -> list[str]:
    """A text in parts that fit on the screen and on its clock, as equal as the syntax lets them be."""
    if not text:
        return []
    room = rule.width * lines
    count = max(math.ceil(len(text) / room), math.ceil(seconds / (MAX_S - 0.2)), 1)
    while True:
        parts = _divide(text, count)
        if all(len(break_lines(p, rule.width).split("\n")) <= lines for p in parts) or count >= len(text):
            return [piece for part in parts for piece in _hard_cut(part, rule.width * lines)]
        count += 1


def _hard_cut(text: str, room: int) -> list[str]:
    """A word longer than the screen has no good break; it gets a bad one."""
    return [text[i : i + room] for i in range(0, len(text), room)] if len(text) > room and " " not in text else [text]


def _divide(text: str, count: int) -> list[str]:
    """Cut into `count` parts of nearly equal length, at the best place near each ideal cut."""
    if count <= 1:
        return [text]
    spots = _spots(text)
    if not spots:
        size = math.ceil(len(text) / count)
        return [text[i : i + size].strip() for i in range(0, len(text), size)]
    ideal = len(text) / count
    best = max(spots, key=lambda s: s[1] - 3.0 * abs(s[0] - ideal) / ideal)
    head, tail = text[: best[0]].strip(), text[best[0] :].strip()
    return [head, *_divide(tail, count - 1)] if head and tail else [text]


def _spots(text: str) -> list[tuple[int, float]]:
    """Places between words with how good a break there is."""
    if " " not in text and any(ord(c) > 0x2E80 for c in text):
        return [(i, 1.0 if text[i - 1] in "。、！？" else 0.0) for i in range(1, len(text))]
    out: list[tuple[int, float]] = []
    for match in re.finditer(r" ", text):
        before, after = text[: match.start()].rsplit(" ", 1)[-1], text[match.end() :].split(" ", 1)[0]
        score = 0.0
        if _CLAUSE.search(before):
            score += 1.2 if before[-1] in ".!?…" else 0.8
        if after.lower().strip(",.;") in _OPENERS:
            score += 0.4
        if before.lower().strip(",.;") in _CLINGING:
            score -= 0.8
        if before[-1:].isdigit():
            score -= 0.5
        out.append((match.start(), score))
    return out


def break_lines(text: str, width: int) -> str:
    """One line, or two of nearly equal length broken at syntax; more only when two cannot hold the text."""
    if len(text) <= width:
        return text
    fitting = [s for s in _spots(text) if len(text[: s[0]].strip()) <= width and len(text[s[0] :].strip()) <= width]
    if fitting:
        at = max(fitting, key=lambda s: s[1] - 4.0 * abs(s[0] / len(text) - 0.5))[0]
        return f"{text[:at].strip()}\n{text[at:].strip()}"
    spots = [s for s in _spots(text) if 0 < s[0] <= width]
    at = spots[-1][0] if spots else width
    return f"{text[:at].strip()}\n{break_lines(text[at:].strip(), width)}"


def _parallel(text: str, count: int, weights: Sequence[int]) -> list[str]:
    """The second language cut into as many parts, where the first one's lengths suggest."""
    words, total = text.split(), sum(weights)
    out, at, done = [], 0, 0
    for index in range(count):
        done += weights[index]
        end = len(words) if index == count - 1 else round(len(words) * done / total)
        out.append(" ".join(words[at:end]))
        at = end
    return out


def _timed(
    pieces: Sequence[CueSource], texts: Sequence[str], rule: _Limits, *, media_duration_s: float, gap_s: float
) -> list[Cue]:
    """Give every cue the time it needs to be read, as near to its words as the others let it.

    Speech runs at up to 22 characters a second, reading at 17: cues must share the pauses. The starts are the least
    squares solution of `start[i + 1] >= start[i] + need[i] + gap`, which is isotonic regression (pool adjacent
    violators) of the wanted starts less the time needed before them.
    """
    if not pieces:
        return []
    needs = [min(MAX_S, max(MIN_S, len(p.text) / (rule.speed * _CPS_MARGIN))) for p in pieces]
    room_s = media_duration_s - 0.002
    total_s = sum(needs) + gap_s * (len(needs) - 1)
    if total_s > room_s:  # more text than the media can show: every cue gives the same share
        factor = max(1e-6, (room_s - gap_s * (len(needs) - 1)) / sum(needs))
        needs = [n * factor for n in needs]
        if factor <= 1e-6:
            gap_s, needs = 0.0, [room_s / len(needs)] * len(needs)
    offsets, before = [], 0.0
    for need in needs:
        offsets.append(before)
        before += need + gap_s
    slack_s = max(0.0, room_s - (before - gap_s))
    wanted = _isotonic([p.start_s - o for p, o in zip(pieces, offsets, strict=True)])
    starts = [min(max(w, 0.0), slack_s) + o for w, o in zip(wanted, offsets, strict=True)]
    cues: list[Cue] = []
    for index, piece in enumerate(pieces):
        start_ms = math.ceil(starts[index] * 1000)
        limit_s = starts[index + 1] - gap_s if index + 1 < len(pieces) else room_s + 0.001
        end_s = max(starts[index] + needs[index], min(piece.end_s, starts[index] + MAX_S - 0.002))
        end_ms = min(math.ceil(end_s * 1000) + 1, math.floor(limit_s * 1000) + 1, start_ms + int(MAX_S * 1000))
        cues.append(Cue(start_s=start_ms / 1000, end_s=max(end_ms, start_ms + 1) / 1000, text=texts[index]))
    return cues


def _isotonic(values: Sequence[float]) -> list[float]:
    """Nearest non-decreasing sequence by least squares (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while blocks and blocks[-1][0] > mean:
            last, size = blocks.pop()
            mean, count = (mean * count + last * size) / (count + size), count + size
        blocks.append((mean, count))
    return [mean for mean, count in blocks for _ in range(count)]


def rule_breaks(
    cues: Sequence[Cue], *, fps: float, language: str, media_duration_s: float, bilingual: bool = False
) -> list[RuleBreak]:
    """Every rule that is broken, as read from finished cues."""
    rule = limits(language)
    out: list[RuleBreak] = []
    gap_s = 2.0 / fps if fps > 0 else 0.08

    def add(name, cue: int, value: float, limit: float) -> None:
        out.append(RuleBreak(rule=name, cue=cue, value=round(value, 3), limit=round(limit, 3)))

    for i, cue in enumerate(cues):
        rows = cue.text.split("\n")
        length_s = cue.end_s - cue.start_s
        read = rows[:1] if bilingual else rows
        if len(rows) > 2:
            add("lines", i, len(rows), 2)
        longest = max(map(len, read))
        if longest > rule.width:
            add("line_length", i, longest, rule.width)
        speed = len(" ".join(read)) / max(length_s, 1e-3)
        if speed > rule.speed + 0.01:
            add("reading_speed", i, speed, rule.speed)
        if length_s < 0.83 - 1e-6:
            add("too_short", i, length_s, 0.83)
        if length_s > MAX_S + 1e-6:
            add("too_long", i, length_s, MAX_S)
        if cue.start_s < 0 or cue.end_s > media_duration_s + 1e-3:
            add("outside", i, cue.end_s, media_duration_s)
        if i and cue.start_s - cues[i - 1].end_s < gap_s - 0.0006:
            add("gap", i, cue.start_s - cues[i - 1].end_s, gap_s)
    return out


def _stamp(time_s: float, mark: str) -> str:
    ms = round(time_s * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{mark}{ms % 1000:03d}"


def to_srt(cues: Sequence[Cue]) -> str:
    """SubRip. Its players read angle brackets as markup, so those of the text are replaced."""
    blocks = []
    for number, cue in enumerate(cues, 1):
        text = cue.text.replace("<", "‹").replace(">", "›").replace("{", "(").replace("}", ")")
        blocks.append(f"{number}\n{_stamp(cue.start_s, ',')} --> {_stamp(cue.end_s, ',')}\n{text}\n")
    return "\n".join(blocks)


def to_vtt(cues: Sequence[Cue]) -> str:
    """WebVTT, text escaped as its standard asks."""
    blocks = ["WEBVTT\n"]
    for cue in cues:
        text = html.escape(cue.text, quote=False)
        blocks.append(f"{_stamp(cue.start_s, '.')} --> {_stamp(cue.end_s, '.')}\n{text}\n")
    return "\n".join(blocks)
