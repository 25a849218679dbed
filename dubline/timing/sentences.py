"""Where sentences end."""

from __future__ import annotations

import re

_ABBREVIATIONS = frozenset(
    """mr mrs ms dr prof st vs etc no nos fig figs vol vols pp p ed eds sr sra srta dra gov sen rep gen col lt sgt capt
    jr inc ltd co corp dept est approx cf al jan feb mar apr jun jul aug sep sept oct nov dec ave blvd av art núm
    pág págs ex adm eng ph d e.g i.e u.s u.k u.n a.m p.m b.c a.d ee.uu v.gr""".split()
)
_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*$")
_CJK_END = re.compile(r"(?<=[。！？])")


def ends_sentence(word: str, following: str | None = None) -> bool:
    """Whether a sentence ends with `word`, given the word after it (None: nothing follows).

    A full stop after an abbreviation or an initial, or before a word in lower case, ends nothing.
    """
    text = word.strip()
    if not _END.search(text):
        return False
    bare = text.rstrip("\"'”’»)]")
    if bare.endswith(("!", "?", "。", "！", "？")):
        return True
    after = (following or "").strip().lstrip("\"'“‘«([¿¡")
    if bare.endswith("…") or bare.endswith(".."):
        return not after or not after[0].islower()
    stem = bare.rstrip(".").lstrip("\"'“‘«([¿¡")
    if after and after[0].islower():
        return False
    if not after:
        return True
    if stem.lower() in _ABBREVIATIONS:
        # "etc. The" and "p.m. He" may end a sentence, "Dr. Smith" and "No. 5" never do.
        return stem.lower() in {"etc", "a.m", "p.m", "u.s", "inc", "ltd", "co", "jr"} and after[0].isupper()
    is_initial = len(stem) == 1 and stem.isalpha() and stem.isupper() and stem != "I"
    return not is_initial


def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of a text, in order, nothing lost but the white space between them."""
    if language.split("-")[0] in {"ja", "zh"}:
        return [part.strip() for part in _CJK_END.split(text) if part.strip()]
    words = text.split()
    out: list[str] = []
    current: list[str] = []
    for position, word in enumerate(words):
        current.append(word)
        following = words[position + 1] if position + 1 < len(words) else None
        if ends_sentence(word, following):
            out.append(" ".join(current))
            current = []
    if current:
        out.append(" ".join(current))
    return out
