"""A translator that shouts: the smallest engine plug-in there can be. The engine guide is written along it."""

from __future__ import annotations

from collections.abc import Sequence

from dubline.engines.base import Capabilities, EngineKind, Licence, Missing, MtResult
from dubline.settings import Settings


class Shouting:
    """Nothing heavy to load, so nothing to close."""

    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        return [MtResult(candidates=(s.upper(),)) for s in sentences]

    def close(self) -> None: ...


class ShoutingPlugin:
    id = "shouting"
    kind: EngineKind = "mt"
    title = "Shouting"
    licence = Licence(code="MIT", weights="none", source="built in")

    def version(self) -> str:
        return "1"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        return None

    def capabilities(self, settings: Settings) -> Capabilities:
        return Capabilities(tier="good", pairs=frozenset({("en", "eo")}))

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        return "upper-case"

    def load(self, settings: Settings, model: str | None = None) -> Shouting:
        return Shouting()


PLUGIN = ShoutingPlugin()
