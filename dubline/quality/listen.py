"""Listening to the finished dub: a recogniser hears the file, and what it hears is compared with the lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubline.cancel import STOP
from dubline.engines.base import SttEngine
from dubline.errors import EngineError
from dubline.media.finished import RATE_HZ
from dubline.models import Frozen, Listen, Span
from dubline.quality.wording import tokens

WINDOW_S = 28.0  # Whisper's window is 30 s and costs the same however little it holds
_HEAD_S, _TAIL_S, _JOINT_S = 0.08, 0.15, 0.3
_ALONE_S, _BESIDE_S = 3.0, 8.0
_WORST_SHARE, _ENOUGH_SHARE = 1 / 3, 2 / 3

Read = Callable[[Sequence[Span]], list[NDArray[np.float32]]]


@dataclass(frozen=True)
class SpokenLine:
    """A line as it lies in the finished file; `pace` orders the worst first, what a person edited comes before them."""

    utterance_id: str
    span: Span
    text: str
    pace: float
    is_edited: bool = False


class LineHeard(Frozen):
    """What listening to one line counted: the line's words and letters, and how many of them were heard wrongly."""

    words: int
    errors: int
    letters: int
    letter_errors: int


@dataclass(frozen=True)
class Heard:
    """Errors over all lines listened to, and by line id. Rates are None when nothing was listened to.

    `remembered` counts the lines that were listened to before, when they lay in an earlier file as they do in this one.
    """

    seconds: float
    lines: int
    words: int
    wer: float | None
    cer: float | None
    by_line: dict[str, LineHeard]
    remembered: int = 0
    reason: str = ""

    @property
    def line_wer(self) -> dict[str, float]:
        return {name: round(row.errors / row.words, 4) for name, row in self.by_line.items() if row.words}


def choose(
    lines: Sequence[SpokenLine], mode: Listen, budget_s: float, known: Mapping[str, LineHeard] | None = None
) -> list[int]:
    """Positions of the lines to count, in order of time.

    `sample` begins with the lines that a person edited, since nobody has heard those, and with those `known` by ear
    already; if those are much of the budget, they are enough: what was not heard then need not be heard because of an
    edit. Otherwise it spends a third of what is left of the budget on the lines with the fastest pace and the rest on
    lines spread evenly over the video (bit-reversed order, so that any prefix is even). At least one line is chosen.
    """
    audible = [i for i, line in enumerate(lines) if line.text.strip() and line.span.duration_s > 0]
    if mode == "off" or not audible:
        return []
    length_s = {i: lines[i].span.duration_s for i in audible}
    if mode == "all" or sum(length_s.values()) <= budget_s:
        return audible
    chosen: set[int] = set()
    left_s = budget_s
    for i in sorted(audible, key=lambda i: not lines[i].is_edited):
        if (lines[i].is_edited or (known and lines[i].utterance_id in known)) and length_s[i] <= left_s:
            chosen.add(i)
            left_s -= length_s[i]
    if known and left_s <= budget_s * (1 - _ENOUGH_SHARE):
        return sorted(chosen)
    spread_s = left_s * (1 - _WORST_SHARE)
    left_s *= _WORST_SHARE
    for i in sorted(audible, key=lambda i: (-lines[i].pace, i)):
        if i not in chosen and length_s[i] <= left_s:
            chosen.add(i)
            left_s -= length_s[i]
    left_s += spread_s
    for position in _spread(len(audible)):
        i = audible[position]
        if i not in chosen and length_s[i] <= left_s:
            chosen.add(i)
            left_s -= length_s[i]
    return sorted(chosen) or [min(audible, key=lambda i: (length_s[i], i))]


def _spread(count: int) -> list[int]:
    """0 … count-1, each once, every prefix spread evenly (van der Corput sequence in base 2)."""
    bits = max(1, (count - 1).bit_length())
    order = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits)]
    return [v for v in order if v < count]


def pack(lines: Sequence[SpokenLine], chosen: Sequence[int]) -> list[list[int]]:
    """Group lines, in order, into as few pieces as windows of the recogniser hold them, of about equal length.

    Equal, because several are listened to at once, and a short one would leave its core idle.
    """
    length_s = {i: lines[i].span.duration_s + _HEAD_S + _TAIL_S + _JOINT_S for i in chosen}
    fair_s = sum(length_s.values()) / max(1, math.ceil(sum(length_s.values()) / WINDOW_S))
    pieces: list[list[int]] = []
    filled_s = 0.0
    for i in chosen:
        is_full = filled_s + length_s[i] > WINDOW_S or filled_s + length_s[i] / 2 > fair_s
        if not pieces or is_full:
            pieces.append([])
            filled_s = 0.0
        pieces[-1].append(i)
        filled_s += length_s[i]
    return pieces


def in_company(lines: Sequence[SpokenLine], piece: Sequence[int]) -> list[int]:
    """A piece, and with one of a few words the line before it (or behind), by which a recogniser understands it.

    Of 56 Portuguese lines of a word or two, base Whisper hears 35 rightly by themselves and 44 behind a sentence.
    """
    if sum(lines[i].span.duration_s for i in piece) >= _ALONE_S:
        return list(piece)
    beside = (i for i in (piece[0] - 1, piece[-1] + 1) if 0 <= i < len(lines) and lines[i].text.strip())
    one = [i for i in beside if 0 < lines[i].span.duration_s <= _BESIDE_S][:1]
    return sorted({*one, *piece})


def listen(
    read: Read,
    lines: Sequence[SpokenLine],
    engine: SttEngine | None,
    *,
    language: str,
    mode: Listen = "sample",
    budget_s: float = 45.0,
    reason: str = "",
    known: Mapping[str, LineHeard] | None = None,
) -> Heard:
    """Recognise chosen lines of the finished sound and count the errors against their texts.

    `read` gives spans of the finished sound as 16 kHz mono float32; `reason` says why there is no engine; `known` has
    the lines, by id, that were listened to before and need not be again. Word errors are those of the minimum edit
    alignment of a piece (as jiwer computes it), given to the line they fall on.
    """
    if mode == "off":
        return _because("Listening was switched off.")
    if engine is None:
        return _because(reason or "No recogniser for the target language is installed.")
    before = known or {}
    chosen = choose(lines, mode, budget_s, before)
    if not chosen:
        return _because("There is no line to listen to.")
    by_line = {lines[i].utterance_id: before[lines[i].utterance_id] for i in chosen if lines[i].utterance_id in before}
    remembered = len(by_line)

    def said(piece: list[int]) -> str:
        STOP.check()
        result = engine.transcribe(_audio(read, lines, piece), language=language, word_times=False)
        return " ".join(s.text for s in result.segments)

    try:
        with ThreadPoolExecutor(max(1, engine.parallel)) as pool:
            pieces = pack(lines, [i for i in chosen if lines[i].utterance_id not in by_line])
            heard = [in_company(lines, piece) for piece in pieces]
            for piece, all_of_it, text in zip(pieces, heard, pool.map(said, heard), strict=True):
                counted = count([lines[i] for i in all_of_it], text, language)
                by_line |= {name: counted[name] for i in piece if (name := lines[i].utterance_id) in counted}
    except EngineError as error:
        if error.retryable:
            raise  # the task tries again; a lost engine server is no finding about the dub
        return _because(f"Listening failed: {error.message}")
    words, letters = sum(r.words for r in by_line.values()), sum(r.letters for r in by_line.values())
    return Heard(
        seconds=round(sum(lines[i].span.duration_s for i in chosen), 3),
        lines=len(chosen),
        words=words,
        wer=round(sum(r.errors for r in by_line.values()) / words, 4) if words else None,
        cer=round(sum(r.letter_errors for r in by_line.values()) / letters, 4) if letters else None,
        by_line=by_line,
        remembered=remembered,
    )


def _because(reason: str) -> Heard:
    return Heard(0.0, 0, 0, None, None, {}, reason=reason)


def _audio(read: Read, lines: Sequence[SpokenLine], piece: Sequence[int]) -> NDArray[np.float32]:
    """The lines of a piece, each cut out with a little air that never reaches into its neighbours."""
    joint = np.zeros(int(_JOINT_S * RATE_HZ), np.float32)
    spans: list[Span] = []
    for i in piece:
        span = lines[i].span
        first_s = max(span.start_s - _HEAD_S, lines[i - 1].span.end_s if i else 0.0, 0.0)
        last_s = span.end_s + _TAIL_S
        if i + 1 < len(lines):
            last_s = max(span.end_s, min(last_s, lines[i + 1].span.start_s))
        spans.append(Span(start_s=min(first_s, span.start_s), end_s=last_s))
    return np.concatenate([part for sound in read(spans) for part in (sound, joint)])


def count(lines: Sequence[SpokenLine], heard: str, language: str) -> dict[str, LineHeard]:
    """Errors of what was heard in a piece, by line id."""
    import jiwer

    wanted = [tokens(line.text, language) for line in lines]
    owner = [i for i, words in enumerate(wanted) for _ in words]
    reference = [w for words in wanted for w in words]
    hypothesis = tokens(heard, language)
    if not reference:
        return {}
    errors = [0] * len(lines)
    said: list[list[str]] = [[] for _ in lines]
    for chunk in jiwer.process_words(" ".join(reference), " ".join(hypothesis)).alignments[0]:
        inserted = chunk.type == "insert"
        places = (
            [min(chunk.ref_start_idx, len(owner) - 1)] if inserted else range(chunk.ref_start_idx, chunk.ref_end_idx)
        )
        words = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        for place in places:
            errors[owner[place]] += len(words) if inserted else chunk.type != "equal"
        for number, word in enumerate(words):
            said[owner[places[min(number, len(places) - 1)]]].append(word)
    out: dict[str, LineHeard] = {}
    for line, words, wrong, hears in zip(lines, wanted, errors, said, strict=True):
        if words:
            letters = jiwer.process_characters(" ".join(words), " ".join(hears))
            out[line.utterance_id] = LineHeard(
                words=len(words),
                errors=wrong,
                letters=letters.hits + letters.substitutions + letters.deletions,
                letter_errors=letters.substitutions + letters.deletions + letters.insertions,
            )
    return out
