"""Which engines are here, and which one does a job: entry points, loaded late; `auto` takes the best."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from dubline.engines.base import Capabilities, EngineKind, EnginePlugin, Missing, Tier, Voice
from dubline.engines.pairs import closest, distance, nearest
from dubline.errors import DublineError, EngineUnavailable, InputError
from dubline.languages import base, canonical, name, same_language
from dubline.models import Background, EngineChoice, SpeakerCount
from dubline.settings import Settings

_RANK: dict[Tier, int] = {"best": 3, "good": 2, "last_resort": 1, "simulated": 0}
_SEE = "See `dubline engines`."


@dataclass(frozen=True)
class Broken:
    """A plug-in that cannot be used: listed with the reason, never chosen."""

    kind: EngineKind
    id: str
    reason: str


@functools.cache
def _found(kind: EngineKind) -> tuple[dict[str, EnginePlugin], tuple[Broken, ...]]:
    good: dict[str, EnginePlugin] = {}
    broken: list[Broken] = []
    for entry in entry_points(group=f"dubline.engines.{kind}"):
        try:
            plugin = entry.load()
            fits = isinstance(plugin, EnginePlugin) and plugin.kind == kind
        except Exception as error:  # a stranger's module may fail in any way; it must not take the others along
            broken.append(Broken(kind, entry.name, f"it fails at import with {type(error).__name__}"))
            continue
        if not fits:
            broken.append(Broken(kind, entry.name, f"it is no {kind.upper()} plug-in"))
        elif plugin.id in good and good[plugin.id] is not plugin:
            broken.append(Broken(kind, entry.name, f"another plug-in is called {plugin.id} too"))
        else:
            good[plugin.id] = plugin
    return good, tuple(broken)


def plugins(kind: EngineKind) -> dict[str, EnginePlugin]:
    """Plug-ins of a kind by id."""
    return _found(kind)[0]


def broken(kind: EngineKind, settings: Settings) -> tuple[Broken, ...]:
    """Plug-ins that failed at import, or fail when asked what they can do."""
    rows = [a for p in plugins(kind).values() if isinstance(a := _ask(p, settings), Broken)]
    return (*_found(kind)[1], *rows)


def ask(plugin: EnginePlugin, settings: Settings) -> tuple[Capabilities, Missing | None] | None:
    """What a plug-in can do and what it lacks; None when it fails at the question."""
    answer = _ask(plugin, settings)
    return None if isinstance(answer, Broken) else answer


def _ask(plugin: EnginePlugin, settings: Settings, model: str | None = None) -> tuple[Capabilities, Any] | Broken:
    try:
        return plugin.capabilities(settings), plugin.missing(settings, model)
    except DublineError:
        raise
    except Exception as error:  # as at import: a stranger's fault stays the stranger's
        return Broken(plugin.kind, plugin.id, f"it fails when asked, with {type(error).__name__}")


def get(kind: EngineKind, id: str) -> EnginePlugin:
    """A plug-in by id.

    Raises:
        InputError: `engine_unknown`, with the ids there are.
        EngineUnavailable: `engine_broken`, when it is installed but fails at import.
    """
    good, bad = _found(kind)
    if id in good:
        return good[id]
    for row in bad:
        if row.id == id:
            raise EngineUnavailable(
                f"The engine {id} is installed, but {row.reason}.", code="engine_broken", hint="Reinstall its package."
            )
    raise InputError(
        f"There is no {kind.upper()} engine called {id}.",
        code="engine_unknown",
        hint=f"Choose one of: {', '.join(['auto', *sorted(good)])}.",
        details={"engines": sorted(good)},
    )


@dataclass(frozen=True)
class _Candidate:
    plugin: EnginePlugin
    able: Capabilities
    gap: Missing | None

    def choice(
        self, settings: Settings, *, model: str | None = None, pair: tuple[str, str] | None = None, voice: str = ""
    ) -> EngineChoice:
        return EngineChoice(
            kind=self.plugin.kind,
            engine=self.plugin.id,
            version=self.plugin.version(),
            model=model or "",
            fingerprint=self.plugin.fingerprint(settings, model, pair),
            voice=voice,
        )


def _candidates(kind: EngineKind, engine: str, settings: Settings, model: str | None = None) -> list[_Candidate]:
    """The plug-ins that may do the job, best first; those that are not simulated when none was named."""
    rows = [get(kind, engine)] if engine != "auto" else list(plugins(kind).values())
    out: list[_Candidate] = []
    for plugin in rows:
        answer = _ask(plugin, settings, model)
        if isinstance(answer, Broken):
            if engine != "auto":
                raise EngineUnavailable(f"The engine {engine} cannot be used: {answer.reason}.", code="engine_broken")
        elif engine != "auto" or answer[0].tier != "simulated":
            out.append(_Candidate(plugin, *answer))
    return sorted(out, key=lambda c: (-_RANK[c.able.tier], -c.able.quality, c.plugin.id))


def _refuse_missing(rows: Sequence[_Candidate]) -> None:
    """Say what to install when the only engines that could do it are not complete."""
    for row in rows:
        if row.gap is not None:
            raise EngineUnavailable(row.gap.reason, hint=f"To mend it: {row.gap.command}")


def choose_stt(settings: Settings, *, engine: str, model: str | None, language: str | None) -> EngineChoice:
    """The recogniser for a language (None: to be detected).

    Raises:
        InputError: `engine_unknown`, `model_language`, or `language_unsupported`.
        EngineUnavailable: package or weights missing, with the command that mends it.
    """
    if model and model.endswith(".en") and language is not None and base(language) != "en":
        raise InputError(
            f"The model {model} only knows English.", code="model_language", hint="Choose the model base instead."
        )
    rows = [
        c
        for c in _candidates("stt", engine, settings, model)
        if language is None or nearest(c.able.languages, language) is not None
    ]
    for row in rows:
        if row.gap is None:
            return row.choice(settings, model=model)
    _refuse_missing(rows)
    raise InputError(
        f"No recognition engine here knows {name(language or 'und')}.", code="language_unsupported", hint=_SEE
    )


def pairs(settings: Settings) -> list[tuple[str, str]]:
    """Every translation this installation can really do."""
    return sorted({p for c in _candidates("mt", "auto", settings) if c.gap is None for p in c.able.pairs})


def choose_mt(settings: Settings, *, engine: str, model: str | None, source: str, target: str) -> EngineChoice:
    """The translator for a pair.

    Raises:
        InputError: `same_language`, `engine_unknown`, or `language_pair_unsupported` with what can be done.
        EngineUnavailable: package or data missing.
    """
    source, target = canonical(source), canonical(target)
    if same_language(source, target):
        raise InputError(
            f"The video already speaks {name(source)}.", code="same_language", hint="Choose another target language."
        )
    rows = [
        (c, pair)
        for c in _candidates("mt", engine, settings, model)
        if (pair := closest(c.able.pairs, source, target)) is not None
    ]
    # A better engine for another region of the language does not beat one for the region that was asked.
    rows.sort(key=lambda row: (distance(target, row[1][1]) or 0) > 1)
    for row, pair in rows:
        if row.gap is None:
            return row.choice(settings, model=model, pair=pair)
    _refuse_missing([row for row, _ in rows])
    possible = pairs(settings)
    targets = sorted({b for a, b in possible if same_language(a, source)})
    if targets:
        hint = f"From {name(source)} it can go to: {', '.join(targets[:12])}."
    else:
        hint = f"Possible: {', '.join(f'{a} to {b}' for a, b in possible[:8])}." if possible else _SEE
    if more := next((c.gap.command for c in _candidates("mt", "auto", settings) if c.gap is not None), ""):
        hint += f" For more languages: {more}"
    raise InputError(
        f"No translation engine here can do {name(source)} to {name(target)}.",
        code="language_pair_unsupported",
        hint=hint,
        details={"targets": targets, "pairs": [f"{a}>{b}" for a, b in possible]},
    )


def _fitting(able: Capabilities, language: str) -> list[Voice]:
    """Voices of the language, the nearest region first, otherwise in the plug-in's order (its default first)."""
    rows = [(d, v) for v in able.voices if (d := distance(language, v.language)) is not None]
    return [v for _, v in sorted(rows, key=lambda row: row[0])]


def choose_tts(settings: Settings, *, engine: str, language: str, voice: str | None) -> EngineChoice:
    """The voice for a language.

    Raises:
        InputError: `engine_unknown`, `voice_unknown` (with the voices there are), or `language_unsupported`.
        EngineUnavailable: package, weights or voices missing.
    """
    language = canonical(language)
    rows = [(c, v) for c in _candidates("tts", engine, settings) if (v := _fitting(c.able, language))]
    for row, voices in rows:
        if voice is not None and all(v.id != voice for v in voices):
            continue
        if row.gap is None:
            return row.choice(settings, voice=voice or voices[0].id)
        if voice is not None:
            _refuse_missing([row])
    offered = [v.id for row, voices in rows if row.gap is None for v in voices]
    if voice is not None and offered:
        raise InputError(
            f"There is no {name(language)} voice called {voice}.",
            code="voice_unknown",
            hint=f"Choose one of: {', '.join(offered[:12])}.",
            details={"voices": offered},
        )
    _refuse_missing([row for row, _ in rows])
    raise InputError(f"No speech engine here speaks {name(language)}.", code="language_unsupported", hint=_SEE)


def last_resort(settings: Settings, choice: EngineChoice, language: str) -> str:
    """Why a dub has a voice of the last resort, and what would give it a better one; empty where it has not.

    Args:
        settings: What is installed where.
        choice: The voice that was chosen.
        language: BCP 47, of the dub.
    """
    used = get("tts", choice.engine)
    if used.capabilities(settings).tier != "last_resort":
        return ""
    for row in _candidates("tts", "auto", settings):
        if row.able.tier != "last_resort" and row.gap is not None and _fitting(row.able, canonical(language)):
            return f"The voice is a mechanical one, {used.title}. {row.gap.reason} To mend it: {row.gap.command}"
    return f"The voice is a mechanical one, {used.title}: no better one here speaks {name(language)}."


def choose_separator(settings: Settings, *, engine: str = "auto") -> EngineChoice:
    """The separator of voice and background.

    Raises:
        InputError: `engine_unknown`.
        EngineUnavailable: there is none, or its package is missing, with the command that mends it.
    """
    rows = _candidates("separate", engine, settings)
    for row in rows:
        if row.gap is None:
            return row.choice(settings)
    _refuse_missing(rows)
    raise EngineUnavailable("No engine here separates voice and background.", hint=_SEE)


def settle_separator(settings: Settings, *, background: Background, is_simulated: bool) -> EngineChoice | None:
    """The separator that a dub may use: needed for `separate`, welcome for `duck`, of no use to the others.

    A dub by simulated engines (`is_simulated`) loads no real one.

    Raises:
        EngineUnavailable: `separate` was asked for, and no engine here does it.
    """
    if background == "separate":
        return choose_separator(settings, engine="simulated" if is_simulated else "auto")
    if background != "duck" or is_simulated:
        return None
    try:
        return choose_separator(settings)
    except EngineUnavailable:
        return None


def choose_fallback_tts(settings: Settings, *, chosen: EngineChoice, language: str) -> EngineChoice | None:
    """The declared fallback: the next best engine that speaks the language, or None."""
    for row in _candidates("tts", "auto", settings):
        if row.plugin.id != chosen.engine and row.gap is None and (voices := _fitting(row.able, canonical(language))):
            return row.choice(settings, voice=voices[0].id)
    return None


def choose_diarizer(settings: Settings, *, engine: str = "auto") -> EngineChoice:
    """What tells voices apart.

    Raises:
        InputError: `engine_unknown`.
        EngineUnavailable: `diarizer_missing`, when none is complete here.
    """
    rows = _candidates("diarize", engine, settings)
    for row in rows:
        if row.gap is None:
            return row.choice(settings)
    gap = next((row.gap for row in rows if row.gap is not None), None)
    raise EngineUnavailable(
        gap.reason if gap else "No engine here tells voices apart.",
        code="diarizer_missing",
        hint=f"To mend it: {gap.command}." if gap else _SEE,
    )


def find_diarizer(settings: Settings, asked: SpeakerCount, *, beside: EngineChoice) -> tuple[EngineChoice | None, str]:
    """What tells voices apart when that was asked for, or None and the reason in one sentence.

    Args:
        settings: Where weights are.
        asked: The job's option; `one` and 1 need nothing.
        beside: The job's recogniser: a pretended dub loads no real model.
    """
    if asked in ("one", 1):
        return None, "Speakers were not told apart: one voice was asked for."
    try:
        return choose_diarizer(settings, engine="simulated" if beside.engine == "simulated" else "auto"), ""
    except EngineUnavailable as error:
        return None, f"Speakers were not told apart. {error.message} {error.hint}"


def voices_of(settings: Settings, choice: EngineChoice, language: str) -> list[Voice]:
    """The voices of a chosen speech engine that speak a language, the nearest region and the default first."""
    return _fitting(get("tts", choice.engine).capabilities(settings), canonical(language))
