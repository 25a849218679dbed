"""The choice of `auto`, its refusals, and strangers' faults, over made-up plug-ins."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dubline.engines import registry
from dubline.engines.base import Capabilities, EngineKind, Licence, Missing, Voice
from dubline.errors import EngineUnavailable, InputError
from dubline.settings import Settings


@dataclass(frozen=True)
class Fake:
    id: str
    kind: EngineKind
    able: Capabilities
    gap: Missing | None = None
    title: str = "Fake"
    licence: Licence = field(default_factory=lambda: Licence("MIT", "none", "nowhere"))

    def version(self) -> str:
        return "1"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        return self.gap

    def capabilities(self, settings: Settings) -> Capabilities:
        return self.able

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        return "-".join(pair) if pair else "all"

    def load(self, settings: Settings, model: str | None = None) -> Any:
        raise AssertionError("a choice is made without loading anything")


GAP = Missing("The package x is not installed.", "pip install x")
ENGLISH = (Voice("emma", "en-GB"), Voice("heart", "en-US"), Voice("sky", "en-US"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(dubline_home=tmp_path)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    def put(*rows: Fake) -> None:
        def found(kind: EngineKind):
            return {r.id: r for r in rows if r.kind == kind}, ()

        monkeypatch.setattr(registry, "_found", found)

    return put


def mt(id: str, tier: Any, *pairs: tuple[str, str], quality: float = 0.0, gap: Missing | None = None) -> Fake:
    return Fake(id, "mt", Capabilities(tier=tier, pairs=frozenset(pairs), quality=quality), gap)


TABLE = [
    ("en", "pt-BR", "neural"),
    ("en-US", "pt", "neural"),
    ("en", "es", "pivot"),  # same tier, better quality
    ("es", "pt-PT", "rules"),
    ("es", "pt-BR", "rules"),
    ("en", "es-MX", "pivot"),
]


@pytest.mark.parametrize(("source", "target", "engine"), TABLE)
def test_auto_takes_the_best_for_the_pair(settings: Settings, install, source: str, target: str, engine: str) -> None:
    rows = [
        mt("neural", "best", ("en", "pt-BR")),
        mt("rules", "good", ("en", "es"), ("es", "pt-BR"), ("es", "pt-PT"), quality=1),
        mt("pivot", "good", ("en", "es"), quality=2),
        mt("simulated", "simulated", *itertools.permutations(["en", "es", "pt-BR", "ja"], 2)),
    ]
    for order in (rows, rows[::-1]):
        install(*order)
        assert registry.choose_mt(settings, engine="auto", model=None, source=source, target=target).engine == engine


def test_the_asked_region_decides_the_weights(settings: Settings, install) -> None:
    install(mt("rules", "good", ("es", "pt-BR"), ("es", "pt-PT")))
    for target in ("pt-BR", "pt-PT"):
        choice = registry.choose_mt(settings, engine="auto", model=None, source="es", target=target)
        assert choice.fingerprint == f"es-{target}"


def test_simulated_only_by_name(settings: Settings, install) -> None:
    absent = mt("rules", "good", gap=GAP)
    install(mt("neural", "best", ("en", "pt-BR")), absent, mt("simulated", "simulated", ("en", "ja")))
    with pytest.raises(InputError) as refusal:
        registry.choose_mt(settings, engine="auto", model=None, source="en", target="ja")
    assert refusal.value.code == "language_pair_unsupported"
    assert refusal.value.details["targets"] == ["pt-BR"]
    assert GAP.command in refusal.value.hint  # nobody knows its languages before it is here, but it may have this one
    named = registry.choose_mt(settings, engine="simulated", model=None, source="en", target="ja")
    assert named.engine == "simulated"


def test_missing_packages_are_said_with_the_command(settings: Settings, install) -> None:
    install(mt("neural", "best", ("en", "pt-BR"), gap=GAP))
    with pytest.raises(EngineUnavailable) as refusal:
        registry.choose_mt(settings, engine="auto", model=None, source="en", target="pt-BR")
    assert refusal.value.message == GAP.reason
    assert GAP.command in refusal.value.hint


def test_an_incomplete_better_engine_gives_way(settings: Settings, install) -> None:
    install(mt("neural", "best", ("en", "pt-BR"), gap=GAP), mt("rules", "good", ("en", "pt-BR")))
    assert registry.choose_mt(settings, engine="auto", model=None, source="en", target="pt-BR").engine == "rules"


def test_unknown_engine_lists_the_known(settings: Settings, install) -> None:
    install(mt("neural", "best", ("en", "pt-BR")))
    with pytest.raises(InputError) as refusal:
        registry.choose_mt(settings, engine="nllb", model=None, source="en", target="pt-BR")
    assert (refusal.value.code, refusal.value.details) == ("engine_unknown", {"engines": ["neural"]})


def test_voices(settings: Settings, install) -> None:
    speaker = Fake("speaker", "tts", Capabilities(tier="best", voices=ENGLISH))
    robot = Fake("robot", "tts", Capabilities(tier="last_resort", voices=(Voice("r", "en-US"), Voice("d", "de"))))
    install(robot, speaker)

    def voice(language: str, wanted: str | None = None) -> tuple[str, str]:
        choice = registry.choose_tts(settings, engine="auto", language=language, voice=wanted)
        return choice.engine, choice.voice

    assert voice("en") == ("speaker", "heart")  # plain English is American here
    assert voice("en-GB") == ("speaker", "emma")
    assert voice("en-AU", "sky") == ("speaker", "sky")
    assert voice("de") == ("robot", "d")
    assert voice("en", "r") == ("robot", "r")
    with pytest.raises(InputError) as refusal:
        voice("de", "sky")
    assert (refusal.value.code, refusal.value.details) == ("voice_unknown", {"voices": ["d"]})
    chosen = registry.choose_tts(settings, engine="auto", language="en", voice=None)
    fallback = registry.choose_fallback_tts(settings, chosen=chosen, language="en")
    assert fallback is not None
    assert (fallback.engine, fallback.voice) == ("robot", "r")
    # Why a voice is a mechanical one: what would mend it, or that nothing can.
    assert registry.last_resort(settings, chosen, "en") == ""
    assert "speaks German" in registry.last_resort(settings, fallback, "de")
    install(robot, replace(speaker, gap=GAP))
    why = registry.last_resort(settings, fallback, "en-US")
    assert GAP.reason in why
    assert GAP.command in why
    # A voice of an engine that is not complete: said as such, not as an unknown name.
    with pytest.raises(EngineUnavailable):
        voice("en", "sky")


def test_a_stranger_that_fails_takes_nobody_along(settings: Settings, install) -> None:
    class Bad(Fake):
        def capabilities(self, settings: Settings) -> Capabilities:
            raise ZeroDivisionError

    install(Bad("bad", "mt", Capabilities(tier="best")), mt("neural", "good", ("en", "pt-BR")))
    assert registry.choose_mt(settings, engine="auto", model=None, source="en", target="pt-BR").engine == "neural"
    assert [(b.id, "ZeroDivisionError" in b.reason) for b in registry.broken("mt", settings)] == [("bad", True)]
    with pytest.raises(EngineUnavailable) as refusal:
        registry.choose_mt(settings, engine="bad", model=None, source="en", target="pt-BR")
    assert refusal.value.code == "engine_broken"


def test_english_only_models(settings: Settings, install) -> None:
    install(Fake("hearer", "stt", Capabilities(tier="best", languages=frozenset({"en", "pt-BR"}))))
    assert registry.choose_stt(settings, engine="auto", model="tiny.en", language="en").model == "tiny.en"
    with pytest.raises(InputError) as refusal:
        registry.choose_stt(settings, engine="auto", model="tiny.en", language="pt-BR")
    assert refusal.value.code == "model_language"
