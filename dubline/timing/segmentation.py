"""Words into utterances: whole sentences, one speaker each, with the slot each may fill."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence

from dubline.models import SpeakerTurn, Utterance, Word
from dubline.timing.phrases import clinging, is_unspaced, opening
from dubline.timing.sentences import ends_sentence
from dubline.timing.speakers import label_words

GUARD_S = 0.08
"""Kept free before the next onset, so that two lines never touch."""

# Speech without punctuation is cut at pauses. Inside what is plainly one sentence (it ends with a mark within
# `_PLAIN_WORDS`), and after a word that clings to the next ("of", "and"), a pause is taken for a thinker's: cutting
# there would harm the translation more than the lost pause does, up to `_INNER_PAUSE_S`. A list said with a pause after
# each item (a countdown) is no such sentence: its items stand alone, and a voice would say them all in one go.
_PAUSE_S, _INNER_PAUSE_S = 1.2, 2.0
_PLAIN_WORDS = 40
_LIST_ITEMS, _ITEM_WORDS = 4, 2
_LONGEST_S, _LONGEST_CHARS = 20.0, 330  # beyond this a line is no longer one thought for a listener
_CLAUSE_GAP_S = 0.15
_SHORTEST_S, _GLUE_GAP_S = 1.2, 0.6

_Group = list[int]


def segment(
    words: Sequence[Word],
    *,
    media_duration_s: float,
    language: str,
    speakers: Sequence[SpeakerTurn] | None = None,
) -> list[Utterance]:
    """Utterances in order of time, of whole sentences.

    A sentence is cut only where a speaker changes, at a long pause, or, above 20 s or 330 characters, at its best
    clause pause. Lines under 1.2 s join a neighbour of the same speaker that is closer than 0.6 s. An utterance's id
    depends on its own onset and text alone, so that a change elsewhere does not rename it.

    Args:
        words: In spoken order; times may be equal, zero-length or out of order, and are put right. When words carry
            their leading space (as Whisper's do), one without belongs to the word before it.
        media_duration_s: Where the last slot ends.
        language: BCP 47, of the words.
        speakers: Who speaks when; without it everybody is `S1`.
    """
    rows = _in_order(_joined(words, language), media_duration_s)
    labels = label_words(rows, speakers)
    groups = _sentences(rows, labels, language)
    groups = [part for group in groups for part in _split_long(rows, group, language)]
    groups = _glue(rows, labels, groups)
    out: list[Utterance] = []
    seen: set[str] = set()
    spaced = any(w.text[:1].isspace() for w in rows) or is_unspaced(language)
    for position, group in enumerate(groups):
        start_s, end_s = rows[group[0]].start_s, rows[group[-1]].end_s
        following_s = rows[groups[position + 1][0]].start_s if position + 1 < len(groups) else math.inf
        text = " ".join(("" if spaced else " ").join(rows[i].text for i in group).split())
        out.append(
            Utterance(
                id=_identity(start_s, text, seen),
                start_s=start_s,
                end_s=end_s,
                slot_end_s=max(start_s, min(media_duration_s, following_s - GUARD_S)),
                text=text,
                speaker=labels[group[0]],
            )
        )
    return out


def _joined(words: Sequence[Word], language: str) -> list[Word]:
    """Words that hold text; pieces such as ` 3` and `.14` made one where leading spaces tell."""
    rows = [w for w in words if w.text.strip()]
    if is_unspaced(language) or not any(w.text[:1].isspace() for w in rows):
        return rows
    out: list[Word] = []
    for word in rows:
        if out and not word.text[:1].isspace() and not out[-1].text[-1:].isspace():
            out[-1] = out[-1].model_copy(update={"text": out[-1].text + word.text, "end_s": word.end_s})
        else:
            out.append(word)
    return out


def _in_order(words: Sequence[Word], duration_s: float) -> list[Word]:
    """Times that rise. The longest run of onsets that already do is believed; the other words go between them."""
    starts = [min(max(w.start_s, 0.0), duration_s) if math.isfinite(w.start_s) else math.nan for w in words]
    believed = set(_longest_rising(starts))
    out: list[Word] = []
    ceiling_s, ceilings = duration_s, [duration_s] * len(words)
    for i in range(len(words) - 1, -1, -1):
        ceilings[i] = ceiling_s
        ceiling_s = starts[i] if i in believed else ceiling_s
    for i, word in enumerate(words):
        floor_s = out[-1].end_s if out else 0.0
        start_s = starts[i] if i in believed else min(floor_s, ceilings[i])
        # An end may not reach past the next onset: Whisper's last word of a phrase sometimes swallows the pause.
        end_s = max(start_s, min(word.end_s if math.isfinite(word.end_s) else start_s, ceilings[i]))
        out.append(word.model_copy(update={"start_s": start_s, "end_s": end_s}))
    return out


def _longest_rising(values: Sequence[float]) -> list[int]:
    """Indices of the longest non-decreasing subsequence, by patience sorting; NaN is never part of it."""
    tops: list[float] = []
    at: list[int] = []
    before = [-1] * len(values)
    for i, value in enumerate(values):
        if math.isnan(value):
            continue
        pile = bisect_right(tops, value)
        before[i] = at[pile - 1] if pile else -1
        if pile == len(tops):
            tops.append(value)
            at.append(i)
        else:
            tops[pile], at[pile] = value, i
    out: list[int] = []
    i = at[-1] if at else -1
    while i >= 0:
        out.append(i)
        i = before[i]
    return out[::-1]


def _bare(word: Word) -> str:
    return word.text.strip().lower()


def _sentences(words: Sequence[Word], labels: Sequence[str], language: str) -> list[_Group]:
    """Sentences by their marks, then cut at changes of speaker and at long pauses."""
    groups: list[_Group] = []
    current: _Group = []
    for i, word in enumerate(words):
        if current and labels[i] != labels[i - 1]:
            groups.append(current)
            current = []
        current.append(i)
        if ends_sentence(word.text, words[i + 1].text if i + 1 < len(words) else None):
            groups.append(current)
            current = []
    if current:
        groups.append(current)
    return [part for group in groups for part in _split_pauses(words, group, language)]


def _split_pauses(words: Sequence[Word], group: _Group, language: str) -> list[_Group]:
    items = _list_items(words, group)
    if items:
        return items
    is_plain = len(group) <= _PLAIN_WORDS and ends_sentence(words[group[-1]].text)
    cling = clinging(language)
    out: list[_Group] = [[group[0]]]
    for i in group[1:]:
        holds = is_plain or _bare(words[i - 1]) in cling
        if words[i].start_s - words[i - 1].end_s > (_INNER_PAUSE_S if holds else _PAUSE_S):
            out.append([])
        out[-1].append(i)
    return out


def _list_items(words: Sequence[Word], group: _Group) -> list[_Group]:
    """The items of a list of a word or two each, with a mark and a long pause after every one; else nothing."""
    items: list[_Group] = [[group[0]]]
    for i in group[1:]:
        if words[i].start_s - words[i - 1].end_s > _PAUSE_S:
            if not _has_mark(words[i - 1]):
                return []
            items.append([])
        items[-1].append(i)
    return items if len(items) >= _LIST_ITEMS and all(len(item) <= _ITEM_WORDS for item in items) else []


def _has_mark(word: Word) -> bool:
    return word.text.strip()[-1:] in ",;:—–、，；："


def _length(words: Sequence[Word], first: int, last: int) -> tuple[float, int]:
    return words[last].end_s - words[first].start_s, sum(len(words[i].text) for i in range(first, last + 1))


def _is_long(length: tuple[float, int], times: float = 1.0) -> bool:
    return length[0] > _LONGEST_S * times or length[1] > _LONGEST_CHARS * times


def _split_long(words: Sequence[Word], group: _Group, language: str) -> list[_Group]:
    """Cut what is too long at clause pauses; without one it stays whole, unless it is half as long again."""
    out: list[_Group] = []
    todo = [group]
    while todo:
        part = todo.pop()
        length = _length(words, part[0], part[-1])
        cut = _best_cut(words, part, length, language) if _is_long(length) and len(part) >= 6 else 0
        if cut:
            todo += [part[cut:], part[:cut]]
        else:
            out.append(part)
    return out


def _best_cut(words: Sequence[Word], group: _Group, length: tuple[float, int], language: str) -> int:
    """Where to cut in the middle three fifths: at a long gap, after a mark, before a conjunction; 0 for nowhere."""
    cling, opens = clinging(language), opening(language)
    anywhere = _is_long(length, 1.5)
    best, best_score, done = 0, -math.inf, 0
    for k in range(1, len(group)):
        word, following = words[group[k - 1]], words[group[k]]
        done += len(word.text)
        share = done / max(1, length[1])
        if not 0.2 <= share <= 0.8:
            continue
        gap_s = following.start_s - word.end_s
        has_mark = _has_mark(word)
        opens_clause = _bare(following) in opens
        if not (anywhere or has_mark or gap_s >= _CLAUSE_GAP_S):
            continue
        score = 2.0 * min(gap_s, 1.0) + has_mark + 0.4 * opens_clause - (_bare(word) in cling) - 3.0 * abs(share - 0.5)
        if score > best_score:
            best, best_score = k, score
    return best


def _glue(words: Sequence[Word], labels: Sequence[str], groups: Sequence[_Group]) -> list[_Group]:
    """Tiny utterances join the nearer neighbour of the same speaker: a lone word has no room to be translated in."""

    def gap_s(left: int) -> float:
        """Between a group and the next; infinite where they may not be joined."""
        if not 0 <= left < len(groups) - 1:
            return math.inf
        a, b = groups[left], groups[left + 1]
        value = words[b[0]].start_s - words[a[-1]].end_s
        return value if labels[a[0]] == labels[b[0]] and value < _GLUE_GAP_S else math.inf

    joined = [False] * len(groups)  # with the one before
    for i, group in enumerate(groups):
        if _length(words, group[0], group[-1])[0] < _SHORTEST_S:
            before_s, after_s = gap_s(i - 1), gap_s(i)
            if min(before_s, after_s) < math.inf:
                joined[i if before_s <= after_s else i + 1] = True
    out: list[_Group] = []
    for i, group in enumerate(groups):
        if joined[i] and not _is_long(_length(words, out[-1][0], group[-1])):
            out[-1] = [*out[-1], *group]
        else:
            out.append(group)
    return out


def _identity(start_s: float, text: str, seen: set[str]) -> str:
    """Stable under edits elsewhere; unique within the video."""
    seed = f"{round(start_s * 1000)}|{text}"
    number = 0
    while True:
        value = "u" + hashlib.sha256(f"{seed}|{number}".encode("utf-8", "replace")).hexdigest()[:8]
        if value not in seen:
            seen.add(value)
            return value
        number += 1
