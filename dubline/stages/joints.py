"""Sentences that a chunk's border cuts in two, made whole again in the transcript."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dubline.models import Segment, Word
from dubline.timing.phrases import clinging, opening

_NEAR_S = 1.0
_MARKS = ".!?…。！？"
_CLOSING = ",;:-\"')”»" + _MARKS


def mend(chunks: Sequence[tuple[Segment, ...]], language: str) -> list[tuple[Segment, ...]]:
    """Segments chunk by chunk, with the marks taken off that a recogniser puts where its sound ends and begins.

    What it leaves unfinished ends with an ellipsis, and the next chunk begins with a capital. Both go where less than a
    second lies between, the capital only of small words, of those that were written without one before and of those
    that the recogniser itself knows without one: any other may be a name. What is said later tells nothing, so that a
    joint is the same whether or not that is known yet.
    """
    out = [list(segments) for segments in chunks]
    common = clinging(language) | opening(language)
    filled = [segments for segments in out if segments]
    for number, (before, after) in enumerate(pairwise(filled), 1):
        last, first = before[-1], after[0]
        if not last.words or not first.words or first.words[0].start_s - last.words[-1].end_s >= _NEAR_S:
            continue
        end, begin = last.words[-1].text, first.words[0].text
        open_end = end.rstrip(".…") if end.endswith(("...", "…")) else end
        if not open_end.strip() or open_end.rstrip()[-1] in _MARKS:
            continue
        before[-1] = _with(last, -1, open_end)
        small = begin.strip().lower()
        if first.begins_common or small.strip(_CLOSING) in common | _uncapped(filled[:number]):
            after[0] = _with(first, 0, begin.replace(begin.strip(), small))
    return [tuple(segments) for segments in out]


def _uncapped(chunks: Sequence[Sequence[Segment]]) -> frozenset[str]:
    """Words that are written without a capital, and never with one inside a sentence."""
    small: set[str] = set()
    capped: set[str] = set()
    for segments in chunks:
        words = [word.text.strip() for segment in segments for word in segment.words]
        small |= {word.strip(_CLOSING) for word in words if word[:1].islower()}
        inside = [word for before, word in pairwise(words) if before and before[-1] not in _MARKS]
        capped |= {word.strip(_CLOSING).lower() for word in inside if word[:1].isupper()}
    return frozenset(small - capped)


def _with(segment: Segment, at: int, text: str) -> Segment:
    words: list[Word] = list(segment.words)
    words[at] = words[at].model_copy(update={"text": text})
    # A text is its words, each with the space before it; where that does not hold, the text stays as it was.
    whole = "".join(w.text for w in segment.words)
    body = "".join(w.text for w in words) if whole.strip() == segment.text.strip() else segment.text
    return segment.model_copy(update={"words": tuple(words), "text": body})
