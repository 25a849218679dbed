"""Which engines are here, and which one does a job: entry points, loaded late; `auto` takes the best."""

from __future__ import annotations

import functools
from importlib.metadata import entry_points
from typing import Any

from dubline.engines.base import Capabilities, EngineKind, EnginePlugin, Tier
from dubline.errors import EngineUnavailable, InputError
from dubline.languages import base, canonical, name, same_language
from dubline.models import EngineChoice
from dubline.settings import Settings

_RANK: dict[Tier, int] = {"best": 3, "good": 2, "last_resort": 1, "simulated": 0}


class Broken:
    """A plug-in that could not be imported: listed with the reason, never chosen."""

    def __init__(self, kind: EngineKind, id: str, reason: str) -> None:
        self.kind, self.id, self.reason = kind, id, reason


@functools.cache
def _found(kind: EngineKind) -> tuple[dict[str, EnginePlugin], tuple[Broken, ...]]:
    good: dict[str, EnginePlugin] = {}
    broken: list[Broken] = []
    for entry in entry_points(group=f"dubline.engines.{kind}"):
        try:
            plugin = entry.load()
        except Exception as error:  # a stranger's module may fail in any way; it must not take the others along
            broken.append(Broken(kind, entry.name, f"{type(error).__name__} while importing"))
            continue
        if isinstance(plugin, EnginePlugin) and plugin.kind == kind:
            good[plugin.id] = plugin
        else:
            broken.append(Broken(kind, entry.name, "is not an engine plug-in of this kind"))
    return good, tuple(broken)


def plugins(kind: EngineKind) -> dict[str, EnginePlugin]:
    """Plug-ins of a kind by id."""
    return _found(kind)[0]


def broken(kind: EngineKind) -> tuple[Broken, ...]:
    return _found(kind)[1]


def get(kind: EngineKind, id: str) -> EnginePlugin:
    """A plug-in by id.

    Raises:
        InputError: `engine_unknown`, with the ids there are.
    """
    found = plugins(kind)
    if id not in found:
        known = sorted(found)
        raise InputError(
            f"There is no {kind.upper()} engine called {id}.",
            code="engine_unknown",
            hint=f"Choose one of: {', '.join(['auto', *known])}.",
            details={"engines": known},
        )
    return found[id]


def _candidates(kind: EngineKind, engine: str, settings: Settings) -> list[tuple[EnginePlugin, Capabilities]]:
    """The plug-ins that may do the job, best first; those that are not simulated when none was named."""
    rows = [get(kind, engine)] if engine != "auto" else list(plugins(kind).values())
    able = [(p, p.capabilities(settings)) for p in rows]
    if engine == "auto":
        able = [(p, c) for p, c in able if c.tier != "simulated"]
    return sorted(able, key=lambda pc: (_RANK[pc[1].tier], pc[1].quality), reverse=True)


def _refuse_missing(gaps: list[Any]) -> None:
    """Say what to install when the only engines that could do it are not complete."""
    if gaps:
        raise EngineUnavailable(gaps[0].reason, hint=f"To mend it: {gaps[0].command}")


def choose_stt(settings: Settings, *, engine: str, model: str | None, language: str | None) -> EngineChoice:
    """The recogniser for a language (None: to be detected).

    Raises:
        InputError: unknown engine, or a language it does not know.
        EngineUnavailable: package or weights missing, with the command that mends it.
    """
    gaps = []
    for plugin, able in _candidates("stt", engine, settings):
        if language is not None and not any(same_language(language, known) for known in able.languages):
            continue
        if model and model.endswith(".en") and language is not None and base(language) != "en":
            raise InputError(
                f"The model {model} only knows English.", code="model_language", hint="Choose base instead."
            )
        gap = plugin.missing(settings, model)
        if gap is None:
            return EngineChoice(
                kind="stt",
                engine=plugin.id,
                version=plugin.version(),
                model=model or "",
                fingerprint=plugin.fingerprint(settings, model),
            )
        gaps.append(gap)
    _refuse_missing(gaps)
    raise InputError(
        f"No recognition engine here knows {name(language or 'und')}.",
        code="language_unsupported",
        hint="See `dubline engines`.",
    )


def pairs(settings: Settings) -> list[tuple[str, str]]:
    """Every translation this installation can really do."""
    out = set()
    for plugin in plugins("mt").values():
        able = plugin.capabilities(settings)
        if able.tier != "simulated" and plugin.missing(settings) is None:
            out |= able.pairs
    return sorted(out)


def choose_mt(settings: Settings, *, engine: str, model: str | None, source: str, target: str) -> EngineChoice:
    """The translator for a pair.

    Raises:
        InputError: `same_language`, or `language_pair_unsupported` with the pairs that can be done.
        EngineUnavailable: package or data missing.
    """
    source, target = canonical(source), canonical(target)
    if same_language(source, target):
        raise InputError(
            f"The video already speaks {name(source)}.", code="same_language", hint="Choose another target language."
        )
    gaps = []
    for plugin, able in _candidates("mt", engine, settings):
        pair = next(
            (p for p in able.pairs if same_language(p[0], source) and (p[1] == target or same_language(p[1], target))),
            None,
        )
        if pair is None:
            continue
        gap = plugin.missing(settings, model)
        if gap is None:
            return EngineChoice(
                kind="mt",
                engine=plugin.id,
                version=plugin.version(),
                model=model or "",
                fingerprint=plugin.fingerprint(settings, model, pair),
            )
        gaps.append(gap)
    _refuse_missing(gaps)
    possible = pairs(settings)
    shown = ", ".join(f"{a} to {b}" for a, b in possible[:12])
    raise InputError(
        f"No translation engine here can do {name(source)} to {name(target)}.",
        code="language_pair_unsupported",
        hint=f"Possible: {shown}." if shown else "See `dubline engines`.",
        details={"pairs": [f"{a}-{b}" for a, b in possible]},
    )


def choose_tts(settings: Settings, *, engine: str, language: str, voice: str | None) -> EngineChoice:
    """The voice for a language.

    Raises:
        InputError: `voice_unknown` or `language_unsupported`, with what there is.
        EngineUnavailable: package, weights or voices missing.
    """
    gaps, offered = [], []
    for plugin, able in _candidates("tts", engine, settings):
        fitting = [v for v in able.voices if v.language == language]
        fitting = fitting or [v for v in able.voices if same_language(v.language, language)]
        if not fitting:
            continue
        gap = plugin.missing(settings)
        if gap is not None:
            gaps.append(gap)
            continue
        offered += [v.id for v in fitting]
        chosen = next((v.id for v in fitting if voice in (None, v.id)), None)
        if chosen is not None:
            return EngineChoice(
                kind="tts",
                engine=plugin.id,
                version=plugin.version(),
                fingerprint=plugin.fingerprint(settings),
                voice=chosen,
            )
    if offered:
        raise InputError(
            f"There is no {name(language)} voice called {voice}.",
            code="voice_unknown",
            hint=f"Choose one of: {', '.join(offered[:12])}.",
            details={"voices": offered},
        )
    _refuse_missing(gaps)
    raise InputError(
        f"No speech engine here speaks {name(language)}.", code="language_unsupported", hint="See `dubline engines`."
    )


def choose_fallback_tts(settings: Settings, *, chosen: EngineChoice, language: str) -> EngineChoice | None:
    """The declared fallback: the next best engine that speaks the language, or None."""
    for plugin, able in _candidates("tts", "auto", settings):
        if plugin.id == chosen.engine or able.tier == "simulated" or plugin.missing(settings) is not None:
            continue
        if any(same_language(v.language, language) for v in able.voices):
            return choose_tts(settings, engine=plugin.id, language=language, voice=None)
    return None
