"""Roman numerals as they are spoken, where a phonemiser says "roman two", or "two" of what is a second."""

from __future__ import annotations

import re

from dubline.languages import base

_WORTH = {"I": 1, "V": 5, "X": 10}
_NUMERAL = r"X{0,3}(?:IX|IV|V?I{0,3})"
_WARS = {
    "pt": (r"Guerra", ("Primeira", "Segunda", "Terceira")),
    "es": (r"Guerra", ("Primera", "Segunda", "Tercera")),
}
# Whoever has a number among rulers and popes; women's names after the bar.
_RULERS = {
    "pt": "Afonso Alexandre Bento Carlos Eduardo Fernando Filipe Francisco Frederico Gregório Guilherme Henrique Ivan"
    " Jaime João Jorge José Leão Luís Manuel Napoleão Nicolau Paulo Pedro Pio Ricardo Sancho"
    "|Catarina Elizabeth Isabel Maria",
    "es": "Alejandro Alfonso Benedicto Carlos Eduardo Enrique Federico Felipe Fernando Francisco Gregorio Guillermo"
    " Iván Jacobo Jaime Jorge José Juan León Luis Manuel Napoleón Nicolás Pablo Pedro Pío Ricardo"
    "|Catalina Isabel María",
    "en": "Alexander Alfonso Benedict Charles Edward Ferdinand Francis Frederick George Gregory Henry Ivan James John"
    " Leo Louis Napoleon Nicholas Otto Paul Peter Philip Pius Richard Wilhelm William"
    "|Catherine Elizabeth Isabella Mary",
}
_ORDINALS = {
    "pt": ("primeiro", "segundo", "terceiro", "quarto", "quinto", "sexto", "sétimo", "oitavo", "nono", "décimo"),
    "es": ("primero", "segundo", "tercero", "cuarto", "quinto", "sexto", "séptimo", "octavo", "noveno", "décimo"),
}
# A lone I is the English pronoun everywhere else.
_NUMBERED = re.compile(r"\b(War|Chapter|Part|Act|Volume|Book|Phase|Type|Class|Section|Article) (I|V|X)\b(?!['’])")


def read_numerals(text: str, language: str) -> str:
    """The text with the numerals of wars and rulers written out; in English, every one of two letters or more.

    In Portuguese and Spanish rulers are counted up to the tenth (Pedro segundo, Luís catorze); the phonemisers read all
    others rightly.
    """
    code = base(language)
    if code in _WARS:
        noun, ordinals = _WARS[code]
        text = re.sub(rf"\b(I{{1,3}}) (?={noun}\b)", lambda m: f"{ordinals[len(m[1]) - 1]} ", text)
    if code == "en":
        text = _NUMBERED.sub(lambda m: f"{m[1]} {_value(m[2])}", text)
    if code in _RULERS:
        men, women = (names.replace(" ", "|") for names in _RULERS[code].split("|"))
        text = re.sub(
            rf"\b((?:{men})|({women})) ({_NUMERAL})\b(?!['’])", lambda m: _ruler(m, code, is_woman=bool(m[2])), text
        )
    if code == "en":
        text = re.sub(rf"(?<!\b[Aa]n )\b(?=[IVX]{{2,}}\b)({_NUMERAL})\b", lambda m: str(_value(m[1])), text)
    return text


def _ruler(m: re.Match[str], code: str, *, is_woman: bool) -> str:
    from num2words import num2words

    value = _value(m[3])
    if code == "en":
        # "Henry I went" is no ruler.
        return f"{m[1]} the {num2words(value, to='ordinal')}" if len(m[3]) > 1 else m[0]
    if not 1 <= value <= len(_ORDINALS[code]):
        return m[0]
    ordinal = _ORDINALS[code][value - 1]
    return f"{m[1]} {ordinal[:-1] + 'a' if is_woman else ordinal}"


def _value(numeral: str) -> int:
    worths = [_WORTH[sign] for sign in numeral]
    return sum(-w if w < max(worths[i:]) else w for i, w in enumerate(worths))
