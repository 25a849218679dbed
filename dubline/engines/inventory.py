"""What `dubline engines` and `dubline doctor` show."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from dubline.engines import kokoro_compiled, kokoro_forms, kokoro_voices, registry, resemblyzer_weights, weights
from dubline.engines.base import Capabilities, EngineKind
from dubline.errors import EngineUnavailable
from dubline.models import Frozen
from dubline.settings import Settings

_KINDS: tuple[EngineKind, ...] = get_args(EngineKind)


class EngineRow(Frozen):
    """One engine: `state` is ready, missing or broken; `command` mends it."""

    kind: EngineKind
    engine: str
    title: str
    state: Literal["ready", "missing", "broken"]
    reason: str = ""
    command: str = ""
    abilities: str = ""
    languages: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    is_commercial: bool = True


class Check(Frozen):
    """One part that a dub needs (`missing`) or is better with (`optional`)."""

    name: str
    state: Literal["ok", "optional", "missing"]
    detail: str
    command: str = ""


def engine_rows(settings: Settings) -> list[EngineRow]:
    """All engines that are registered, ready or not."""
    out: list[EngineRow] = []
    for kind in _KINDS:
        for plugin in registry.plugins(kind).values():
            answer = registry.ask(plugin, settings)
            if answer is None:
                continue
            able, gap = answer
            out.append(
                EngineRow(
                    kind=kind,
                    engine=plugin.id,
                    title=plugin.title,
                    state="missing" if gap else "ready",
                    reason=gap.reason if gap else "",
                    command=gap.command if gap else "",
                    abilities=_abilities(kind, able),
                    languages=tuple(sorted(able.languages)),
                    pairs=tuple(f"{a}-{b}" for a, b in sorted(able.pairs)),
                    voices=tuple(v.id for v in able.voices),
                    models=able.models,
                    licence=plugin.licence.weights,
                    source=plugin.licence.source,
                    is_commercial=plugin.licence.is_commercial,
                )
            )
        out += [
            EngineRow(
                kind=kind, engine=b.id, title=b.id, state="broken", reason=b.reason, command="reinstall its package"
            )
            for b in registry.broken(kind, settings)
        ]
    return out


def _abilities(kind: EngineKind, able: Capabilities) -> str:
    if kind == "mt":
        pairs = [f"{a} > {b}" for a, b in sorted(able.pairs)]
        return ", ".join(pairs[:10]) + (f" and {len(pairs) - 10} more" if len(pairs) > 10 else "")
    if kind == "stt":
        return f"{len(able.languages)} languages; models: {', '.join(able.models) or 'none'}"
    if kind == "separate":
        return "takes the voice out of the original sound"
    if kind == "diarize":
        return "tells voices apart"
    by_language: dict[str, list[str]] = {}
    for voice in able.voices:
        by_language.setdefault(voice.language, []).append(voice.id)
    if len(by_language) > 12:
        return f"{len(by_language)} languages, {len(able.voices)} voices"
    return "\n".join(f"{k}: {', '.join(v)}" for k, v in sorted(by_language.items()))


def checks(settings: Settings) -> list[Check]:
    """What a dub needs, in the order it needs it."""
    rows = [_ffmpeg()]
    for module, why in (("prefect", "runs the pipeline"), ("faster_whisper", "hears"), ("kokoro_onnx", "speaks")):
        found = find_spec(module) is not None
        rows.append(
            Check(name=module, state="ok" if found else "missing", detail=why, command="" if found else "make setup")
        )
    rows += [_weights("Whisper base", weights.WHISPER_BASE, settings), _weights("Kokoro", weights.KOKORO, settings)]
    rows += [_voices(settings), _form(settings), _diarizer(settings)]
    pairs = registry.pairs(settings)
    rows.append(
        Check(
            name="translation pairs",
            state="ok" if pairs else "missing",
            detail=", ".join(f"{a} > {b}" for a, b in pairs[:8]) or "none",
            command="" if pairs else "make setup",
        )
    )
    if shutil.which("apertium") is None:
        rows.append(
            Check(
                name="apertium",
                state="optional",
                detail="Spanish and other languages by rules",
                command="apt install apertium apertium-es-pt apertium-eng-spa",
            )
        )
    home = settings.dubline_home
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    rows.append(
        Check(
            name="disk",
            state="ok" if free > 2e9 else "missing",
            detail=f"{free / 1e9:.1f} GB free for {home}",
            command="" if free > 2e9 else "free some space, or set DUBLINE_HOME to another disk",
        )
    )
    return rows


def _ffmpeg() -> Check:
    from dubline.media.ffmpeg import ffmpeg_version

    try:
        return Check(name="ffmpeg", state="ok", detail=ffmpeg_version())
    except EngineUnavailable as error:
        return Check(name="ffmpeg", state="missing", detail=error.message, command=error.hint)


def _weights(title: str, joined: weights.Joined, settings: Settings) -> Check:
    label = f"weights: {title}"
    if not weights.is_here(settings, joined):
        return Check(name=label, state="missing", detail="not found", command="make setup")
    found = weights.find(settings, joined.name)
    if found is None:
        return Check(name=label, state="ok", detail="in the installed packages, joined at first use")
    if found.is_relative_to(settings.weights_dir):
        try:
            weights.verify(settings, found, joined.sha256)
        except EngineUnavailable as error:
            return Check(name=label, state="missing", detail=error.message, command=weights.SETUP)
    return Check(name=label, state="ok", detail="from MODELS_DIR" if _is_own(found, settings) else "prepared, whole")


def _is_own(found: Path, settings: Settings) -> bool:
    return settings.models_dir is not None and found.is_relative_to(settings.models_dir)


def _voices(settings: Settings) -> Check:
    label = "Kokoro's voices"
    if kokoro_voices.is_here(settings):
        return Check(name=label, state="ok", detail="npm kokoro-js")
    return Check(
        name=label,
        state="optional",
        detail="without them the mechanical espeak voices are used",
        command=kokoro_voices.command(),
    )


def _form(settings: Settings) -> Check:
    label, form = "Kokoro's form", kokoro_forms.chosen(settings)
    known = kokoro_forms.measured(settings)
    is_fastest = min(known, key=lambda name: known[name], default="") == "compiled"
    is_settled = "compiled" in known and (kokoro_compiled.is_here(settings) or not is_fastest)
    if settings.kokoro_form != "auto" or not kokoro_compiled.levels() or is_settled:
        return Check(name=label, state="ok", detail=form)
    gcc = "" if kokoro_compiled.compiler() else "apt install gcc && "
    return Check(
        name=label,
        state="optional",
        detail=f"{form}; compiled code speaks 1.7 to 5 times as fast",
        command=f"{gcc}{weights.SETUP}",
    )


def _diarizer(settings: Settings) -> Check:
    label = "speakers"
    if resemblyzer_weights.is_here(settings):
        return Check(name=label, state="ok", detail="PyPI resemblyzer")
    return Check(name=label, state="optional", detail="without it all speakers share one voice", command=weights.SETUP)
