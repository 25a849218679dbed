"""Which of the languages and pairs that are here comes nearest to what was asked."""

from __future__ import annotations

from collections.abc import Iterable

from dubline.languages import base, canonical

# The region that a bare language means, where engines tell regions apart.
_USUAL = {"en": "en-US", "es": "es", "pt": "pt-BR", "fr": "fr"}


def distance(asked: str, offered: str) -> int | None:
    """0 the same, 1 the usual region of a bare language (either way), 2 another region, None another language."""
    asked, offered = canonical(asked), canonical(offered)
    if asked == offered:
        return 0
    if base(asked) != base(offered):
        return None
    usual = _USUAL.get(base(asked), base(asked))
    return 1 if offered in (usual, base(asked)) else 2


def nearest(offered: Iterable[str], asked: str) -> str | None:
    """The language that serves best, or None."""
    rows = [(d, o) for o in offered if (d := distance(asked, o)) is not None]
    return min(rows)[1] if rows else None


def closest(offered: Iterable[tuple[str, str]], source: str, target: str) -> tuple[str, str] | None:
    """The pair that serves best: the target's region counts before the source's. None when there is none."""
    rows = [
        (to, of, pair)
        for pair in offered
        if (of := distance(source, pair[0])) is not None and (to := distance(target, pair[1])) is not None
    ]
    return min(rows)[2] if rows else None
