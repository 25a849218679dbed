"""First names stay those of the source: a translator that learnt from history and scripture makes Peter of Pedro."""

from __future__ import annotations

import re

from dubline.languages import base

# English and Portuguese forms of one name, of one gender, that Bergamot's models were seen to exchange.
_PAIRS = tuple(
    re.findall(
        r"(\w+):(\w+)",
        """
        Mary:Maria Peter:Pedro John:João Paul:Paulo Luke:Lucas Joseph:José George:Jorge Anthony:Antônio Antony:Antônio
        Mark:Marcos Matthew:Mateus Louise:Luísa Philip:Filipe Philip:Felipe Stephen:Estêvão Francis:Francisco
        Raphael:Rafael Henry:Henrique Charles:Carlos William:Guilherme Edward:Eduardo Elizabeth:Isabel Anne:Ana
        Catherine:Catarina
        """,
    )
)
# Rulers, saints and the people of the Bible have a name in each language.
_KNOWN_EVERYWHERE = re.compile(
    r"\b(?i:kings?|queens?|popes?|saints?|st|emperors?|empress|princes?|princess|dukes?|apostles?|gospel|bible|jesus"
    r"|virgin|god|dom|reis?|rainhas?|papas?|santos?|santas?|são|imperador|imperatriz|príncipe|princesa|apóstolos?"
    r"|evangelho|bíblia|virgem|deus)\b|\b[A-Z]\w+ (?:[IVX]{2,}|the (?:Great|First|Second|Third|Baptist))\b|\b\d+:\d+\b"
)


def _table(source: str, target: str) -> tuple[tuple[str, str], ...]:
    if (source, target) == ("en", "pt"):
        return _PAIRS
    return tuple((b, a) for a, b in _PAIRS) if (source, target) == ("pt", "en") else ()


def keep_names(text: str, translation: str, *, source: str, target: str) -> str:
    """The translation with the first names of `text`, where it has their other form and `text` does not.

    Args:
        text: What was said.
        translation: What it became.
        source: Language of the text, BCP 47.
        target: Language of the translation.
    """
    if _KNOWN_EVERYWHERE.search(text):
        return translation
    for name, other in _table(base(source), base(target)):
        said = _found(name, text)
        if said and not _found(other, text) and not _found(name, translation):
            translation = re.sub(rf"\b{other}\b", name, translation, count=said)
    return translation


def _found(name: str, text: str) -> int:
    return len(re.findall(rf"\b{name}\b", text))
