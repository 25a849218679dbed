"""How a text that nobody has spoken yet will fit: its length by what the voice has said, then the planner. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression

from dubline.models import Line, Profile
from dubline.timing.planner import FitItem, plan

COMFORTABLE_PACE = 1.2
"""Listeners take a pace up to this for natural."""

_LATE_S = 1.0
_OVER_S = 0.3
_RATE_HZ = 24_000
_USUAL_S, _USUAL_PER_CHAR_S = 0.7, 1 / 18.0  # Portuguese of the default voice, median error 5 %
_ENOUGH = 4  # lines from which a pause that does not depend on the text's length can be told


@dataclass(frozen=True)
class SpeechRate:
    """Seconds of a spoken text: `head_s` and `per_char_s` for each character."""

    head_s: float
    per_char_s: float

    def seconds(self, text: str) -> float:
        return self.head_s + self.per_char_s * len(text) if any(c.isalnum() for c in text) else 0.0


@dataclass(frozen=True)
class Forecast:
    """How one line will lie. Times in seconds; `pace` > 1 is faster than the voice's own."""

    natural_s: float
    slot_s: float
    pace: float
    late_s: float
    over_s: float

    @property
    def fits(self) -> bool:
        """Neither hurried nor late, as the report counts it, and over before the next line waits for it."""
        return self.pace <= COMFORTABLE_PACE + 1e-3 and self.late_s <= _LATE_S and self.over_s <= _OVER_S

    @property
    def message(self) -> str:
        """What is wrong; empty when it fits."""
        if self.fits:
            return ""
        if self.over_s > _OVER_S:
            return f"It would run {self.over_s:.1f} s past its slot of {self.slot_s:.1f} s."
        if self.pace > COMFORTABLE_PACE + 1e-3:
            return f"It would have to be spoken {self.pace:.2f} times as fast as the voice speaks."
        return f"It would begin {self.late_s:.1f} s late."


def learn_rate(spoken: Sequence[tuple[str, float]]) -> SpeechRate:
    """How fast a voice speaks, from texts and their natural seconds; the usual rate when there are none."""
    rows = [(len(text), seconds) for text, seconds in spoken if seconds > 0 and text]
    if not rows:
        return SpeechRate(_USUAL_S, _USUAL_PER_CHAR_S)
    lengths, seconds = [float(n) for n, _ in rows], [s for _, s in rows]
    if len(rows) >= _ENOUGH and len(set(lengths)) > 1:
        slope, intercept = linear_regression(lengths, seconds)
        if slope > 0 and intercept >= 0:
            return SpeechRate(intercept, slope)
    return SpeechRate(0.0, sum(seconds) / sum(lengths))


def foresee(
    lines: Sequence[Line], natural_s: Mapping[str, float], rate: SpeechRate, *, media_s: float, profile: Profile
) -> dict[str, Forecast]:
    """Every line by id as the planner would lay it.

    Args:
        lines: In order of time.
        natural_s: Length of the lines that are spoken already, by id; the others are estimated.
        rate: How fast the voice speaks.
        media_s: Length of the media in seconds.
        profile: The job's.
    """
    lengths = {line.utterance.id: natural_s.get(line.utterance.id, rate.seconds(line.text)) for line in lines}
    items = [
        FitItem(
            utterance_id=line.utterance.id,
            start_s=line.utterance.start_s,
            end_s=line.utterance.end_s,
            slot_end_s=line.utterance.slot_end_s,
            samples=round(lengths[line.utterance.id] * _RATE_HZ),
            rate_hz=_RATE_HZ,
        )
        for line in lines
    ]
    timeline = plan(items, total_samples=round(media_s * _RATE_HZ), rate_hz=_RATE_HZ, profile=profile)
    return {
        p.utterance_id: Forecast(
            natural_s=lengths[p.utterance_id],
            slot_s=p.slot_s,
            pace=p.stretch,
            late_s=p.onset_error_s,
            over_s=max(p.overrun_s, p.drift_s),
        )
        for p in timeline.placements
    }


def shorter_text(line: Line, others: Sequence[str], forecast: Forecast, rate: SpeechRate) -> str:
    """The longest of other wordings that is shorter and fits the slot at a comfortable pace; empty when none does."""
    room_s = forecast.slot_s * COMFORTABLE_PACE
    fitting = [t for t in others if t and len(t) < len(line.text) and rate.seconds(t) <= room_s]
    return max(fitting, key=len, default="")
