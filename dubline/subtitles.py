"""Cues: cut, timed and broken into lines by the reading rules, and written as SRT and WebVTT. Pure.

The rules are those of the timed-text guides that streaming services and broadcasters publish (Netflix timed text style
guides, EBU subtitling practice): at most two lines of 42 characters (16 in Chinese, Japanese and Korean), at most 17
characters a second (9 in Chinese and Japanese, 12 in Korean), 5/6 … 7 s on screen, two frames between cues, lines
broken where a phrase ends.
"""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from dubline.models import Cue, Frozen, Span
from dubline.timing.lines import JOINERS, break_lines, cut, cut_at_shares, is_wide, place_near

MIN_S, MAX_S = 0.833, 7.0
_LINES = 2
_CPS_MARGIN = 0.985  # rounding to milliseconds must not break the rule
_MARGIN_S = 0.0015
_LONGEST_PIECE_S = MAX_S - 0.2
_NEAR_SHARE = 0.06  # letters tell the time of a word to about as much
_LONG_PAUSE_S = 1.0  # no cue shows what is said after such a pause before it
_SHIFT_S = 3.0  # a cue further from its words than this helps nobody, however long it may then be read


class CueSource(Frozen):
    """A text and the time in which it is spoken.

    `pauses` are the times in which nothing of it is spoken, each with the share of the speech that lies before it.
    """

    text: str
    start_s: float
    end_s: float
    pauses: tuple[tuple[float, Span], ...] = ()
    speaker: str = ""

    def clock(self, share: float, *, is_end: bool) -> float:
        """When that share of the speech is over. At or near a pause: where it begins, or ends when not `is_end`."""
        nearest = min(self.pauses, key=lambda p: abs(share - p[0]), default=None)
        if nearest is not None and abs(share - nearest[0]) <= _NEAR_SHARE and 0 < share < 1:
            return nearest[1].start_s if is_end else nearest[1].end_s
        at_share, at_s = 0.0, self.start_s
        for before, pause in self.pauses:
            if share < before:
                return at_s + (pause.start_s - at_s) * (share - at_share) / (before - at_share)
            at_share, at_s = before, pause.end_s
        return at_s + (self.end_s - at_s) * (share - at_share) / max(1e-9, 1.0 - at_share)

    def part(self, text: str, shares: tuple[float, float], time: Span) -> CueSource:
        """What is spoken between two shares of it, in that time."""
        first, end = shares
        inside = tuple(
            ((at - first) / (end - first), pause)
            for at, pause in self.pauses
            if first < at < end and time.start_s < pause.start_s and pause.end_s < time.end_s
        )
        return CueSource(text=text, start_s=time.start_s, end_s=time.end_s, pauses=inside, speaker=self.speaker)


class RuleBreak(Frozen):
    """A reading rule that a cue breaks; `value` against `limit` in the rule's own unit."""

    rule: Literal["lines", "line_length", "reading_speed", "too_short", "too_long", "gap", "outside"]
    cue: int
    value: float
    limit: float


class Limits(Frozen):
    """Line width in characters, reading speed in characters a second."""

    width: int
    speed: float


class _Piece(Frozen):
    """What one cue shows (`shown`), the part of it that is read against the clock (`read`), and its speech."""

    shown: str
    read: str
    start_s: float
    end_s: float
    speaker: str


def limits(language: str) -> Limits:
    """The limits that depend on the script of a language (BCP 47)."""
    base = language.split("-")[0]
    if base in {"ja", "zh", "yue"}:
        return Limits(width=16, speed=9.0)
    return Limits(width=16, speed=12.0) if base == "ko" else Limits(width=42, speed=17.0)


def clean(text: str) -> str:
    """One line of plain text: control and formatting characters out, white space folded."""
    kept = (" " if c.isspace() else c for c in text if c.isspace() or c in JOINERS or unicodedata.category(c)[0] != "C")
    return " ".join("".join(kept).split())


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
        sources: In order of time.
        media_duration_s: Where the last cue must have ended.
        fps: Frame rate of the picture; 0 when unknown, then 25.
        language: BCP 47, of the texts.
        second: Another text for each source (bilingual): each cue shows one line of both, and the rule of reading
            speed holds for the first.

    Raises:
        ValueError: `second` has another length than `sources`.
    """
    rule = limits(language)
    pieces: list[_Piece] = []
    rows = zip(sources, [""] * len(sources) if second is None else second, strict=True)
    for source, below in (part for row in rows for part in _at_long_pauses(*row, language)):
        text = source.text
        seconds = max(0.0, source.end_s - source.start_s)
        if below:
            parts, under = _parallel(text, below, language, rule.width, seconds)
        else:
            parts = cut(text, rule.width, language, longest=_share_on_clock(text, seconds), lines=_LINES)
            under = [""] * len(parts)
        done, total = 0, sum(map(len, parts))
        for part, other_part in zip(parts, under, strict=True):
            shown = f"{part}\n{other_part}" if other_part else break_lines(part, rule.width, language)
            start_s = source.clock(done / total, is_end=False)
            done += len(part)
            pieces.append(
                _Piece(
                    shown=shown,
                    read=part,
                    start_s=start_s,
                    end_s=source.clock(done / total, is_end=True),
                    speaker=source.speaker,
                )
            )
    return _timed(pieces, rule, media_duration_s=media_duration_s, gap_s=max(_frames_s(fps), 0.04) + _MARGIN_S)


def _at_long_pauses(source: CueSource, other: str, language: str) -> Iterator[tuple[CueSource, str]]:
    """A source in parts between which nobody speaks for long, each with its part of the other text."""
    text, below = clean(source.text), clean(other)
    if not text:
        return
    cuts = [(0, Span(start_s=source.start_s, end_s=source.start_s))]
    for share, pause in source.pauses:
        if pause.duration_s >= _LONG_PAUSE_S:
            place = place_near(text, share, _NEAR_SHARE, language)
            if place is not None and cuts[-1][0] < place:
                cuts.append((place, pause))
    cuts.append((len(text), Span(start_s=source.end_s, end_s=source.end_s)))
    texts = [text[a:b].strip() for (a, _), (b, _) in pairwise(cuts)]
    belows = cut_at_shares(below, list(map(len, texts)), limits("").width) if below else [""] * len(texts)
    for row, under, ((first, before), (end, after)) in zip(texts, belows, pairwise(cuts), strict=True):
        time = Span(start_s=before.end_s, end_s=after.start_s)
        yield source.part(row, (first / len(text), end / len(text)), time), under


def _frames_s(fps: float) -> float:
    return 2.0 / (fps if fps > 0 else 25.0)


def _share_on_clock(text: str, seconds: float) -> float:
    """Characters spoken in the longest time that one cue may stay: no limit where all of them take less."""
    return len(text) * _LONGEST_PIECE_S / seconds if seconds > _LONGEST_PIECE_S else math.inf


def _parallel(text: str, below: str, language: str, width: int, seconds: float) -> tuple[list[str], list[str]]:
    """Two texts in as many parts each, one line a part where that can be; a part of the second may be empty."""
    other_width = limits("zh").width if any(map(is_wide, below)) else limits("").width
    parts = max(1, math.ceil(len(below) / other_width))
    firsts, others = [text], [below]
    for extra in range(8):
        firsts = cut(text, width, language, longest=_share_on_clock(text, seconds), lines=1, parts=parts + extra)
        others = cut_at_shares(below, [len(f) for f in firsts], other_width)
        if all(len(other) <= other_width for other in others):
            break
    return firsts, others


def _timed(pieces: Sequence[_Piece], rule: Limits, *, media_duration_s: float, gap_s: float) -> list[Cue]:
    """Give every cue the time it needs to be read, as near to its words as the others let it.

    Speech runs at up to 22 characters a second, reading at 17: cues must share the pauses (`_starts`). Where fast
    speech goes on for so long that they would leave their words behind, or the media is too short for the text, they
    are shown for less time instead, and the rule of reading speed is broken.
    """
    if not pieces:
        return []
    needs = [min(MAX_S, max(MIN_S, len(p.read) / (rule.speed * _CPS_MARGIN))) for p in pieces]
    wanted = [p.start_s for p in pieces]
    room_s = media_duration_s - 0.002
    gaps_s = gap_s * (len(pieces) - 1)
    if gaps_s > room_s / 2:
        gap_s = gaps_s = 0.0
    if sum(needs) + gaps_s > room_s:
        factor = max(0.0, (room_s - gaps_s) / sum(needs))
        needs = [n * factor for n in needs]
    starts = _starts(wanted, needs, gap_s, room_s)
    for _ in range(60):
        crowded = [b for b in _blocks(starts, needs, gap_s) if any(abs(starts[i] - wanted[i]) > _SHIFT_S for i in b)]
        # A block that is far from its words only because of the media's edge would not come nearer.
        crowded = [b for b in crowded if len(b) > 1]
        if not crowded:
            break
        for block in crowded:
            for i in block:
                needs[i] *= 0.97
        starts = _starts(wanted, needs, gap_s, room_s)
    return list(_in_milliseconds(pieces, starts, needs, gap_s, room_s))


def _starts(wanted: Sequence[float], needs: Sequence[float], gap_s: float, room_s: float) -> list[float]:
    """Starts nearest to the wanted ones subject to `start[i + 1] >= start[i] + need[i] + gap`, inside the media.

    The least squares solution is the isotonic regression of the wanted starts less the time needed before each
    (Barlow et al., Statistical Inference under Order Restrictions, 1972), clipped to its bounds.
    """
    offsets = [0.0]
    for need in needs:
        offsets.append(offsets[-1] + need + gap_s)
    slack_s = max(0.0, room_s - (offsets.pop() - gap_s if len(offsets) > 1 else 0.0))
    free = _isotonic([w - o for w, o in zip(wanted, offsets, strict=True)])
    return [min(max(f, 0.0), slack_s) + o for f, o in zip(free, offsets, strict=True)]


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


def _blocks(starts: Sequence[float], needs: Sequence[float], gap_s: float) -> list[list[int]]:
    """Runs of cues that stand as close as they may."""
    out = [[0]]
    for i, (a, b) in enumerate(pairwise(starts)):
        if b - a > needs[i] + gap_s + 1e-6:
            out.append([])
        out[-1].append(i + 1)
    return out


def _in_milliseconds(
    pieces: Sequence[_Piece], starts: Sequence[float], needs: Sequence[float], gap_s: float, room_s: float
) -> Iterator[Cue]:
    """Whole milliseconds, rounded so that no rule breaks; a cue stays while its words are still spoken."""
    free_ms = 0
    for i, piece in enumerate(pieces):
        start_ms = max(free_ms, math.ceil(starts[i] * 1000))
        limit_s = starts[i + 1] - gap_s if i + 1 < len(pieces) else room_s + 0.001
        end_s = max(starts[i] + needs[i], min(piece.end_s, starts[i] + MAX_S))
        end_ms = min(math.ceil(end_s * 1000) + 1, math.floor(limit_s * 1000) + 1, start_ms + int(MAX_S * 1000))
        if end_ms > start_ms:  # else the media is shorter than a millisecond a cue
            yield Cue(
                start_s=start_ms / 1000,
                end_s=end_ms / 1000,
                text=piece.shown,
                speaker=piece.speaker,
                spoken_s=round(piece.start_s, 3),
            )
            free_ms = end_ms


def rule_breaks(
    cues: Sequence[Cue], *, fps: float, language: str, media_duration_s: float, bilingual: bool = False
) -> list[RuleBreak]:
    """Every rule that is broken, as read from finished cues.

    Args:
        cues: In order of time.
        fps: Frame rate of the picture; 0 when unknown, then 25.
        language: BCP 47, of the texts (of the first line when bilingual).
        media_duration_s: Length of the media.
        bilingual: Each cue's second line is another language, which nobody reads as well.
    """
    rule = limits(language)
    out: list[RuleBreak] = []
    gap_s = _frames_s(fps)

    def add(name, cue: int, value: float, limit: float) -> None:
        out.append(RuleBreak(rule=name, cue=cue, value=round(value, 3), limit=round(limit, 3)))

    for i, cue in enumerate(cues):
        rows = cue.text.split("\n")
        length_s = cue.end_s - cue.start_s
        read = rows[:1] if bilingual else rows
        if len(rows) > _LINES:
            add("lines", i, len(rows), _LINES)
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


def _rows(text: str) -> str:
    """A cue's lines without control characters or empty lines, which would end the cue in both formats."""
    return "\n".join(row for row in map(clean, text.split("\n")) if row)


def to_srt(cues: Sequence[Cue]) -> str:
    """SubRip. Its players read angle brackets and braces as markup, so those of the text are replaced."""
    blocks = []
    for number, cue in enumerate(cues, 1):
        text = _rows(cue.text).translate(str.maketrans("<>{}", "‹›()"))
        blocks.append(f"{number}\n{_stamp(cue.start_s, ',')} --> {_stamp(cue.end_s, ',')}\n{text}\n")
    return "\n".join(blocks)


def to_vtt(cues: Sequence[Cue]) -> str:
    """WebVTT, text escaped as its standard asks; where several people speak, a voice span names who does."""
    blocks = ["WEBVTT\n"]
    are_several = len({cue.speaker for cue in cues if cue.speaker}) > 1
    for cue in cues:
        text = html.escape(_rows(cue.text), quote=False)
        if are_several and cue.speaker:
            text = f"<v {html.escape(cue.speaker, quote=False)}>{text}</v>"
        blocks.append(f"{_stamp(cue.start_s, '.')} --> {_stamp(cue.end_s, '.')}\n{text}\n")
    return "\n".join(blocks)
