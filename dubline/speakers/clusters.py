"""Prints of voices into speakers: agglomerative clustering by cosine, average linkage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Measured with prints of 1.6 s: five recordings of one speaker each merge below 0.33, four readers above 0.43.
# Two synthetic voices of one engine lie closer: better joined than one speaker given two voices.
SAME_SPEAKER = 0.33
_LEAST_WINDOWS = 3  # fewer are noise, laughter or two at once, not a speaker
_MOST_MERGED = 1200  # the cost of merging grows with the cube of it
_ROUNDS = 5

Labels = NDArray[np.int64]


def cluster(prints: NDArray[np.float32], *, speakers: int | None = None) -> Labels:
    """A speaker's number, from 0, for each print of unit length.

    Args:
        prints: (windows, size).
        speakers: How many there are; None finds it out. Fewer are returned when so many cannot be told apart.
    """
    count = len(prints)
    if count == 0 or speakers == 1:
        return np.zeros(count, np.int64)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_MERGED)).astype(int))
    sample = prints[chosen]
    merges = _merges(sample)
    least = min(_LEAST_WINDOWS, max(1, len(sample) // 4))
    if speakers is None:
        steps = sum(distance <= SAME_SPEAKER for distance, _, _ in merges)
    else:
        steps = _steps_to(merges, len(sample), speakers, least)
    groups = _groups(merges[:steps], len(sample))
    sizes = np.bincount(groups)
    large = np.flatnonzero(sizes >= least)
    if not len(large):
        large = np.array([int(sizes.argmax())])
    return _settle(prints, np.stack([_unit(sample[groups == g].sum(axis=0)) for g in large]))


def _merges(prints: NDArray[np.float32]) -> list[tuple[float, int, int]]:
    """All merges, the closest first: (distance, kept, taken in)."""
    distances = 1.0 - (prints @ prints.T).astype(np.float64)
    np.fill_diagonal(distances, np.inf)
    sizes = np.ones(len(prints))
    out: list[tuple[float, int, int]] = []
    for _ in range(len(prints) - 1):
        kept, taken = sorted(int(i) for i in np.unravel_index(int(distances.argmin()), distances.shape))
        out.append((float(distances[kept, taken]), kept, taken))
        mean = (sizes[kept] * distances[kept] + sizes[taken] * distances[taken]) / (sizes[kept] + sizes[taken])
        distances[kept], distances[:, kept] = mean, mean
        distances[kept, kept] = np.inf
        distances[taken], distances[:, taken] = np.inf, np.inf
        sizes[kept] += sizes[taken]
    return out


def _groups(merges: list[tuple[float, int, int]], count: int) -> Labels:
    owner = np.arange(count)
    for _, kept, taken in merges:
        owner[owner == taken] = kept
    return np.unique(owner, return_inverse=True)[1].astype(np.int64)


def _steps_to(merges: list[tuple[float, int, int]], count: int, speakers: int, least: int) -> int:
    """How many merges leave so many clusters of size, as late as possible; else the most clusters there ever are."""
    sizes = np.ones(count, int)
    large, best, best_steps = int(least == 1) * count, 0, len(merges)
    for step, (_, kept, taken) in enumerate(merges, start=1):
        large -= int(sizes[kept] >= least) + int(sizes[taken] >= least)
        sizes[kept], sizes[taken] = sizes[kept] + sizes[taken], 0
        large += int(sizes[kept] >= least)
        if min(large, speakers) >= best and large <= speakers:
            best, best_steps = large, step
    return best_steps


def _settle(prints: NDArray[np.float32], centres: NDArray[np.float32]) -> Labels:
    """Every print to its nearest centre, the centres moved to their prints, until nothing changes."""
    labels = (prints @ centres.T).argmax(axis=1)
    for _ in range(_ROUNDS):
        held = [k for k in range(len(centres)) if (labels == k).any()]
        centres = np.stack([_unit(prints[labels == k].sum(axis=0)) for k in held])
        moved = (prints @ centres.T).argmax(axis=1)
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels.astype(np.int64)


def _unit(value: NDArray[np.float32]) -> NDArray[np.float32]:
    return value / max(float(np.linalg.norm(value)), 1e-9)
