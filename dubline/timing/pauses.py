"""Pauses inside a line: which pause of the voice belongs to which pause of the source. Pure.

A speaker who stops in the middle of a sentence is seen to stop. A voice pauses where its own text has a comma. Where
the two pauses can be the same, the phrase after them starts at the source's onset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dubline.models import Span, Spoken, Utterance
from dubline.timing.planner import FitItem, FitPhrase

PAUSE_S = 0.3
"""A pause of the source from here on is one that a viewer sees."""

_COMFORTABLE = 1.1  # a phrase that would need more pace than this is not tied to its source's
_SLOWEST = 0.85
_TAIL_S = 0.3  # Whisper ends a last word early
_LATE_S = 0.05  # voice activity ends as late (measured on voices whose levels tell where they end)
_LEAD_S = 0.12  # of a pause, half of it at most, that goes with the phrase after it: soft sounds begin there
_SHORTEST_S = 0.15
_SLOWING = 0.2  # what a second of slowing costs, against one in which only one of the two is heard


@dataclass(frozen=True)
class TiedPhrase:
    """A phrase of a line: seconds of the voice's own audio (`end_s` None: to its end), and the source's phrase.

    The source's begins earlier by as much of the pause as goes with this one.
    """

    first_s: float
    end_s: float | None
    pause_s: float
    source: Span


def source_phrases(utterance: Utterance, speech: Sequence[Span]) -> list[Span]:
    """Where the source speaks inside an utterance, pauses below `PAUSE_S` bridged; at least one span."""
    out: list[Span] = []
    until_s = max(utterance.end_s, min(utterance.end_s + _TAIL_S, utterance.slot_end_s))
    for span in speech:
        start_s, end_s = max(span.start_s, utterance.start_s), min(span.end_s - _LATE_S, until_s)
        if end_s - start_s < _SHORTEST_S:
            continue
        if out and start_s - out[-1].end_s < PAUSE_S:
            out[-1] = Span(start_s=out[-1].start_s, end_s=end_s)
        else:
            out.append(Span(start_s=start_s, end_s=end_s))
    if not out:
        return [Span(start_s=utterance.start_s, end_s=utterance.end_s)]
    # The recogniser knows where the first word begins; voice activity may hear it as part of the line before.
    out[0] = Span(start_s=utterance.start_s, end_s=out[0].end_s)
    return out


def tie(utterance: Utterance, speech: Sequence[Span], voice: Sequence[Span]) -> list[TiedPhrase]:
    """Cut a line at those of its pauses that the source shares; one phrase where it shares none.

    Of all ways to pair pauses in order the cheapest is taken: it costs the seconds in which one of the two speaks and
    the other does not, and a little for a phrase that has to be slowed. A way in which a phrase would have to hurry, or
    in which the line as a whole does not fit its slot, is none.

    Args:
        utterance: The source's line.
        speech: Voice activity of the source, in order of time.
        voice: Where the line's own audio sounds, in seconds of that audio.
    """
    source = source_phrases(utterance, speech)
    spoken = list(voice) or [Span(start_s=0.0, end_s=0.0)]
    whole_s = spoken[-1].end_s - spoken[0].start_s
    fits = whole_s <= utterance.slot_end_s - utterance.start_s
    pairs = _cheapest(source, spoken) if fits and len(source) > 1 and len(spoken) > 1 else [(0, 0)]
    leads_s = [min(_LEAD_S, (spoken[mine].start_s - spoken[mine - 1].end_s) / 2) if mine else 0.0 for mine, _ in pairs]
    out: list[TiedPhrase] = []
    for number, (mine, theirs) in enumerate(pairs):
        end_s, pause_s, last = None, 0.0, source[-1]
        if number + 1 < len(pairs):
            following, theirs_next = pairs[number + 1]
            end_s = spoken[following].start_s - leads_s[number + 1]
            pause_s, last = end_s - spoken[following - 1].end_s, source[theirs_next - 1]
        out.append(
            TiedPhrase(
                first_s=spoken[mine].start_s - leads_s[number] if number else 0.0,
                end_s=end_s,
                pause_s=pause_s,
                source=Span(start_s=source[theirs].start_s - leads_s[number], end_s=last.end_s),
            )
        )
    return out


def fit_item(utterance: Utterance, spoken: Spoken, speech: Sequence[Span]) -> FitItem:
    """What the planner needs of a line that was spoken: its phrases in samples of its own audio."""
    rate_hz = spoken.sample_rate_hz
    tied = tie(utterance, speech, spoken.phrases)
    edges = [*(round(t.first_s * rate_hz) for t in tied), spoken.samples]
    return FitItem(
        utterance_id=utterance.id,
        start_s=utterance.start_s,
        end_s=utterance.end_s,
        slot_end_s=utterance.slot_end_s,
        samples=spoken.samples,
        rate_hz=rate_hz,
        phrases=tuple(
            FitPhrase(
                start_s=t.source.start_s,
                end_s=t.source.end_s,
                first=first,
                samples=end - first,
                pause=round(t.pause_s * rate_hz),
            )
            for t, (first, end) in zip(tied, pairwise(edges), strict=True)
        ),
    )


def _cheapest(source: Sequence[Span], spoken: Sequence[Span]) -> list[tuple[int, int]]:
    """Pairs (phrase of the voice, phrase of the source) that start together, the first two among them."""
    best: dict[tuple[int, int], tuple[float, list[tuple[int, int]]]] = {(0, 0): (0.0, [(0, 0)])}
    for mine in range(1, len(spoken)):
        for theirs in range(1, len(source)):
            ways = [
                (cost + step, [*pairs, (mine, theirs)])
                for (a, b), (cost, pairs) in best.items()
                if a < mine and b < theirs and (step := _cost(source[b:theirs], spoken[a:mine])) is not None
            ]
            if ways:
                best[mine, theirs] = min(ways)
    ends = [
        (cost + step, pairs)
        for (a, b), (cost, pairs) in best.items()
        if (step := _cost(source[b:], spoken[a:], is_free=(a, b) == (0, 0))) is not None
    ]
    return min(ends)[1]


def _cost(source: Sequence[Span], spoken: Sequence[Span], *, is_free: bool = False) -> float | None:
    """Seconds in which only one of two runs of phrases sounds; None where the voice would have to hurry."""
    theirs_s, mine_s = source[-1].end_s - source[0].start_s, spoken[-1].end_s - spoken[0].start_s
    if mine_s > theirs_s * _COMFORTABLE and not is_free:
        return None
    lacking_s = max(0.0, theirs_s - mine_s / _SLOWEST)
    slowed_s = max(0.0, min(theirs_s - mine_s, mine_s / _SLOWEST - mine_s))
    return _pauses_s(source) + _pauses_s(spoken) + max(0.0, mine_s - theirs_s) + lacking_s + _SLOWING * slowed_s


def _pauses_s(spans: Sequence[Span]) -> float:
    """Pauses that are long enough to be noticed, in seconds altogether."""
    pauses = (b.start_s - a.end_s for a, b in pairwise(spans))
    return sum(pause_s for pause_s in pauses if pause_s >= PAUSE_S)
