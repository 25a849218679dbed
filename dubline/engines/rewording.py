"""A sentence in the words that tiny models know, and what they still change put back.

Bergamot's models learnt from web pages: they know no hesitation and no spoken spelling, take capitals for names, and
lose the signs of money and addresses. What is rewritten here was heard to come out wrong, and comes out right so.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_Match = re.Match[str]

_FILLER = re.compile(r"(?:,\s*|(?<=\s)|^)(?<![\w'’-])(?:[Uu]m+|[Uu]h+m?|[Ee]rm?)(?![\w'’-])(?:,|…|\.{3})?")
_STUTTER = re.compile(r"\b([A-Za-z']+)(?:\.{3}|…|--|—)\s*(?=\1 \w)", re.IGNORECASE)
_SPELT = {
    "gimme": "give me",
    "lemme": "let me",
    "dunno": "don't know",
    "gotta": "have to",
    "y'all": "you all",
    "lotta": "lot of",
    "cuz": "because",
    "'cuz": "because",
    "'cause": "because",
    "c'mon": "come on",
}
_SPOKEN = re.compile(rf"(?<![\w'])({'|'.join(map(re.escape, _SPELT))})(?![\w'])", re.IGNORECASE)

_COINS = {"$": "dollar", "£": "pound", "€": "euro"}
_LARGE = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion"}
_MONEY = re.compile(
    r"(?<![\w$£€])(?:US ?)?([$£€])\s?(\d+(?:,\d{3})*(?:\.\d+)?)"
    r"(?:\s?(thousand|million|billion|trillion)\b|(K|k|M|B|bn)\b)?(?![\w,.]*\d)( (?:dollar|pound|euro)s?\b)?"
)
_MONEY_SPAN = re.compile(r"(?<=\d)\s?[-–]\s?(?=[$£€]\d)")
_CLOCK = re.compile(r"\b(1?\d)(:[0-5]\d)?\s?(?:([ap])\.\s?m\.|([ap])m\b)", re.IGNORECASE)

_AUXILIARY = r"(?:do|does|did|is|are|was|were|can|could|would|will|should|have|has)"
_ASKS = re.compile(
    rf"(?:(?:so|and|but|okay|well) )?(?:(?:what|when|where|who|why|how|which)(?:'s| {_AUXILIARY})\b"
    rf"|(?:what|which|how) \w+ {_AUXILIARY}\b|how (?:many|much|old|far)\b"
    rf"|{_AUXILIARY} (?:you|i|we|they|he|she|it|this|that|there|the|your|my)\b)",
    re.IGNORECASE,
)
_LEAST_WORDS = 3
_CAPITALS = 0.8

_WHAT_A = re.compile(r"(?:(?:oh|wow|man),? )?what an? [^?]*$", re.IGNORECASE)
_O_QUE_UM = re.compile(r"^(|[^\W\d]+, )o que (?:é )?uma? (?=\w)", re.IGNORECASE)
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<![\w@])@\w{2,}")
_ALIKE = 0.6  # of letters, by difflib, where an address is taken for what became of it
_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,])")
_DECIMAL = re.compile(
    r"(?<![\w.,])(\d+)\.(\d{1,2})(?=\s?%| (?:mil|milhões|bilhões|trilhões|dólares|euros|libras|reais)\b)"
)
_AT_HOUR = re.compile(r"\b(A|a)os (?=\d{1,2}(?::\d\d)? )")
_PART_OF_DAY = re.compile(r"(?<=\d) (?:de|à|na parte da) (?=(?:manhã|tarde|noite)\b)")


def reworded(text: str, source: str) -> str:
    """A sentence of English as it would be written: no "um", no "gimme", no capitals, money and hours in words."""
    if source != "en":
        return text
    letters = [c for c in text if c.isalpha()]
    if len(re.findall(r"\w{2,}", text)) >= _LEAST_WORDS and sum(c.isupper() for c in letters) > _CAPITALS * len(
        letters
    ):
        text = re.sub(r"\bi\b", "I", text.lower())
        text = text[:1].upper() + text[1:]
    text = _without_fillers(_STUTTER.sub("", text))
    text = _SPOKEN.sub(lambda m: _as(m[0], _SPELT[m[0].lower()]), text)
    text = _MONEY.sub(_money, _MONEY_SPAN.sub(" to ", text))
    return _CLOCK.sub(_clock, text)


def _without_fillers(text: str) -> str:
    rest = " ".join(_FILLER.sub(" ", text).split())
    rest = re.sub(r"\s+(?=[,.;:?!])", "", rest).lstrip(",.…; ")
    if not any(c.isalpha() for c in rest):
        return text
    return rest[0].upper() + rest[1:] if text[0].isupper() else rest


def _as(found: str, wanted: str) -> str:
    return wanted[0].upper() + wanted[1:] if found.strip("'")[:1].isupper() else wanted


def _money(m: _Match) -> str:
    large = m[3] or _LARGE.get((m[4] or "").lower(), "")
    before = m.string[: m.start()].split()
    is_one = m[2] == "1" and not large
    is_kind = bool(before) and before[-1].lower() in ("a", "an", "another", "each", "every")  # "a 20 dollar bill"
    coin = _COINS[m[1]]
    return " ".join(part for part in (m[2], large, coin if is_one or is_kind else f"{coin}s") if part)


def _clock(m: _Match) -> str:
    hour, is_morning = int(m[1]), (m[3] or m[4]).lower() == "a"
    if not 1 <= hour <= 12:
        return m[0]
    part = "morning" if is_morning else "afternoon" if hour == 12 or hour < 6 else "evening"
    stop = "." if m[3] and m.end() == len(m.string) else ""
    minutes = "" if m[2] in (None, ":00") else m[2]
    return f"{m[1]}{minutes} in the {part}{stop}"


def written(text: str, source: str) -> str:
    """What was recognised without capitals and marks, as a sentence; anything else as it is."""
    if text != text.lower() or text[-1:] in ".!?…,;:" or len(text.split()) < _LEAST_WORDS or not text[:1].isalpha():
        return text
    mark = "?" if source == "en" and _ASKS.match(text) else "."
    if source == "en":
        text = re.sub(r"\bi\b(?!\.)", "I", text)
    return f"{text[0].upper()}{text[1:]}{mark}"


def unwritten(translation: str, text: str, asked: str) -> str:
    """The translation of `asked` as `text` was recognised, when `written` made the one of the other."""
    if text == asked or not translation:
        return translation
    bare = translation.rstrip(".?!")
    return bare[:1].lower() + bare[1:] if not bare[:2].isupper() else bare


def put_back(translation: str, text: str, target: str) -> str:
    """Addresses as the source has them, numbers with the target's marks, and "What a …!" as an exclamation."""
    for address in _ADDRESS.findall(text):
        if address not in translation:
            translation = _with_address(translation, address)
    if '"' not in text and translation.count('"') % 2:
        translation = translation.replace('"', "")
    if target == "pt":
        translation = re.sub(r"\bUS \$ ?", "US$ ", translation)
        for number in _GROUPED.findall(text):
            translation = re.sub(rf"(?<![\w.,]){number}(?![\w,])", number.replace(",", "."), translation)
        translation = _DECIMAL.sub(r"\1,\2", translation)
        if _CLOCK.search(text):
            translation = _AT_HOUR.sub(lambda m: "Às " if m[1] == "A" else "às ", translation)
            translation = _PART_OF_DAY.sub(" da ", translation)
        if _WHAT_A.match(text):
            translation = _O_QUE_UM.sub(lambda m: f"{m[1]}{'Que' if not m[1] else 'que'} ", translation)
    return translation


def _with_address(translation: str, address: str) -> str:
    """The word that is most like an address, replaced by it."""
    words = re.findall(r"[^\s\"“”,;:!?()]+", translation)
    best = max(words, key=lambda w: SequenceMatcher(None, w.rstrip("."), address).ratio(), default="")
    bare = best.rstrip(".")
    if not bare or SequenceMatcher(None, bare, address).ratio() < _ALIKE:
        return translation
    return re.sub(rf"[\"“]?{re.escape(bare)}[\"”]?", lambda _: address, translation, count=1)
