"""Diarization error rate: who spoke when, against a reference, under the best naming of the speakers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dubline.models import Frozen, SpeakerTurn

_STEP_S = 0.01


class DiarizationError(Frozen):
    """Seconds of each kind of error, and of the reference's speech (each speaker's counted, also where two speak)."""

    missed_s: float
    false_alarm_s: float
    confused_s: float
    speech_s: float

    @property
    def rate(self) -> float:
        return (self.missed_s + self.false_alarm_s + self.confused_s) / self.speech_s if self.speech_s else 0.0


def diarization_error(
    reference: Sequence[SpeakerTurn], found: Sequence[SpeakerTurn], *, collar_s: float = 0.0
) -> DiarizationError:
    """Errors in steps of 10 ms; speech of several at once is scored too.

    Args:
        reference: Who really spoke when.
        found: What is judged; its labels mean nothing.
        collar_s: Left out of the score on either side of each edge of the reference, in seconds.
    """
    steps = 1 + round(max((t.end_s for t in (*reference, *found)), default=0.0) / _STEP_S)
    true, said = _active(reference, steps), _active(found, steps)
    scored = np.ones(steps, bool)
    for turn in reference:
        for edge_s in (turn.start_s, turn.end_s) if collar_s else ():
            scored[max(0, round((edge_s - collar_s) / _STEP_S)) : round((edge_s + collar_s) / _STEP_S)] = False
    true, said = true[:, scored], said[:, scored]
    together = true.astype(np.int64) @ said.T.astype(np.int64)
    right = _best(together)
    many_true, many_said = true.sum(axis=0), said.sum(axis=0)
    return DiarizationError(
        missed_s=float(np.maximum(many_true - many_said, 0).sum()) * _STEP_S,
        false_alarm_s=float(np.maximum(many_said - many_true, 0).sum()) * _STEP_S,
        confused_s=float(np.minimum(many_true, many_said).sum() - right) * _STEP_S,
        speech_s=float(many_true.sum()) * _STEP_S,
    )


def _active(turns: Sequence[SpeakerTurn], steps: int) -> NDArray[np.bool_]:
    """(speakers, steps): who speaks in which step."""
    names = sorted({t.speaker for t in turns})
    out = np.zeros((len(names), steps), bool)
    for turn in turns:
        out[names.index(turn.speaker), round(turn.start_s / _STEP_S) : round(turn.end_s / _STEP_S)] = True
    return out


def _best(together: NDArray[np.int64]) -> int:
    """The largest sum of one entry a row and column at most: the Hungarian method with potentials."""
    size = max(together.shape, default=0)
    cost = np.zeros((size + 1, size + 1))
    cost[1 : together.shape[0] + 1, 1 : together.shape[1] + 1] = -together
    row_bias, column_bias = np.zeros(size + 1), np.zeros(size + 1)
    row_of = np.zeros(size + 1, int)
    for row in range(1, size + 1):
        row_of[0], column = row, 0
        least, came, used = np.full(size + 1, np.inf), np.zeros(size + 1, int), np.zeros(size + 1, bool)
        while row_of[column]:
            used[column] = True
            reduced = cost[row_of[column]] - row_bias[row_of[column]] - column_bias
            better = ~used & (reduced < least)
            better[0] = False
            least[better], came[better] = reduced[better], column
            free = np.where(used, np.inf, least)
            free[0] = np.inf
            following = int(free.argmin())
            step = free[following]
            row_bias[row_of[used]] += step
            column_bias[used] -= step
            least[~used] -= step
            column = following
        while column:
            row_of[column] = row_of[came[column]]
            column = came[column]
    return int(sum(-cost[row_of[c], c] for c in range(1, size + 1)))
