"""Sentences that are said whole, such as greetings and thanks, and what is said for them in another language.

Tiny models learn from pages of the web, where "Thank you." stands on a button and "Cool." beside a machine; what they
make of such a sentence by itself is often wrong ("Obrigado por enviar uma edição.", "Arrefecer."). Here stand those
that Bergamot's models were heard to get wrong, and the words that they are said with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dubline.engines.idioms import plain
from dubline.engines.phrases_to_english import PORTUGUESE_TO_ENGLISH, SPANISH_TO_ENGLISH
from dubline.engines.phrases_to_portuguese import ENGLISH_TO_PORTUGUESE
from dubline.engines.phrases_to_spanish import ENGLISH_TO_SPANISH

_PEOPLE = "guys|everyone|everybody|folks|y'all"
# The word after it tells an exclamation ("Cool, let's go.") from an adjective ("Cool, dry air …").
_OPENINGS = {
    "en": re.compile(
        rf"(excuse me|pardon me|bye|long story short|you know|(?:hi|hey|hello|what's up),? (?:{_PEOPLE})"
        r"|(?:cool|great|nice|terrific|awesome)"
        r"(?=, (?:i|you|we|he|she|it|they|that|this|there|let|so|now|then|thank|thanks|and|but|what|how)\b)), +(?=\S)",
        re.IGNORECASE,
    ),
    "pt": re.compile(
        r"((?:muito )?obrigad[oa]|valeu"
        r"|(?:fala|e aí|oi|olá|bom dia|boa tarde|boa noite),? (?:galera|pessoal|gente|a todos)), +(?=\S)",
        re.IGNORECASE,
    ),
    "es": re.compile(
        r"[¿¡]?((?:muchas )?gracias|oye"
        r"|(?:hola|buenos días|buenas tardes|buenas noches),? (?:a todos|amigos|chicos)), +(?=\S)",
        re.IGNORECASE,
    ),
}
_AUXILIARY = "is|are|was|were|do|does|did|have|has|had|can|could|will|would|should"
_TAG = re.compile(
    rf"(?:(?P<is>.*\w), (?:(?:{_AUXILIARY})n't|can't|won't|ain't)"
    rf"|(?P<not>.*\b(?:\w+n't|not|never)\b.*\w), (?:{_AUXILIARY})) (?:i|you|he|she|it|we|they|there)\?$",
    re.IGNORECASE,
)
_END = re.compile(r"[\s.!?…]*$")
_I = re.compile(r"I\b")
_MOST_CLAUSES = 3  # of one phrase


def _words(text: str) -> str:
    return re.sub(r"[\s,-]+", " ", text.replace("’", "'")).strip().lower()


def _read(table: str) -> dict[str, str]:
    rows = (row.split(" = ") for row in table.strip().splitlines())
    return {_words(said): meant for said, meant in rows}


def _turned(book: dict[str, str]) -> dict[str, str]:
    """The other way round: of several that mean the same, the first."""
    return {_words(meant): said for said, meant in reversed(book.items())}


_BOOKS = {
    ("en", "pt"): _read(ENGLISH_TO_PORTUGUESE),
    ("en", "es"): _read(ENGLISH_TO_SPANISH),
    ("pt", "en"): _read(PORTUGUESE_TO_ENGLISH),
    ("es", "en"): _turned(_read(ENGLISH_TO_SPANISH)) | _read(SPANISH_TO_ENGLISH),
}
_NODS = {("en", "pt"): ", não é?", ("en", "es"): ", ¿no?"}


@dataclass(frozen=True)
class Phrased:
    """A sentence with what is in the book said already: `rest` is left to translate, nothing where all is."""

    start: str
    rest: str
    end: str
    is_small: bool = False

    def said(self, translated: str) -> str:
        """The whole sentence, with the translation of `rest`."""
        if not self.rest:
            return self.start
        text = translated.rstrip(".") if self.end else translated
        small = text[:1].lower() if self.is_small else text[:1]
        return f"{self.start}{' ' if self.start else ''}{small}{text[1:]}{self.end}"


def phrased(sentence: str, pair: tuple[str, str]) -> Phrased:
    """A sentence, turns of speech put plainly, an exclamation at its beginning and a nod at its end by the book.

    Args:
        sentence: One sentence.
        pair: Source and target, as the first subtags of BCP 47.
    """
    text = plain(sentence, pair[0])
    said = whole(sentence, pair) or whole(text, pair)
    if said is not None:
        return Phrased(said, "", "")
    text, end = closing(text, pair)
    found = opening(text, pair)
    if found is None:
        return Phrased("", text, end)
    start, rest = found
    is_small = text[-len(rest) :][:1].islower() or _I.match(text[-len(rest) :]) is not None
    return Phrased(start, rest, end, is_small)


def whole(sentence: str, pair: tuple[str, str]) -> str | None:
    """The sentence in the other language, with its own end mark and capital; None where it is not in the book."""
    end = _END.search(sentence)
    said = sentence[: end.start()] if end else sentence
    mark = sentence[len(said) :].strip()
    said = said.lstrip("¿¡ ")
    found = _found(said.split(","), _BOOKS.get(pair, {}), "?" if "?" in mark else "")
    if not found:
        return None
    return (found[0].upper() if said[:1].isupper() else found[0]) + found[1:] + mark


def opening(sentence: str, pair: tuple[str, str]) -> tuple[str, str] | None:
    """An exclamation that opens a sentence, in the other language, and the rest as a sentence of its own."""
    found = _OPENINGS[pair[0]].match(sentence.replace("’", "'")) if pair in _BOOKS else None
    said = whole(found[1], pair) if found else None
    if found is None or said is None:
        return None
    rest = sentence[found.end() :].lstrip("¿¡")
    return f"{said},", rest[0].upper() + rest[1:]


def closing(sentence: str, pair: tuple[str, str]) -> tuple[str, str]:
    """The sentence without a question that only asks for a nod ("…, isn't it?"), and that in the other language."""
    found = _TAG.match(sentence.replace("’", "'")) if pair in _NODS else None
    if found is None:
        return sentence, ""
    return f"{sentence[: max(found.end('is'), found.end('not'))]}.", _NODS[pair]


def _found(clauses: list[str], book: dict[str, str], mark: str) -> str | None:
    """What is said for clauses that are all in the book, by as few phrases as they can be; a question by its own."""
    for count in range(min(len(clauses), _MOST_CLAUSES), 0, -1):
        phrase, rest = _words(" ".join(clauses[:count])), clauses[count:]
        start = book.get(phrase) if rest else book.get(phrase + mark, book.get(phrase))
        end = _found(rest, book, mark) if start and rest else ""
        if start and end is not None:
            return f"{start}, {end}" if end else start
    return None
