"""Turns of speech in plainer words of the same language, for models that take them word by word."""

from __future__ import annotations

import re

_PRONOUN = "(?:i|you|he|she|it|we|they|there)"
_AUXILIARY = "(?:do|does|did|am|is|are|was|were|have|has|had|can|could|will|would|should)"
_FEELS = r"(?:is|was|are|were|be|been|feels?|felt|looks?|looked|seems?|seemed|sounds?|sounded|gets?|got|\w+'(?:s|re|m))"
_IT = "(it|this|that|them)"
_NO_PREDICATE = r"(?:an?|the|this|that|these|those|you|him|her|us|them|like|\w+ing)\b"

_ENGLISH = (
    (rf"^(yes|yeah|yep),? {_PRONOUN} {_AUXILIARY}(?=[.!]?$)", r"\1"),
    (rf"^(no|nope),? {_PRONOUN} (?:{_AUXILIARY}(?:n't| not)|can't|cannot|won't)(?=[.!]?$)", r"\1"),
    (rf"\b({_FEELS}) (?:kind|sort) of (?!{_NO_PREDICATE})", r"\1 a bit "),
    (r"\b(i|you|he|she|it|we|they)'d better (?=[a-z])(?!than\b)", r"\1 should "),
    (r"\blook (it|that|this|them) up\b", r"search for \1"),
    (r"\bwithout (?:any )?further ado\b", "without more delay"),
    (
        r"\blet's (?:(?:jump|dive|get) (?:right|straight) in(?:to it)?|(?:dive|jump) in(?:to it)?)(?=[.!]?$)",
        "let's begin",
    ),
    (r"\b(?:hit|smash|press|click|tap) (?:on )?(?:that|the) like button\b", 'press the "like" button'),
    (r"\b(?:hit|smash) (?:that|the) subscribe button\b", "press the subscribe button"),
    (r"\bconsider subscribing\b(?! to)", "subscribe to the channel"),
    (r"\bgive (?:it|this|this video) a thumbs up\b", 'press the "like" button'),
    (rf"\bgive {_IT} a (?:try|shot|go)\b", r"try \1"),
    (r"\b(i|he|she|we|they)(?: was| were| is| am| are|'s|'m|'re) like, (?=\w)", r"\1 said, "),
    (r"^like, (?=\w)|, (?:like|you know),(?= )", ""),
    (r", (?:huh|eh)\?$", ", right?"),
    (r"(^|\b(?:please|just|to|and)\b,? |, )let me know\b", r"\1tell me"),  # not "she let me know"
    (r"\ban arm and a leg\b", "a fortune"),
)
_PORTUGUESE = (
    (r"^(?:(?:hã|ahn?|hum|eh|né|ué),|é(?:\.\.\.|…)) (?=\w)|, (?:né|tipo),(?= )", ""),
    (r"\bbora(?: lá)?\b(?!-)", "vamos"),
    (r"^me (?:dá|dê)\b", "dê-me"),
    (r"^me (?:fala|diz|diga)\b", "diga-me"),
    (r"^me conta\b", "conte-me"),
    (r"^me ajuda\b", "ajude-me"),
    (r"^me mostra\b", "mostre-me"),
    (r"^me explica\b", "explique-me"),
    (r"^(?:obrigad[oa]|valeu) (?=(?:por|pel[oa]s?)\b)", "agradeço "),  # else "Thank you for sharing", whatever for
    (r"^muito obrigad[oa] (?=(?:por|pel[oa]s?)\b)", "agradeço muito "),
    (r"^tinha (?=(?:um|uma|muit[oa]s?|duas|dois|três)\b)", "havia "),
    (r"^(?:eu )?me chamo (?=\w)", "meu nome é "),
    (r"^(?:aqui é|quem fala é|(?:eu )?sou) [oa] (?=(?-i:[A-Z])[a-zà-ú]+\b)", "meu nome é "),
    (r"\bdoid([oa]s?)\b", r"maluc\1"),
    (r"\b2ª a 6ª(?:[ -]feira)?", "segunda a sexta-feira"),
    (r"(?<![\w:.,])(\d{1,2})h(\d\d)?(?!\w)", lambda m: f"{m[1]}:{m[2] or '00'}"),
)
_SPANISH = ((r"^me llamo (?=\w)", "mi nombre es "),)
_RULES = {
    language: tuple((re.compile(found, re.IGNORECASE), wanted) for found, wanted in rows)
    for language, rows in (("en", _ENGLISH), ("pt", _PORTUGUESE), ("es", _SPANISH))
}


def plain(sentence: str, language: str) -> str:
    """A sentence without turns of speech that are translated word by word; its first letter keeps its case."""
    said = sentence
    for found, wanted in _RULES.get(language, ()):
        said = found.sub(wanted, said)
    if said == sentence or not said:
        return sentence
    said = said.lstrip()
    return said[0].upper() + said[1:] if sentence[:1].isupper() else said
