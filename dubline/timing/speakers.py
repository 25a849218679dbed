"""Words to speakers: a change falls between sentences or at a pause, not where a window of sound happened to end."""

from __future__ import annotations

from collections.abc import Sequence

from dubline.models import SpeakerTurn, Word
from dubline.timing.sentences import ends_sentence

_REACH_S = 1.2  # windows of 1.6 s place a change no better
_PAUSE_S = 0.25


def label_words(words: Sequence[Word], turns: Sequence[SpeakerTurn] | None) -> list[str]:
    """The speaker whose turn holds, or is nearest to, the middle of each word; everybody is `S1` without turns."""
    if not turns:
        return ["S1"] * len(words)
    import numpy as np  # not at the top: the API has these rules in memory, and seldom a use for arrays

    starts = np.array([turn.start_s for turn in turns])
    ends = np.array([turn.end_s for turn in turns])
    out: list[str] = []
    for word in words:
        middle_s = (word.start_s + word.end_s) / 2
        distance = np.maximum(np.maximum(starts - middle_s, middle_s - ends), 0.0)
        out.append(turns[int(distance.argmin())].speaker)
    return _snapped(words, out)


def _snapped(words: Sequence[Word], labels: list[str]) -> list[str]:
    """Each change moved to the best boundary within reach, never past another change."""
    changes = [i for i in range(1, len(labels)) if labels[i] != labels[i - 1]]
    out = list(labels)
    lowest = 1
    for position, at in enumerate(changes):
        highest = changes[position + 1] if position + 1 < len(changes) else len(labels)
        near = [
            i
            for i in range(lowest, highest)
            if abs((words[i].start_s + words[i - 1].end_s) / 2 - (words[at].start_s + words[at - 1].end_s) / 2)
            <= _REACH_S
        ]
        best = max(near, key=lambda i: (_worth(words, i), -abs(i - at)), default=at)
        out[min(best, at) : max(best, at)] = [labels[at] if best < at else labels[at - 1]] * abs(best - at)
        lowest = best + 1
    return out


def _worth(words: Sequence[Word], i: int) -> float:
    """How likely somebody else begins with word `i`: after a mark that ends a sentence, after a pause."""
    gap_s = max(0.0, words[i].start_s - words[i - 1].end_s)
    ends = ends_sentence(words[i - 1].text, words[i].text)
    return 2.0 * ends + min(gap_s, 1.0) * (gap_s >= _PAUSE_S)
