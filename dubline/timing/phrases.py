"""Small words at which a phrase does not end, or begins: what tells a good place to cut a sentence from a bad one."""

from __future__ import annotations

_UNSPACED = frozenset({"ja", "zh", "yue", "th", "lo", "km", "my"})

# Articles, prepositions and possessives: nobody pauses after them.
_CLINGING = {
    "en": "a an the of to in on at by for with from into than as my your his her its our their this that these those "
    "no not very is are was were be been has have had will would can could should must mr mrs ms dr st and or but if",
    "pt": "o a os as um uma uns umas de do da dos das em no na nos nas num numa por pelo pela pelos pelas para com sem "
    "ao à aos às meu minha seu sua nosso nossa este esta esse essa aquele aquela não é são foi ser mais muito e ou mas "
    "se que sr sra dr dra",
    "es": "el la los las un una unos unas de del al a en con sin por para mi tu su nuestro nuestra este esta ese esa "
    "no es son fue ser más muy y e o u pero si que sr sra dr dra",
    "fr": "le la les un une des du de à au aux en dans par pour avec sans sur mon ma mes son sa ses notre leur ce "
    "cette ne pas est sont et ou mais si que m mme",
    "it": "il lo la i gli le un uno una di del della dei delle da dal in nel nella con su per tra mio mia suo sua "
    "questo questa non è sono e o ma se che",
    "de": "der die das den dem des ein eine einen einem einer zu zum zur in im an am auf bei mit von vom für ohne "
    "mein sein ihr unser dieser diese dieses nicht ist sind und oder aber wenn dass",
}

# Conjunctions and relatives: a clause begins with them.
_OPENING = {
    "en": "and but or nor so because that which who when while where if though although as than since until",
    "pt": "e mas ou nem que porque quando onde se como pois enquanto embora porém então",
    "es": "y e pero o u ni que porque cuando donde si como pues aunque mientras entonces",
    "fr": "et mais ou ni que qui parce quand où si comme car lorsque tandis donc",
    "it": "e ma o né che perché quando dove se come poiché mentre quindi",
    "de": "und aber oder denn dass weil wenn als wo ob während obwohl sondern",
}


def _tables(rows: dict[str, str]) -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in rows.items()}


_CLINGING_SETS, _OPENING_SETS = _tables(_CLINGING), _tables(_OPENING)
_NONE: frozenset[str] = frozenset()


def clinging(language: str) -> frozenset[str]:
    """Words, in lower case, that belong to the word after them; none for a language that is not known here."""
    return _CLINGING_SETS.get(language.split("-")[0], _NONE)


def opening(language: str) -> frozenset[str]:
    """Words, in lower case, that begin a clause; none for a language that is not known here."""
    return _OPENING_SETS.get(language.split("-")[0], _NONE)


def is_unspaced(language: str) -> bool:
    """Whether the language is written without spaces between words."""
    return language.split("-")[0] in _UNSPACED
