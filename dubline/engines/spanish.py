"""Spanish that came by way of Portuguese, as Spanish is written.

Apertium translates word by word between the two and leaves what they do not share: no mark opens a question, question
words have no accent, what somebody likes is said as in Portuguese, and words that it does not know stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dubline.engines.spanish_words import WORD, in_spanish
from dubline.timing.sentences import split_sentences

_PRESENT = {
    "quiera": "quiere",
    "pueda": "puede",
    "tenga": "tiene",
    "esté": "está",
    "haya": "hay",
    "vaya": "va",
    "haga": "hace",
    "diga": "dice",
    "sea": "es",
}
_SUBJUNCTIVE = {"gar": "gue", "car": "que", "zar": "ce", "ar": "e", "er": "a", "ir": "a"}


def _present(m: re.Match[str]) -> str:
    return f"{m[1]}{'son' if m[0].lower().split()[-1] == 'sean' else _PRESENT[m[2].lower()] + (m[3] or '')}"


def _subjunctive(m: re.Match[str]) -> str:
    ending = _SUBJUNCTIVE[m[3].lower()]
    return f"{m[1]}{m[2]}{ending.upper() if m[3].isupper() else ending}"


_REWRITING: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"\bsucede que\b", "resulta que"),
    (r"\bsucedió que\b", "resultó que"),
    (r"\buna desorden\b", "un desorden"),
    (r"\bla desorden\b", "el desorden"),
    (r"\b(él|ella|usted|yo|tú) está correct[oa]\b", r"\1 tiene razón"),
    (r"\b(él|ella|usted|yo) estaba correct[oa]\b", r"\1 tenía razón"),
    (r"\b(ir|voy|vas|va|vamos|van|fui|fue|fueron|iba) para el\b", r"\1 al"),
    (r"\b(ir|voy|vas|va|vamos|van|fui|fue|fueron|iba) para (?=casa|la|mi|su)\b", r"\1 a "),
    # The future subjunctive, which Spanish says in the present.
    (
        r"\b(si (?:usted |él |ella |ellos |ustedes |yo )?)"
        r"(quiera|pueda|tenga|esté|haya|vaya|haga|diga|sea)((?<!haya)n)?\b",
        _present,
    ),
    (
        r"\b(cuando (?:usted|él|ella|yo|(?:el|la|mi|su|tu|un|una|este|esta) \w+) )"
        r"(?!(?:lug|hog|m|famili|milit|simil|popul)ar\b|mujer\b|(?:s|v|hac|ten|pod|quer|ven|dec|est|d)[aei]r\b)("
        r"\w+?)(gar|car|zar|ar|er|ir)\b",
        _subjunctive,
    ),
    (r"\bprestes a\b", "a punto de"),
    (r"\bpor quê\b", "por qué"),
    (r"\bel quê\b", "qué"),
    (r"\bhay cuánto tiempo\b", "hace cuánto tiempo"),
    (r"\bdesde (?=(?:lunes|martes|miércoles|jueves|viernes|sábado|domingo)\b)", "desde el "),
    (r"^clic en\b", "haga clic en"),
    (r"\bfalda de aquí\b", "salga de aquí"),
    (r"^es claro que\b", "claro que"),
    (r"\by se (?=\w+(?:emos|amos|imos)\b)", "y si "),
    (r"\bviajar para (?=(?-i:[A-Z]))", "viajar a "),
    (r"\bnodos dos\b", "nosotros dos"),
    (r"\b(con|en|de|por|para|a|como) uno (?!mismo|solo|de\b|por\b|que\b|y\b)(?=\w{4,})", r"\1 un "),
    (r"\bguardia-lluvias?\b", "paraguas"),
    (r"\banimal de estimación\b", "mascota"),
    (r"\banimales de estimación\b", "mascotas"),
    (r"\bmuy (?=más\b)", "mucho "),
    (r"\b(tomar|toma|tomó|tomaba|tome) baño\b", r"\1 un baño"),
    # The first person, where Portuguese has one form for the first and the third.
    (r"\b(yo (?:ya |no )?(?:(?:me|te|le|lo|la|se|les|los|las|nos) )?)dijo\b", r"\1dije"),
    (r"\b(yo (?:ya |no )?(?:(?:me|te|le|lo|la|se|les|los|las|nos) )?)trajo\b", r"\1traje"),
    (r"\b(yo (?:ya |no )?)supo\b", r"\1supe"),
    # What somebody likes.
    (r"\b(gusta|gustan|gustó|gustaba|gustaría) de (?!que\b)", r"\1 "),
    (r"\b(?:yo|nosotros|tú) (?=(?:no |siempre |ya |también )?(?:me|nos|te) gust)", ""),
    (r"\busted (?=(?:no |siempre |ya |también )?le gust)", ""),
    (
        r"(?<!\ba )\b(ellas?|él|ellos|ustedes) (?=(?:no |siempre |ya |también )?les? gust)",
        lambda m: f"a {m[1].lower()} ",
    ),
    # Who says it: the verb tells.
    (
        r"(?:(?<=^)|(?<=, ))yo (?!tampoco\b|mismo\b|s[oó]lo\b)"
        r"(?=(?:no )?(?:\w+[^aeiou\W]o|\w+[ií]o|[vd]oy|soy|estoy|sé|he|\w+é)\b)",
        "",
    ),
    (r"(?:(?<=^)|(?<=, ))nosotros (?=(?:no )?\w+mos\b)", ""),
)
_RULES = tuple((re.compile(found, re.IGNORECASE), wanted) for found, wanted in _REWRITING)
_ASKING = {
    "qué": "qué",
    "que": "qué",
    "lo que": "qué",
    "como": "cómo",
    "cómo": "cómo",
    "donde": "dónde",
    "dónde": "dónde",
    "cuando": "cuándo",
    "cuándo": "cuándo",
    "cuanto": "cuánto",
    "cuánto": "cuánto",
    "quien": "quién",
    "quién": "quién",
    "cual": "cuál",
    "cuál": "cuál",
    "por qué": "por qué",
    "por que": "por qué",
}
_ASKING_WORD = re.compile(
    r"^((?:(?:y|pero|entonces|bueno),? )?(?:(?:a|de|en|con|para|desde|hasta) )?)"
    rf"({'|'.join(sorted(_ASKING, key=len)[::-1])})\b(?! no\b)((?: de (?:ellos|ellas|est[oa]s|es[oa]s))?)"
    r"(?: usted(?= \w))?",
    re.IGNORECASE,
)
_ASKED_OF = re.compile(
    r"\b((?:no )?(?:sé|sabe|sabes|saber|sabemos|saben|dígame|dime|explicar|entiendo|mostrar\w*|muestro|ver|vea) )"
    r"(como|donde|cuando|quien)\b(?! (?:si|un|una)\b)",
    re.IGNORECASE,
)
_NOD = re.compile(r", (?:no es|no es así|correcto|verdad)\?$")
_SAID = re.compile(r"^(.*\bdij\w+), lo que (?:usted )?(.*\?)$")
_YOU = re.compile(r"^usted (?=(?:no |ya )?(?:me |te |le |lo |la |se |nos )?\w+)", re.IGNORECASE)
_EXCLAIMING = re.compile(r"^(que|como)\b(?=.*!$)", re.IGNORECASE)
_MARKED = re.compile(r"(?<=[?!])(?=\s)|(?<=[?!][\"”»])(?=\W)")  # where a question ends inside a sentence


def as_written(text: str) -> str:
    """A translated sentence or several, with Spanish marks and without what is left of Portuguese."""
    text = WORD.sub(lambda m: in_spanish(m[0]), text)
    return " ".join("".join(map(_sentence, _MARKED.split(s))) for s in split_sentences(text, "es"))


def _sentence(part: str) -> str:
    said = part.rstrip()
    space = part[len(said) :]
    start = said[: len(said) - len(said.lstrip(' "“«('))]
    said = said[len(start) :]
    was_capital = said[:1].isupper()
    for found, wanted in _RULES:
        said = found.sub(wanted, said)
    said = _ASKED_OF.sub(lambda m: f"{m[1]}{_ASKING[m[2].lower()]}", said)
    bare = said.rstrip('"”»)')
    if bare.endswith("?"):
        said = _asked(said)
    elif bare.endswith("!"):
        said = _EXCLAIMING.sub(lambda m: _cased(m[1], {"que": "qué", "como": "cómo"}[m[1].lower()]), said)
        said = said if "¡" in said else f"¡{_capital(said, was_capital)}"
    return f"{start}{_capital(said, was_capital)}{space}"


def _asked(said: str) -> str:
    """`¿` before the question: all of it, or what only asks for a nod."""
    if "¿" in said:
        return said
    nod = _NOD.search(said)
    if nod is not None and nod.start() > 0:
        return f"{said[: nod.start()]}, ¿{'no' if nod[0].strip(', ').startswith('no') else 'verdad'}?"
    was_capital = said[:1].isupper()
    if (quoted := _SAID.match(said)) is not None:
        return f"{quoted[1]}, ¿qué {quoted[2]}"
    said = _ASKING_WORD.sub(lambda m: m[1] + _ASKING[m[2].lower()] + m[3], _YOU.sub("", said))
    return f"¿{_capital(said, was_capital)}"


def _capital(said: str, is_capital: bool) -> str:
    first = next((n for n, c in enumerate(said) if c.isalpha()), None)
    if first is None or not is_capital or any(c.isdigit() for c in said[:first]):
        return said
    return said[:first] + said[first].upper() + said[first + 1 :]


def _cased(found: str, wanted: str) -> str:
    return wanted[0].upper() + wanted[1:] if found[:1].isupper() else wanted
