"""The fit planner: when each line is spoken and how fast. Exact integer arithmetic, deterministic, pure.

The plan minimises, over all lines at once, a convex cost: what an onset away from the source's costs, plus what
going faster than the voice's own pace costs. Lines are a chain (each starts after the one before it), so dynamic
programming over convex piecewise linear functions gives the exact optimum (`_optimise`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from dubline.models import LaidPhrase, Placement, Profile, Timeline

PACE_LIMIT: dict[Profile, float] = {"natural": 1.25, "strict": 1.5}
"""Listeners accept a pace of -10 … +20 %; beyond a quarter faster is heard as hurry."""

FILL_PACE = 0.85
"""Slowest pace of a line that is shorter than the source's speech: where lips move, somebody should be heard."""

CLOSE_PACE = 1.18
"""A line that outlasts the source's speech is this much faster at most though it fits: nobody hears it, and fewer see
lips that rest while somebody speaks (listeners accept 20 %)."""

_WORTH_FILLING = 1.02
_LEAD_S = 0.3
_GAP_S = 0.05  # between two lines where no silence is left
_SLACK_S = 0.010  # the stretch filter is exact to some milliseconds

# Cost of one more second: from this pace on (of time saved by pace), from this lateness on, from this lead on.
# A lead costs less than any pace, so it is taken first; a late onset costs more than a pace that passes for natural,
# and less than real hurry, so a line runs over before it gabbles. The costs rise, so that several lines share a need.
_PACE_COST = (
    (1.0, 8),
    (1.025, 10),
    (1.05, 12),
    (1.075, 14),
    (1.1, 18),
    (1.125, 22),
    (1.15, 26),
    (1.175, 32),
    (1.2, 44),
    (1.225, 56),
    (1.25, 80),
    (1.3, 100),
    (1.35, 130),
    (1.4, 160),
    (1.45, 200),
    (1.5, 10_000),
)
_LATE_COST: dict[Profile, tuple[tuple[float, int], ...]] = {
    "natural": ((0.0, 11), (0.15, 24), (0.5, 48), (1.5, 80)),
    "strict": ((0.0, 30), (0.15, 70), (0.5, 140), (1.5, 240)),
}
_EARLY_COST = 5

_Pieces = list[tuple[int, int]]  # (slope, width in samples) of a falling convex function, steepest first


@dataclass(frozen=True)
class FitPhrase:
    """A part of a line's audio that is to start with a phrase of the source.

    Attributes:
        start_s: Onset of the source's phrase.
        end_s: End of the source's phrase.
        first: First sample of the line's audio that belongs to it.
        samples: How many do, the pause after it included.
        pause: How many of them are that pause.
    """

    start_s: float
    end_s: float
    first: int
    samples: int
    pause: int = 0


@dataclass(frozen=True)
class FitItem:
    """A line to place.

    Attributes:
        utterance_id: Which utterance it is.
        start_s: Onset of the source's speech.
        end_s: End of the source's speech.
        slot_end_s: Until when the line may sound undisturbed.
        samples: Natural duration, in samples at `rate_hz`; 0 when there is nothing to say.
        rate_hz: Rate of the line's own audio.
        phrases: The line in parts, together all of it; none means one.
    """

    utterance_id: str
    start_s: float
    end_s: float
    slot_end_s: float
    samples: int
    rate_hz: int
    phrases: tuple[FitPhrase, ...] = ()


@dataclass
class _Slot:
    item: FitItem
    phrase: FitPhrase
    onset: int
    natural: int  # length at the timeline's rate, unstretched, with slack
    sounding: int  # of it, without the pause at its end
    wanted: int  # length that it has when nothing presses
    slot_end: int
    gap: int  # kept free after it
    start: int
    length: int = 0
    # What the optimisation remembers of this line: the cost of starting here, from `left` on, and of shortening.
    left: int = 0
    onset_pieces: _Pieces = field(default_factory=list)
    pace_pieces: _Pieces = field(default_factory=list)

    def shortest(self, pace: float) -> int:
        return math.ceil(self.natural / pace)

    @property
    def pace(self) -> float:
        return self.natural / self.length if self.length else 1.0


def plan(items: Sequence[FitItem], *, total_samples: int, rate_hz: int, profile: Profile) -> Timeline:
    """Place every line, phrase by phrase where a line has phrases.

    A line that fits is laid at its source onset and made to last as long as the source's speech, as far as a pace of
    0.85 … 1.18 does that. A longer one borrows the silence after it, then leads by up to 0.3 s into silence before it,
    then is paced, then runs over: the next line starts later (drift) and the lines that follow keep some pace until a
    pause has paid it back.
    Pace is shared with the neighbours rather than put on one line. Where the media ends soon, lines are moved and paced
    ahead of time, since nothing may be cut. Only when all lines at the profile's limit are still longer than the media
    is the limit exceeded, and `overrun_s` says by how much a line is then shorter than the limit allows.

    Args:
        items: In spoken order; those without samples get no length.
        total_samples: Length of the timeline.
        rate_hz: Sample rate of the timeline.
        profile: `natural` paces up to 1.25 and rather lets a line run over; `strict` paces up to 1.5 to keep the
            onsets.
    """
    lines = [_slots(item, total_samples, rate_hz) for item in items]
    spoken = [slot for line in lines for slot in line if slot.natural]
    if total_samples < 2 * len(spoken):  # no media to speak of
        spoken = []
    if sum(slot.gap for slot in spoken[:-1]) > total_samples // 10:
        for slot in spoken:
            slot.gap = 0
    allowed = PACE_LIMIT[profile]
    limit = _feasible_limit(spoken, total_samples, allowed)
    _optimise(spoken, total_samples, int(_LEAD_S * rate_hz), limit, _LATE_COST[profile], rate_hz)
    _fill(spoken, total_samples, rate_hz)
    return Timeline(
        sample_rate_hz=rate_hz,
        total_samples=total_samples,
        placements=tuple(_placement(line, rate_hz, allowed) for line in lines),
    )


def _slots(item: FitItem, total: int, rate_hz: int) -> list[_Slot]:
    """A slot for each phrase: it ends where the source's next phrase begins, the last one's where the line's does."""
    phrases = item.phrases or (FitPhrase(item.start_s, item.end_s, 0, item.samples),)
    out: list[_Slot] = []
    for number, phrase in enumerate(phrases):
        is_last = number + 1 == len(phrases)
        natural = pause = 0
        if phrase.samples > 0 and item.rate_hz > 0:
            natural = -(-phrase.samples * rate_hz // item.rate_hz) + int(_SLACK_S * rate_hz)
            pause = phrase.pause * rate_hz // item.rate_hz
        onset = min(max(0, round(phrase.start_s * rate_hz)), total)
        close = max(1.0, min(CLOSE_PACE, (natural - pause) / max(1.0, (phrase.end_s - phrase.start_s) * rate_hz)))
        slot_end_s = item.slot_end_s if is_last else phrases[number + 1].start_s
        out.append(
            _Slot(
                item=item,
                phrase=phrase,
                onset=onset,
                natural=natural,
                sounding=natural - pause,
                wanted=math.ceil(natural / close) if close >= _WORTH_FILLING else natural,
                slot_end=min(total, max(onset, round(slot_end_s * rate_hz))),
                gap=int(_GAP_S * rate_hz) if is_last else 0,
                start=onset,
            )
        )
    return out


def _feasible_limit(spoken: Sequence[_Slot], total: int, allowed: float) -> float:
    """The profile's limit, or the least pace at which all lines fit into the media one after the other."""
    room = total - sum(slot.gap for slot in spoken[:-1]) - len(spoken)  # a sample a line for rounding up
    needed = sum(s.natural for s in spoken)
    return allowed if needed <= room * allowed else needed / max(1, room)


def _latest_starts(spoken: Sequence[_Slot], total: int, limit: float) -> list[int]:
    """Latest start of each line from which all lines to the end still fit at the limit."""
    out = [0] * len(spoken)
    edge = total
    for position in range(len(spoken) - 1, -1, -1):
        out[position] = edge - spoken[position].shortest(limit)
        edge = out[position] - (spoken[position - 1].gap if position else 0)
    return out


def _optimise(
    spoken: Sequence[_Slot],
    total: int,
    lead: int,
    limit: float,
    late_cost: Sequence[tuple[float, int]],
    rate_hz: int,
) -> None:
    """Starts and lengths of least total cost.

    Let A(x) be the least cost of the lines so far when the next may start at x: convex, falling, piecewise linear,
    kept as its pieces. A line adds the cost of its onset to it (`_with_onset`), and then the choice of its length,
    which is an infimal convolution: for convex functions, all pieces sorted by slope. The way back then takes pieces
    in that order as far as the room goes.
    """
    latest = _latest_starts(spoken, total, limit)
    late = [(int(late_s * rate_hz), cost) for late_s, cost in late_cost]
    left, before = 0, []
    for slot, last_start in zip(spoken, latest, strict=True):
        # No earlier than the lead allows, unless the end of the media forces it.
        slot.left = max(left, min(slot.onset - lead, last_start))
        slot.onset_pieces = _with_onset(_cut_left(before, slot.left - left), slot.left, last_start, slot.onset, late)
        slot.pace_pieces = _pace_pieces(slot, limit)
        widths: dict[int, int] = {}
        for slope, width in [*slot.pace_pieces, *slot.onset_pieces]:
            widths[slope] = widths.get(slope, 0) + width
        before = sorted(widths.items())
        left = slot.left + slot.shortest(limit) + slot.gap
    room_end = total
    for position in range(len(spoken) - 1, -1, -1):
        slot = spoken[position]
        room = room_end - slot.left - slot.shortest(limit)
        slot.start, slot.length = slot.left, slot.shortest(limit)
        merged = [(slope, 0, width) for slope, width in slot.pace_pieces]
        merged += [(slope, 1, width) for slope, width in slot.onset_pieces]
        for _, kind, width in sorted(merged, key=lambda piece: piece[:2]):
            taken = min(width, room)
            room -= taken
            slot.length += 0 if kind else taken
            slot.start += taken if kind else 0
        room_end = slot.start - (spoken[position - 1].gap if position else 0)


def _cut_left(pieces: _Pieces, amount: int) -> _Pieces:
    out: _Pieces = []
    for slope, width in pieces:
        taken = min(width, amount)
        amount -= taken
        if width > taken:
            out.append((slope, width - taken))
    return out


def _with_onset(pieces: _Pieces, left: int, last_start: int, onset: int, late: Sequence[tuple[int, int]]) -> _Pieces:
    """Add the cost of starting away from the onset; what no longer falls, or comes too late, is left out."""
    edges = [(onset + offset, slope) for offset, slope in late]
    out: _Pieces = []
    at = left
    for slope, width in [*pieces, (0, max(0, onset - left))]:
        end = min(at + width, last_start)
        while at < end:
            extra = max((s for edge, s in edges if edge <= at), default=-_EARLY_COST)
            stop = min([end, *(edge for edge, _ in edges if edge > at)])
            if slope + extra >= 0:
                return out
            out.append((slope + extra, stop - at))
            at = stop
    return out


def _pace_pieces(slot: _Slot, limit: float) -> _Pieces:
    """Cost of lengths between the shortest and the wanted one, as falling pieces."""
    out: _Pieces = []
    longest = slot.wanted
    for position, (_, cost) in enumerate(_PACE_COST):
        following = _PACE_COST[position + 1][0] if position + 1 < len(_PACE_COST) else math.inf
        shortest = slot.shortest(min(limit, following))
        if longest > shortest:
            out.append((-cost, longest - shortest))
            longest = shortest
        if following >= limit:
            break
    return out[::-1]


def _fill(spoken: Sequence[_Slot], total: int, rate_hz: int) -> None:
    """Slow phrases that are shorter than the source's, as far as they need, no slower than `FILL_PACE`."""
    for position, slot in enumerate(spoken):
        if slot.length != slot.natural or not slot.sounding:
            continue
        until = min(slot.slot_end, round(slot.phrase.end_s * rate_hz))
        wanted = (until - slot.start) * slot.natural // slot.sounding  # the pause at its end grows with it
        following = spoken[position + 1].start - slot.gap if position + 1 < len(spoken) else total
        wanted = min(wanted, following - slot.start)
        # A hundredth or two is heard by nobody and would only cost the filter's artefacts.
        if wanted > _WORTH_FILLING * slot.natural:
            slot.length = min(wanted, math.floor(slot.natural / FILL_PACE))


def _placement(line: Sequence[_Slot], rate_hz: int, allowed: float) -> Placement:
    first, last, item = line[0], line[-1], line[0].item
    end = last.start + last.length
    is_laid = first.length > 0
    return Placement(
        utterance_id=item.utterance_id,
        start_sample=first.start,
        length_samples=end - first.start if is_laid else 0,
        stretch=max(slot.pace for slot in line),
        slot_s=round((last.slot_end - first.onset) / rate_hz, 6),
        natural_s=round(item.samples / item.rate_hz if item.rate_hz else 0.0, 6),
        onset_error_s=round((first.start - first.onset) / rate_hz, 6) if is_laid else 0.0,
        drift_s=round(max(0, end - last.slot_end) / rate_hz, 6) if is_laid else 0.0,
        overrun_s=round(sum(max(0, slot.shortest(allowed) - slot.length) for slot in line) / rate_hz, 6),
        phrases=tuple(_laid(slot, is_last=slot is last) for slot in line) if is_laid and len(line) > 1 else (),
    )


def _laid(slot: _Slot, *, is_last: bool) -> LaidPhrase:
    return LaidPhrase(
        first=slot.phrase.first,
        end=None if is_last else slot.phrase.first + slot.phrase.samples,
        start_sample=slot.start,
        length_samples=slot.length,
        stretch=slot.pace,
    )
