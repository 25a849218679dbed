"""Where sentences end."""

from __future__ import annotations

import re

from dubline.timing.phrases import is_unspaced


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Never the end of a sentence: a name or an example follows.
_BEFORE_MORE = _set(
    "mr mrs ms messrs dr prof st vs sr sra srta dra gov sen rep gen col lt sgt capt hon rev adm eng cf approx e.g i.e "
    "v.gr p.ex ph d dña mme mlle z.b d.h bzw"
)
# An abbreviation before a number ("No. 5", "Fig. 3", "Jan. 12"), a word of its own otherwise.
_BEFORE_NUMBER = _set(
    "no nos nº núm nr fig figs vol vols p pp pág págs art ch cap sec jan feb fev mar apr abr jun jul aug ago sep sept "
    "set oct out nov dec dez dic ca"
)
# May stand at the end of a sentence too.
_EITHER = _set("inc ltd co corp jr bros dept est ave blvd av ed eds al cia ltda")
# Closes a phrase: a capital after it opens a sentence.
_CLOSING = _set("etc a.m p.m ph.d b.c a.d a.c")
# Words that open a sentence and are no part of a name: they tell "in the U.S. The …" from "the U.S. Army".
_STARTERS = _set(
    "the a an this that these those it he she we they you i there in on at but and so if when then as for his her its "
    "our my what why how o os as um uma ele ela eles nós mas e em no na isso este esta el la los las un una ella pero "
    "y en eso le les il elle mais der die das ein eine er sie es wir aber und"
)

_OPEN, _CLOSE = "\"'“‘«([{¿¡「『（-–—", "\"'”’»)]}」』）"
_STOPS = ".!?…。！？؟۔।॥．"
_END = re.compile(rf"[{re.escape(_STOPS)}]+[{re.escape(_CLOSE)}]*$")
_WIDE_END = re.compile(rf"[。！？．]++[{re.escape(_CLOSE)}]*+(?!と|って)")
_DOTTED = re.compile(r"(?:\w\.)+\w")
_NUMBER_ONLY = re.compile(r"[\d.]+[.)]?")


def ends_sentence(word: str, following: str | None = None) -> bool:
    """Whether a sentence ends with `word`, given the word after it (None: nothing follows).

    A full stop after an abbreviation or an initial, or any mark before a word in lower case, ends nothing.
    """
    text = word.strip()
    if not _END.search(text):
        return False
    bare = text.rstrip(_CLOSE)
    after = (following or "").strip().lstrip(_OPEN)
    if not after:
        return True
    if after[0].islower():
        return False
    if bare.endswith(("..", "…")) and bare.strip(_OPEN + ".…").lower() == after.rstrip(_STOPS + ",;:").lower():
        return False  # somebody who begins again: "I... I never"
    if not bare.endswith(".") or bare.endswith(".."):
        return True
    stem = bare[:-1].lstrip(_OPEN)
    low, opens = stem.lower(), after.rstrip(".,;:!?…'’\"").lower() in _STARTERS
    if low in _BEFORE_MORE:
        return False
    if low in _BEFORE_NUMBER:
        return not after[0].isdigit()
    if low in _CLOSING:
        return True
    is_initial = len(stem) == 1 and stem.isalpha() and stem.isupper() and stem != "I"
    if is_initial or low in _EITHER or _DOTTED.fullmatch(stem):
        return opens and not after.rstrip(",;:").endswith(".") and not (len(after) == 1 and after != "I")
    return True


def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of a text, in order; nothing is lost but the white space between them.

    Args:
        text: Any text.
        language: BCP 47; Chinese, Japanese and their like end a sentence inside a run of characters.
    """
    if is_unspaced(language):
        return _split_unspaced(text)
    words = text.split()
    out: list[str] = []
    current: list[str] = []
    for position, word in enumerate(words):
        current.append(word)
        following = words[position + 1] if position + 1 < len(words) else None
        is_list_mark = len(current) == 1 and following is not None and _NUMBER_ONLY.fullmatch(word)
        if ends_sentence(word, following) and not is_list_mark:
            out.append(" ".join(current))
            current = []
    if current:
        out.append(" ".join(current))
    return out


def _split_unspaced(text: str) -> list[str]:
    out: list[str] = []
    at = 0
    for match in _WIDE_END.finditer(text):
        out.append(text[at : match.end()].strip())
        at = match.end()
    out.append(text[at:].strip())
    return [part for part in out if part]
