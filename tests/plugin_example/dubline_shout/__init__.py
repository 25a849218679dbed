"""A translation engine that shouts: the example of the engine guide, installed and used by a test."""

from __future__ import annotations

from collections.abc import Sequence

from dubline.engines.base import Capabilities, EngineKind, Licence, Missing, MtResult
from dubline.settings import Settings


class Shout:
    """What `load` gives: one result for each sentence, in order."""

    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        return [MtResult(candidates=(f"{sentence.upper()}",)) for sentence in sentences]

    def close(self) -> None: ...


class Plugin:
    """What the entry point names. Cheap to import: the engine is built in `load`."""

    id = "shout"
    kind: EngineKind = "mt"
    title = "Shout"
    licence = Licence(code="CC0", weights="none", source="an example")

    def version(self) -> str:
        return "1"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        return None

    def capabilities(self, settings: Settings) -> Capabilities:
        return Capabilities(tier="good", pairs=frozenset({("en", "nl")}))

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        return "no weights"

    def load(self, settings: Settings, model: str | None = None) -> Shout:
        return Shout()


PLUGIN = Plugin()
