"""Words into utterances: whole sentences, one speaker each, with the slot each may fill."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from dubline.models import Span, Utterance, Word
from dubline.timing.sentences import ends_sentence

GUARD_S = 0.08
"""Kept free before the next onset, so that two lines never touch."""

_PAUSE_S = 1.2  # splits speech that has no punctuation
_INNER_PAUSE_S = 2.0  # splits even where the next word goes on in lower case: a thinker's pause is shorter
_LONGEST_S, _LONGEST_CHARS = 20.0, 330  # beyond this one line is no longer one thought for a listener
_SHORTEST_S, _GLUE_GAP_S = 1.2, 0.6

Turn = tuple[Span, str]


def segment(
    words: Sequence[Word],
    *,
    media_duration_s: float,
    language: str,
    speakers: Sequence[Turn] | None = None,
) -> list[Utterance]:
    """Utterances in order of time.

    Args:
        words: In spoken order; times may be equal, zero-length or slightly out of order, and are put right.
        speakers: Turns with a speaker label; without them everybody is `S1`.
    """
    rows = _in_order(words, media_duration_s)
    labels = [_speaker(w, speakers) for w in rows]
    groups = _sentences(rows, labels)
    groups = [part for group in groups for part in _split_long(rows, group)]
    groups = _glue(rows, labels, groups)
    out: list[Utterance] = []
    seen: set[str] = set()
    for position, group in enumerate(groups):
        start_s, end_s = rows[group[0]].start_s, rows[group[-1]].end_s
        following = rows[groups[position + 1][0]].start_s if position + 1 < len(groups) else media_duration_s + GUARD_S
        text = "".join(rows[i].text if rows[i].text[:1].isspace() else f" {rows[i].text}" for i in group)
        if language.split("-")[0] in {"ja", "zh", "th"}:
            text = "".join(rows[i].text.strip() for i in group)
        text = " ".join(text.split())
        out.append(
            Utterance(
                id=_identity(start_s, text, seen),
                start_s=start_s,
                end_s=end_s,
                slot_end_s=max(start_s, following - GUARD_S),
                text=text,
                speaker=labels[group[0]],
            )
        )
    return out


def _in_order(words: Sequence[Word], duration_s: float) -> list[Word]:
    out: list[Word] = []
    floor_s = 0.0
    for word in words:
        if not word.text.strip():
            continue
        start_s = min(max(word.start_s, floor_s), duration_s)
        end_s = min(max(word.end_s, start_s), duration_s)
        out.append(word.model_copy(update={"start_s": start_s, "end_s": end_s}))
        floor_s = start_s
    # An end may not reach past the next onset: Whisper's last word of a phrase sometimes swallows the pause.
    for i in range(len(out) - 1):
        if out[i].end_s > out[i + 1].start_s:
            out[i] = out[i].model_copy(update={"end_s": max(out[i].start_s, out[i + 1].start_s)})
    return out


def _speaker(word: Word, turns: Sequence[Turn] | None) -> str:
    if not turns:
        return "S1"
    middle_s = (word.start_s + word.end_s) / 2
    return min(turns, key=lambda t: max(t[0].start_s - middle_s, middle_s - t[0].end_s, 0.0))[1]


def _sentences(words: Sequence[Word], labels: Sequence[str]) -> list[list[int]]:
    groups: list[list[int]] = []
    current: list[int] = []
    for i, word in enumerate(words):
        if current:
            gap_s = word.start_s - words[i - 1].end_s
            goes_on = word.text.strip()[:1].islower()
            if labels[i] != labels[i - 1] or gap_s > (_INNER_PAUSE_S if goes_on else _PAUSE_S):
                groups.append(current)
                current = []
        current.append(i)
        following = words[i + 1].text if i + 1 < len(words) else None
        if ends_sentence(word.text, following):
            groups.append(current)
            current = []
    if current:
        groups.append(current)
    return groups


def _length(words: Sequence[Word], group: Sequence[int]) -> tuple[float, int]:
    return words[group[-1]].end_s - words[group[0]].start_s, sum(len(words[i].text) for i in group)


def _split_long(words: Sequence[Word], group: list[int]) -> list[list[int]]:
    """Cut what is too long at its best clause pause: a long gap, after a comma, near the middle."""
    duration_s, chars = _length(words, group)
    if len(group) < 6 or (duration_s <= _LONGEST_S and chars <= _LONGEST_CHARS):
        return [group]
    done = 0
    best, best_score = 0, float("-inf")
    for k in range(1, len(group)):
        done += len(words[group[k - 1]].text)
        if k < 2 or k > len(group) - 2:
            continue
        gap_s = words[group[k]].start_s - words[group[k - 1]].end_s
        mark = words[group[k - 1]].text.strip()[-1:] in set(",;:—–、，")
        score = 2.0 * min(gap_s, 1.0) + mark - 1.5 * abs(done / max(1, chars) - 0.5)
        if score > best_score:
            best, best_score = k, score
    return [*_split_long(words, group[:best]), *_split_long(words, group[best:])]


def _glue(words: Sequence[Word], labels: Sequence[str], groups: list[list[int]]) -> list[list[int]]:
    """Tiny utterances join a close neighbour of the same speaker: a lone word has no room to be translated in."""
    out: list[list[int]] = []
    for group in groups:
        if out:
            before = out[-1]
            gap_s = words[group[0]].start_s - words[before[-1]].end_s
            tiny = min(_length(words, before)[0], _length(words, group)[0]) < _SHORTEST_S
            duration_s, chars = _length(words, [*before, *group])
            if (
                tiny
                and gap_s < _GLUE_GAP_S
                and labels[group[0]] == labels[before[0]]
                and duration_s <= _LONGEST_S
                and chars <= _LONGEST_CHARS
            ):
                out[-1] = [*before, *group]
                continue
        out.append(group)
    return out


def _identity(start_s: float, text: str, seen: set[str]) -> str:
    """Stable under edits elsewhere; unique within the video."""
    seed = f"{round(start_s * 1000)}|{text}"
    number = 0
    while True:
        value = "u" + hashlib.sha256(f"{seed}|{number}".encode()).hexdigest()[:8]
        if value not in seen:
            seen.add(value)
            return value
        number += 1
