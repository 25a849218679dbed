"""Which voice dubs whom: higher voices for higher speakers, a voice of its own for each while there are enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dubline.engines.base import Voice
from dubline.models import Speaker

HIGH_HZ = 165.0
"""Between the medians of men's and women's speech."""


def cast(speakers: Sequence[Speaker], voices: Sequence[Voice], *, first: str, is_named: bool = False) -> dict[str, str]:
    """A voice for each speaker's label, decided by the speakers alone, so that no edit changes it.

    Args:
        speakers: In order of first speaking; nobody is taken for one speaker, `S1`.
        voices: That speak the language, the preferred first.
        first: Voice that is preferred, and that of a speaker of unknown pitch.
        is_named: A person asked for `first` by name: who speaks first has it, whatever the pitch.
    """
    if not speakers:
        return {"S1": first}
    rows = sorted(voices, key=lambda v: v.id != first)
    used = Counter({first: 1}) if is_named else Counter[str]()
    out = {speakers[0].label: first} if is_named else {}
    for speaker in speakers[len(out) :]:
        suiting = [v.id for v in rows if _suits(v, speaker.pitch_hz)] or [v.id for v in rows] or [first]
        chosen = min(suiting, key=lambda v: used[v])
        out[speaker.label] = chosen
        used[chosen] += 1
    return out


def has_choice(voices: Sequence[Voice]) -> bool:
    """Whether there are higher and lower voices."""
    return {"female", "male"} <= {v.gender for v in voices}


def _suits(voice: Voice, pitch_hz: float | None) -> bool:
    """A voice that does not say what it is suits everybody, and so does every voice a speaker of unknown pitch."""
    if pitch_hz is None or voice.gender not in ("female", "male"):
        return True
    return (voice.gender == "female") == (pitch_hz >= HIGH_HZ)
