"""How long a text will take to be spoken, and which of several translations fits its slot."""

from __future__ import annotations

from collections.abc import Sequence

SECONDS_PER_CHAR = 1 / 18.1
SECONDS_BASE = 0.71
"""Brazilian Portuguese of the default voice, measured: median error 5 %. Each engine declares its own."""

COMFORTABLE_PACE = 1.2
"""A text that is longer than its slot by no more than this is spoken faster, which listeners accept."""


def predict_s(text: str, seconds_per_char: float = SECONDS_PER_CHAR, base: float = SECONDS_BASE) -> float:
    """Seconds that a text takes to be spoken: `base` plus a share for each character; 0 without a letter or digit."""
    spoken = " ".join(text.split())
    return base + len(spoken) * seconds_per_char if any(c.isalnum() for c in spoken) else 0.0


def choose_candidate(
    candidates: Sequence[str],
    slot_s: float,
    *,
    seconds_per_char: float = SECONDS_PER_CHAR,
    base: float = SECONDS_BASE,
    pace: float = COMFORTABLE_PACE,
) -> int:
    """Index of the translation to speak: the best that fits, else the shortest.

    Args:
        candidates: Good translations, best first; those with nothing to say are passed over while another has.
        slot_s: Time the line may fill.
        seconds_per_char: Of the voice, see `predict_s`.
        base: Of the voice, in seconds.
        pace: How much faster than the voice's own pace still counts as fitting.

    Raises:
        ValueError: there is no candidate.
    """
    if not candidates:
        raise ValueError("there is no candidate to choose from")
    predicted = [(predict_s(c, seconds_per_char, base), i) for i, c in enumerate(candidates)]
    speakable = [row for row in predicted if row[0] > 0] or predicted
    return next((i for seconds, i in speakable if seconds <= slot_s * pace), min(speakable)[1])
