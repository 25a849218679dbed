"""Where a text may be broken: into lines, and into parts that each fit on the screen. Pure."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence

from dubline.timing.phrases import clinging, opening

JOINERS = "\u200c\u200d"
"""Of Persian, Hindi and emoji: part of the writing, not formatting."""

_SENTENCE_END, _CLAUSE_END = ".!?…。！？।؟", ",;:—–)»”、，；："
_NO_LINE_START = "、。，．！？）」』】〉》ーぁぃぅぇぉっゃゅょァィゥェォッャュョ…～・％々：；"
_DISTANCE = 20.0  # of a whole text, against the worth of a place: a comma is worth 0.04 of it
_NO_LINE_END = "（「『【〈《"


def is_wide(char: str) -> bool:
    """Han, kana and their punctuation: written without spaces."""
    code = ord(char)
    return 0x2E80 <= code < 0xA000 or 0xF900 <= code < 0xFB00 or 0xFF00 <= code < 0xFFA0 or 0x20000 <= code < 0x32000


def _spots(text: str, width: int, language: str) -> list[tuple[int, float]]:
    """Places where a text may be cut, in order, with how good a cut there is."""
    cling, opens = clinging(language), opening(language)
    out: list[tuple[int, float]] = []
    run = 0
    for i in range(1, len(text)):
        run = 0 if text[i - 1] == " " else run + 1
        if text[i] == " ":
            before, after = text[:i].rsplit(" ", 1)[-1], text[i + 1 :].split(" ", 1)[0]
            out.append((i, _space_score(before, after, cling, opens)))
        elif text[i - 1] != " " and (is_wide(text[i - 1]) or is_wide(text[i])):
            out.append((i, _wide_score(text[i - 1], text[i])))
            run = 0
        elif run >= width or (run == width - 1 and unicodedata.category(text[i])[0] != "M" and text[i] not in JOINERS):
            out.append((i, -3.0))  # a word longer than a line has no good break
            run = 0
    return out


def _space_score(before: str, after: str, cling: frozenset[str], opens: frozenset[str]) -> float:
    score = 0.0
    if before[-1] in _SENTENCE_END:
        score += 1.2
    elif before[-1] in _CLAUSE_END:
        score += 0.8
    elif before.lower() in cling:
        score -= 1.0 if len(before) <= 3 else 0.6  # articles and short prepositions cling most
    elif before[:1].isupper() and after[:1].isupper():
        score -= 0.3  # a name
    if after.lower().strip(",.;:") in opens:
        score += 0.4
    elif after.lower() in cling:
        score += 0.2
    if before[-1].isdigit() or before[-1] in "$€£":
        score -= 0.6  # number and unit
    return score


def _wide_score(before: str, after: str) -> float:
    if after in _NO_LINE_START or before in _NO_LINE_END:
        return -4.0
    if before in _SENTENCE_END:
        return 1.2
    if before in _CLAUSE_END:
        return 0.8
    is_kana = "ぁ" <= before <= "ゟ"
    return 0.3 if is_kana and not "ぁ" <= after <= "ゟ" else -0.2 if is_kana else -0.4


def place_near(text: str, share: float, within: float, language: str) -> int | None:
    """The best place to cut a text at or near a share of its characters; None where there is none so near."""
    near = [(at, score) for at, score in _spots(text, len(text), language) if abs(at / len(text) - share) <= within]
    return max(near, key=lambda n: n[1] - abs(n[0] / len(text) - share) * _DISTANCE, default=(None, 0.0))[0]


def break_lines(text: str, width: int, language: str = "en") -> str:
    """One line, or two of nearly equal length broken at syntax; more only when two cannot hold the text."""
    if len(text) <= width:
        return text
    spots = _spots(text, width, language)
    fitting = [s for s in spots if s[0] <= width and len(text[s[0] :].strip()) <= width]
    if fitting:
        at = max(fitting, key=lambda s: s[1] - 4.0 * abs(s[0] / len(text) - 0.5))[0]
        return f"{text[:at].strip()}\n{text[at:].strip()}"
    at = max((s[0] for s in spots if s[0] <= width), default=width)
    return f"{text[:at].strip()}\n{break_lines(text[at:].strip(), width, language)}"


def cut(text: str, width: int, language: str, *, longest: float, lines: int, parts: int = 1) -> list[str]:
    """A text in parts that fit on the screen, cut at syntax and as equal as may be.

    Dynamic programming over the places where it may be cut: a part costs something of itself, and its distance
    from the ideal length, less what its end is worth.

    Args:
        text: Words with one space between them.
        width: Characters of a line.
        language: BCP 47, of the text.
        longest: Characters that a part should not exceed for reasons of time.
        lines: Lines of a part.
        parts: Parts that are wanted at least.
    """
    room = width * lines
    longest = max(longest, width / 2)
    ideal = len(text) / max(parts, math.ceil(len(text) / room), math.ceil(len(text) / longest), 1)
    spots = [(0, 0.0), *_spots(text, width, language), (len(text), 0.0)]
    # A part begins after the space at which it is cut.
    ends = [at for at, _ in spots]
    begins = [at + (at < len(text) and text[at] == " ") for at in ends]
    costs, sources = [0.0] + [math.inf] * (len(spots) - 1), [0] * len(spots)
    for end in range(1, len(spots)):
        for start in range(end - 1, -1, -1):
            length = ends[end] - begins[start]
            if length > room + 1:
                break
            if length > width:
                middle = bisect_right(ends, begins[start] + width) - 1  # the last place that fits into the first line
                if lines < 2 or middle <= start or ends[end] - begins[middle] > width:
                    continue
            cost = costs[start] + 0.5 + 3.0 * ((length - ideal) / ideal) ** 2 - spots[end][1] + 5.0 * (length > longest)
            if cost < costs[end]:
                costs[end], sources[end] = cost, start
    out: list[str] = []
    end = len(spots) - 1
    while end > 0:
        out.append(text[begins[sources[end]] : ends[end]])
        end = sources[end]
    return out[::-1]


def cut_at_shares(text: str, lengths: Sequence[int], width: int) -> list[str]:
    """A text in as many parts as `lengths`, cut near their shares of it; some are empty when words are few."""
    places = [(0, 0.0), *_spots(text, width, ""), (len(text), 0.0)]
    out: list[str] = []
    at, done = 0, 0
    for number, length in enumerate(lengths):
        done += length
        share = len(text) * done / sum(lengths)
        end = max(places, key=lambda p: p[1] - 8.0 * abs(p[0] - share) / width)[0]
        end = len(text) if number == len(lengths) - 1 else max(at, end)
        out.append(text[at:end].strip())
        at = end
    return out
