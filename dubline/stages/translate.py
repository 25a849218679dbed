"""translate: sentence by sentence, every line checked, the number of lines never changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dubline.engines.base import MtEngine, MtResult
from dubline.errors import EngineOutputInvalid
from dubline.models import Line, Utterance
from dubline.quality.wording import keeps_number, numbers
from dubline.stages.brazilian import to_brazilian
from dubline.stages.names import keep_names
from dubline.timing.sentences import split_sentences

_AT_ONCE = 32  # utterances a call: some engines start a process for each


def translate(
    utterances: Sequence[Utterance],
    engine: MtEngine,
    *,
    source: str,
    target: str,
    glossary: dict[str, str],
    on_progress: Callable[[float], None] = lambda _: None,
) -> tuple[Line, ...]:
    """One line for each utterance, in order, with flags where a check failed.

    Flags: `empty` (nothing came back, the source text is kept), `untranslated`, `numbers_changed`, `length_odd`
    (much shorter or longer than the language pair explains), `glossary_missed`.
    """
    lines: list[Line] = []
    for first in range(0, len(utterances), _AT_ONCE):
        group = utterances[first : first + _AT_ONCE]
        sentences = [split_sentences(u.text, source) or [u.text] for u in group]
        parts = engine.translate([s for row in sentences for s in row], source=source, target=target)
        if len(parts) != sum(map(len, sentences)):
            raise EngineOutputInvalid("The translator answered another number of sentences.")
        at = 0
        for utterance, row in zip(group, sentences, strict=True):
            lines.append(_line(utterance, parts[at : at + len(row)], glossary, engine, source=source, target=target))
            at += len(row)
        on_progress(len(lines) / len(utterances))
    return tuple(lines)


def _line(
    utterance: Utterance,
    parts: Sequence[MtResult],
    glossary: dict[str, str],
    engine: MtEngine,
    *,
    source: str,
    target: str,
) -> Line:
    at_home = to_brazilian if target == "pt-BR" else str
    text = at_home(" ".join(p.text.strip() for p in parts if p.text.strip()))
    others = tuple(
        at_home(" ".join(p.candidates[min(k, len(p.candidates) - 1)].strip() for p in parts))
        for k in range(1, max(len(p.candidates) for p in parts))
    )
    text = keep_names(utterance.text, text, source=source, target=target)
    text, missed = apply_glossary(utterance.text, text, glossary, engine, source=source, target=target)
    flags = (*check(utterance.text, text, target), *(("glossary_missed",) if missed else ()))
    return Line(utterance=utterance, text=text or utterance.text, candidates=others, flags=flags)


def check(source: str, target: str, language: str) -> tuple[str, ...]:
    """Flags for one translated line; `language` is that of the target."""
    flags: list[str] = []
    if not target.strip():
        return ("empty",)
    words = [word for word in source.split() if any(c.isalpha() for c in word)]
    if len(words) > 3 and source.strip().lower() == target.strip().lower():
        flags.append("untranslated")
    if not all(keeps_number(value, target, language) for value in numbers(source)):
        flags.append("numbers_changed")
    ratio = len(target) / max(1, len(source))
    if len(source) > 25 and not 0.5 <= ratio <= 2.2:
        flags.append("length_odd")
    return tuple(flags)


def apply_glossary(
    source_text: str,
    target_text: str,
    glossary: dict[str, str],
    engine: MtEngine,
    *,
    source: str,
    target: str,
) -> tuple[str, bool]:
    """Put the wanted terms in. Returns the text and whether a term could not be placed.

    Small models break on placeholders, so the term's own rendering by the engine is looked for and replaced.
    """
    missed = False
    for term, wanted in glossary.items():
        if not re.search(rf"(?<!\w){re.escape(term)}(?!\w)", source_text, re.IGNORECASE):
            continue
        if re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", target_text, re.IGNORECASE):
            continue
        rendering = engine.translate([term], source=source, target=target)[0].text.strip(" .")
        for found in (rendering, term):
            replaced, count = re.subn(
                rf"(?<!\w){re.escape(found)}(?!\w)", lambda _, w=wanted: w, target_text, flags=re.IGNORECASE
            )
            if found and count:
                target_text = replaced
                break
        else:
            missed = True
    return target_text, missed
