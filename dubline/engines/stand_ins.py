"""Names kept out of a translator's sight: a word that no dictionary has stands in for each."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAME = re.compile(r"(?<=[\w,;:] )[A-Z]\w+\b|^[A-Z]\w+\b")
_STAND_INS = tuple(f"Zq{letter}z" for letter in "abcdefghijklm")


def names(english: str, middle: str) -> list[str]:
    """Words with a capital of an English sentence that are in its translation as they were, at most 13."""
    found = dict.fromkeys(_NAME.findall(english))
    # At the beginning of both it may be any word, such as "Continue", which Portuguese has too.
    kept = [n for n in found if re.search(rf"{'.' if english.startswith(n) else ''}\b{n}\b", middle)]
    return kept[: len(_STAND_INS)]


def hidden(text: str, names: Sequence[str]) -> str:
    """The text with a stand-in for each name."""
    for name, stand_in in zip(names, _STAND_INS, strict=False):
        text = re.sub(rf"\b{name}\b", stand_in, text)
    return text


def shown(text: str, names: Sequence[str]) -> str:
    """The text with the names in the places of their stand-ins; `names` as they were hidden."""
    for name, stand_in in zip(names, _STAND_INS, strict=False):
        text = text.replace(stand_in, name)
    return text


def without_articles(text: str, names: Sequence[str], english: str) -> str:
    """Spanish without the articles that Portuguese gives to names, but where the English says "the"."""
    for name in names:
        if not re.search(rf"\b(?:the|el|la) {name}\b", english, re.IGNORECASE):  # "La Paz" has its own
            text = re.sub(rf"\b(?:del|de la) (?={name}\b)", "de ", text)
            text = re.sub(rf"\b(?:al|a la) (?={name}\b)", "a ", text)
            text = re.sub(rf"\b(?:[Ee]l|[Ll]a) (?={name}\b)", "", text)
    return text
