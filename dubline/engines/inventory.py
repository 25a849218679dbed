"""What `dubline engines` and `dubline doctor` show."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import Literal

from dubline.engines import registry, weights
from dubline.engines.base import Capabilities, EngineKind
from dubline.errors import EngineUnavailable
from dubline.models import Frozen
from dubline.settings import Settings

_KINDS: tuple[EngineKind, ...] = ("stt", "mt", "tts")


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
            able, gap = plugin.capabilities(settings), plugin.missing(settings)
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
                kind=kind, engine=b.id, title=b.id, state="broken", reason=b.reason, command="reinstall the plug-in"
            )
            for b in registry.broken(kind)
        ]
    return out


def _abilities(kind: EngineKind, able: Capabilities) -> str:
    if kind == "mt":
        pairs = [f"{a} > {b}" for a, b in sorted(able.pairs)]
        return ", ".join(pairs[:10]) + (f" and {len(pairs) - 10} more" if len(pairs) > 10 else "")
    if kind == "stt":
        return f"{len(able.languages)} languages; models: {', '.join(able.models) or 'none'}"
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
    base_here = weights.find(settings, weights.WHISPER_BASE.name) or weights.has_parts(weights.WHISPER_BASE)
    rows.append(_weights("Whisper base", bool(base_here)))
    kokoro_here = weights.find(settings, weights.KOKORO.name) or weights.has_parts(weights.KOKORO)
    rows.append(_weights("Kokoro", bool(kokoro_here)))
    voices = weights.has_voices(settings)
    rows.append(
        Check(
            name="Kokoro's voices",
            state="ok" if voices else "optional",
            detail="npm kokoro-js" if voices else "without them the mechanical espeak voices are used",
            command="" if voices else f"apt install npm && {weights.SETUP}",
        )
    )
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


def _weights(title: str, here: bool) -> Check:
    return Check(
        name=f"weights: {title}",
        state="ok" if here else "missing",
        detail="from the installed packages or MODELS_DIR" if here else "not found",
        command="" if here else "make setup",
    )
