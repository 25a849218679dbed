"""The fit planner: when each line is spoken and how fast. Exact integer arithmetic, deterministic, pure.

The plan minimises, over all lines at once, a convex cost: what an onset away from the source's costs, plus what
going faster than the voice's own pace costs. Lines are a chain (each starts after the one before it), so dynamic
programming over convex piecewise linear functions gives the exact optimum (`_optimise`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from dubline.models import Placement, Profile, Timeline

PACE_LIMIT: dict[Profile, float] = {"natural": 1.25, "strict": 1.5}
"""Listeners accept a pace of -10 … +20 %; beyond a quarter faster is heard as hurry."""

FILL_PACE = 0.85
"""Slowest pace of a line that is shorter than the source's speech: where lips move, somebody should be heard."""

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
class FitItem:
    """A line to place.

    Attributes:
        utterance_id: Which utterance it is.
        start_s: Onset of the source's speech.
        end_s: End of the source's speech.
        slot_end_s: Until when the line may sound undisturbed.
        samples: Natural duration, in samples at `rate_hz`; 0 when there is nothing to say.
        rate_hz: Rate of the line's own audio.
    """

    utterance_id: str
    start_s: float
    end_s: float
    slot_end_s: float
    samples: int
    rate_hz: int


@dataclass
class _Slot:
    item: FitItem
    onset: int
    natural: int  # length at the timeline's rate, unstretched, with slack
    slot_end: int
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
    """Place every line.

    A line that fits is laid at its source onset, slowed to 0.85 at most to last as long as the source's speech. A
    longer one borrows the silence after it, then leads by up to 0.3 s into silence before it, then is paced, then runs
    over: the next line starts later (drift) and the lines that follow keep some pace until a pause has paid it back.
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
    slots = [_slot(item, total_samples, rate_hz) for item in items]
    spoken = [s for s in slots if s.natural]
    if total_samples < 2 * len(spoken):  # no media to speak of
        spoken = []
    allowed = PACE_LIMIT[profile]
    gap, lead = int(_GAP_S * rate_hz), int(_LEAD_S * rate_hz)
    if gap * (len(spoken) - 1) > total_samples // 10:
        gap = 0
    limit = _feasible_limit(spoken, total_samples, gap, allowed)
    _optimise(spoken, total_samples, gap, lead, limit, _LATE_COST[profile], rate_hz)
    _fill(spoken, gap, rate_hz)
    return Timeline(
        sample_rate_hz=rate_hz,
        total_samples=total_samples,
        placements=tuple(_placement(s, rate_hz, allowed) for s in slots),
    )


def _slot(item: FitItem, total: int, rate_hz: int) -> _Slot:
    natural = 0
    if item.samples > 0 and item.rate_hz > 0:
        natural = -(-item.samples * rate_hz // item.rate_hz) + int(_SLACK_S * rate_hz)
    onset = min(max(0, round(item.start_s * rate_hz)), total)
    return _Slot(
        item=item,
        onset=onset,
        natural=natural,
        slot_end=min(total, max(onset, round(item.slot_end_s * rate_hz))),
        start=onset,
    )


def _feasible_limit(spoken: Sequence[_Slot], total: int, gap: int, allowed: float) -> float:
    """The profile's limit, or the least pace at which all lines fit into the media one after the other."""
    room = total - gap * max(0, len(spoken) - 1) - len(spoken)  # a sample a line for rounding up
    needed = sum(s.natural for s in spoken)
    return allowed if needed <= room * allowed else needed / max(1, room)


def _latest_starts(spoken: Sequence[_Slot], total: int, gap: int, limit: float) -> list[int]:
    """Latest start of each line from which all lines to the end still fit at the limit."""
    out = [0] * len(spoken)
    edge = total
    for position in range(len(spoken) - 1, -1, -1):
        out[position] = edge - spoken[position].shortest(limit)
        edge = out[position] - gap
    return out


def _optimise(
    spoken: Sequence[_Slot],
    total: int,
    gap: int,
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
    latest = _latest_starts(spoken, total, gap, limit)
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
        left = slot.left + slot.shortest(limit) + gap
    room_end = total
    for slot in reversed(spoken):
        room = room_end - slot.left - slot.shortest(limit)
        slot.start, slot.length = slot.left, slot.shortest(limit)
        merged = [(slope, 0, width) for slope, width in slot.pace_pieces]
        merged += [(slope, 1, width) for slope, width in slot.onset_pieces]
        for _, kind, width in sorted(merged, key=lambda piece: piece[:2]):
            taken = min(width, room)
            room -= taken
            slot.length += 0 if kind else taken
            slot.start += taken if kind else 0
        room_end = slot.start - gap


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
    """Cost of lengths between the shortest and the natural one, as falling pieces."""
    out: _Pieces = []
    longest = slot.natural
    for position, (_, cost) in enumerate(_PACE_COST):
        following = _PACE_COST[position + 1][0] if position + 1 < len(_PACE_COST) else math.inf
        shortest = slot.shortest(min(limit, following))
        if longest > shortest:
            out.append((-cost, longest - shortest))
            longest = shortest
        if following >= limit:
            break
    return out[::-1]


def _fill(spoken: Sequence[_Slot], gap: int, rate_hz: int) -> None:
    """Slow lines that are shorter than the source's speech, as far as they need, no slower than `FILL_PACE`."""
    for position, slot in enumerate(spoken):
        until = min(slot.slot_end, round(slot.item.end_s * rate_hz))
        if position + 1 < len(spoken):
            until = min(until, spoken[position + 1].start - gap)
        # A hundredth or two is heard by nobody and would only cost the filter's artefacts.
        if slot.length == slot.natural and until - slot.start > _WORTH_FILLING * slot.natural:
            slot.length = min(until - slot.start, math.floor(slot.natural / FILL_PACE))


def _placement(slot: _Slot, rate_hz: int, allowed: float) -> Placement:
    end = slot.start + slot.length
    return Placement(
        utterance_id=slot.item.utterance_id,
        start_sample=slot.start,
        length_samples=slot.length,
        stretch=slot.pace,
        slot_s=round((slot.slot_end - slot.onset) / rate_hz, 6),
        natural_s=round(slot.item.samples / slot.item.rate_hz if slot.item.rate_hz else 0.0, 6),
        onset_error_s=round((slot.start - slot.onset) / rate_hz, 6) if slot.length else 0.0,
        drift_s=round(max(0, end - slot.slot_end) / rate_hz, 6) if slot.length else 0.0,
        overrun_s=round(max(0, slot.shortest(allowed) - slot.length) / rate_hz, 6),
    )
