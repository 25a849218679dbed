"""Words of English in a text of another language: names most of all, known by how they are spelt.

Portuguese and Spanish never double most consonants, have no th, sh or ck, end words in few consonants and write k and w
(Portuguese: y, too) only in what they borrowed. espeak-ng reads such words by the rules of the language around them
("Matthew" as ma-te-u), which no viewer recognises: they are given to its English instead.
"""

from __future__ import annotations

import re

from dubline.languages import base

# What the language itself does not spell, and the few of its own words that look as if it did not.
_FOREIGN = {
    "pt": (r"[kwy]|th|sh|ph|ck|gh|([bcdfgjlmnptvxz])\1|[bcdfghjpqtv]$|[bcdfgt]s$", {"etc", "sob", "sub"}),
    "es": (r"[kw]|th|sh|ph|ck|gh|([bdfgjmpstvxz])\1|[bcfghkmpqtv]$|[bcdfgt]s$", {"etc", "club", "clubs"}),
}
# German names come nearer by the rules of the language: in English, Gutenberg begins like "gutter".
_GERMAN = re.compile(r"sch|(?:bach|berg|burg|heim)s?$")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def split(text: str, language: str) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is to be read as English. Joined, they are the text again.

    Words beside one another, with no more than a space between, are one piece: a name is read as a whole.
    """
    rule = _FOREIGN.get(base(language))
    if rule is None:
        return [(text, False)]
    pattern, own = rule
    spans: list[tuple[int, int]] = []
    for m in _WORD.finditer(text):
        word = m[0].replace("’", "'").lower()
        # Acronyms are spelt out, and an accent is of another language than English.
        if len(word) < 3 or m[0].isupper() or not word.isascii() or word in own or _GERMAN.search(word):
            continue
        if re.search(pattern, word):
            if spans and text[spans[-1][1] : m.start()] == " ":
                spans[-1] = (spans[-1][0], m.end())
            else:
                spans.append((m.start(), m.end()))
    pieces: list[tuple[str, bool]] = []
    at = 0
    for first, end in spans:
        pieces += [(text[at:first], False), (text[first:end], True)]
        at = end
    pieces.append((text[at:], False))
    return [piece for piece in pieces if piece[0]]
