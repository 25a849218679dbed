"""The fit planner: when each line is spoken and how fast. Exact arithmetic over samples, deterministic, pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dubline.models import Placement, Profile, Timeline

PACE_LIMIT: dict[Profile, float] = {"natural": 1.25, "strict": 1.5}
"""Listeners accept a pace of -10 … +20 %; beyond a quarter faster is heard as hurry (spec of the pipeline)."""

_COMFORT = 1.1  # pace that is not heard as such; taken before a line may drift
_LEAD_S = 0.3
_GAP_S = 0.05  # between two lines where no silence is left
_SLACK_S = 0.010  # the stretch filter is exact to some milliseconds


@dataclass(frozen=True)
class FitItem:
    """A line to place. `samples` at `rate_hz` is its natural duration; times are those of the source's speech."""

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

    def shortest(self, pace: float) -> int:
        return math.ceil(self.natural / pace)

    @property
    def pace(self) -> float:
        return self.natural / self.length if self.length else 1.0


def plan(items: Sequence[FitItem], *, total_samples: int, rate_hz: int, profile: Profile) -> Timeline:
    """Place every line.

    Each line wants its source onset at its natural pace. Too long for its slot (the time to the next onset), it first
    leads into silence before it by up to 0.3 s, then is paced up to the profile's limit, then runs over: the next line
    starts later (drift) and lines keep some pace until a pause has paid it back. Where the end of the media is near,
    lines move and are paced ahead of time, since nothing may be cut. Only when all lines at the limit are still longer
    than the media is the limit exceeded, and `overrun_s` says by how much a line's length falls short of it.

    Args:
        items: In spoken order; zero-length items are placed with no length.
    """
    slots = [_slot(item, total_samples, rate_hz) for item in items]
    allowed = PACE_LIMIT[profile]
    gap, lead = int(_GAP_S * rate_hz), int(_LEAD_S * rate_hz)
    spoken = [s for s in slots if s.natural]
    if gap * (len(spoken) - 1) > total_samples // 10:
        gap = 0
    limit = _feasible_limit(spoken, total_samples, gap, allowed)
    latest = _latest_starts(spoken, total_samples, gap, limit)
    free = 0
    for position, slot in enumerate(spoken):
        last = position + 1 == len(spoken)
        room_end = min(slot.slot_end, total_samples) if last else min(slot.slot_end, spoken[position + 1].onset)
        end_limit = total_samples if last else latest[position + 1] - gap
        room_end = min(max(room_end, slot.onset), end_limit)
        start = max(free, min(slot.onset, latest[position]))
        if start + slot.natural > room_end:
            start = max(free, min(start, slot.onset - min(lead, start + slot.natural - room_end)))
        wanted = min(limit, max(1.0, slot.natural / max(1, room_end - start)))
        slot.start = start
        # The earliest length that is allowed always ends in time: that is what `latest` was made for.
        slot.length = max(slot.shortest(limit), min(slot.shortest(wanted), end_limit - start))
        free = start + slot.length + gap
    _share_hurry(spoken, gap, lead)
    return Timeline(
        sample_rate_hz=rate_hz,
        total_samples=total_samples,
        placements=tuple(_placement(s, rate_hz, allowed) for s in slots),
    )


def _slot(item: FitItem, total: int, rate_hz: int) -> _Slot:
    natural = 0
    if item.samples > 0 and item.rate_hz > 0:
        natural = math.ceil(item.samples * rate_hz / item.rate_hz) + int(_SLACK_S * rate_hz)
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


def _share_hurry(spoken: Sequence[_Slot], gap: int, lead: int) -> None:
    """A hurried line takes time from the line just before it, as far as that is not heard.

    The line before is paced up to what passes for natural, and the hurried one starts that much earlier, at most the
    allowed lead before its onset.
    """
    for before, slot in zip(spoken, spoken[1:], strict=False):
        ends = before.start + before.length + gap
        if slot.pace <= _COMFORT or before.pace >= _COMFORT or ends < slot.start:
            continue
        earliest = max(before.start + before.shortest(_COMFORT) + gap, slot.onset - lead)
        gain = min(slot.start - earliest, slot.natural - slot.length)
        if gain > 0:
            before.length -= gain
            slot.start -= gain
            slot.length += gain


def _placement(slot: _Slot, rate_hz: int, allowed: float) -> Placement:
    end = slot.start + slot.length
    return Placement(
        utterance_id=slot.item.utterance_id,
        start_sample=slot.start,
        length_samples=slot.length,
        stretch=max(slot.pace, 1.0),
        slot_s=round((slot.slot_end - slot.onset) / rate_hz, 6),
        natural_s=round(slot.item.samples / slot.item.rate_hz if slot.item.rate_hz else 0.0, 6),
        onset_error_s=round((slot.start - slot.onset) / rate_hz, 6) if slot.length else 0.0,
        drift_s=round(max(0, end - slot.slot_end) / rate_hz, 6) if slot.length else 0.0,
        overrun_s=round(max(0, slot.shortest(allowed) - slot.length) / rate_hz, 6) if slot.length else 0.0,
    )
