"""Texts made comparable: case, punctuation, and numbers as they are spoken."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from dubline.languages import base

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*")
_CURRENCY = re.compile(r"(US\$|R\$|\$|€|£)\s?(\d+(?:[.,]\d+)*)")
_UNWRITTEN_SPACES = frozenset({"ja", "zh", "th", "lo", "km", "my"})
_UNITS = {
    "pt": {"%": "por cento", "$": "dólares", "US$": "dólares", "R$": "reais", "€": "euros", "£": "libras", "&": "e"},
    "es": {"%": "por ciento", "$": "dólares", "US$": "dólares", "R$": "reales", "€": "euros", "£": "libras", "&": "y"},
    "en": {"%": "percent", "$": "dollars", "US$": "dollars", "R$": "reais", "€": "euros", "£": "pounds", "&": "and"},
}
_LAST_ORDINAL = 31  # of those that are written as words; the days of a month among them
_ROMAN = (("X", 10), ("IX", 9), ("V", 5), ("IV", 4), ("I", 1))


def plain_number(token: str) -> str:
    """Digits with separators as one value: `1,455`, `1.455` and `1455` give `1455`; `3,50` and `3.5` give `3.5`.

    A group of three digits is read as thousands in every language; a decimal with exactly three places loses, which
    is rare in speech.
    """
    if _THOUSANDS.fullmatch(token):
        return str(int(re.sub(r"[.,]", "", token)))
    *groups, rest = re.split(r"[.,]", token)
    whole, rest = ("".join(groups), rest.rstrip("0")) if groups else (rest, "")
    return f"{int(whole)}.{rest}" if rest else str(int(whole))


def numbers(text: str) -> list[str]:
    """Values written in digits, in order."""
    return [plain_number(m.group()) for m in _NUMBER.finditer(unicodedata.normalize("NFKC", text))]


@lru_cache(maxsize=4096)
def spoken_number(value: str, language: str) -> str:
    """A value in words, as `num2words` writes it; the digits themselves for a language it does not know."""
    from num2words import CONVERTER_CLASSES, num2words

    code = language.replace("-", "_")
    code = code if code in CONVERTER_CLASSES else base(language)
    if code not in CONVERTER_CLASSES or len(value) > 15:
        return value
    words = num2words(float(value) if "." in value else int(value), lang=code)
    return words.lower()


def without_numbers(text: str) -> str:
    """A text less the numbers it writes in digits."""
    return _NUMBER.sub(" ", unicodedata.normalize("NFKC", text))


def tokens(text: str, language: str) -> list[str]:
    """Words to compare: lower case, no punctuation, numbers in words; single characters where no spaces are written."""
    text = unicodedata.normalize("NFKC", text)
    units = _UNITS.get(base(language), {})
    text = _CURRENCY.sub(lambda m: f"{m.group(2)} {units.get(m.group(1), m.group(1))}", text)
    for sign in ("%", "&"):
        if sign in units:
            text = text.replace(sign, f" {units[sign]} ")
    text = _NUMBER.sub(lambda m: f" {spoken_number(plain_number(m.group()), language)} ", text)
    text = "".join(c if _is_letter(c) else ("" if c in "'’" else " ") for c in text.lower())
    if base(language) in _UNWRITTEN_SPACES:
        return [c for c in text if not c.isspace()]
    return text.split()


def _is_letter(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


def roman(value: int) -> str:
    """Roman numeral of 2 … 39, enough for centuries; empty outside ("I" is an English word)."""
    if not 2 <= value <= 39:
        return ""
    out = ""
    for sign, worth in _ROMAN:
        out += sign * (value // worth)
        value %= worth
    return out


def keeps_number(value: str, target: str, language: str) -> bool:
    """Whether a target text holds a value: in digits, in words (either gender, or as an ordinal) or as a Roman numeral.

    Of a decade its last two digits do: the 1960s are "os anos 60".
    """
    found = numbers(target)
    if value in found or (len(value) == 4 and value.endswith("0") and _names_decade(target, value[-2:])):
        return True
    if "." not in value and (numeral := roman(int(value))) and re.search(rf"\b{numeral}\b", target):
        return True
    said = " ".join(tokens(value, language))
    heard = f" {' '.join(tokens(target, language))} "
    one = "uma" if base(language) == "pt" else "una"
    feminine = re.sub(r"\b(um|uno)\b", one, re.sub(r"\bdois\b", "duas", re.sub(r"entos\b", "entas", said)))
    forms = {said, feminine, *_ordinals(value, language)}
    return any(f" {form} " in heard for form in forms)


def _names_decade(text: str, digits: str) -> bool:
    return re.search(rf"(?:anos|años|década de) {digits}\b|\b{digits}s\b", text) is not None


def _ordinals(value: str, language: str) -> set[str]:
    if "." in value or int(value) > _LAST_ORDINAL:
        return set()
    from num2words import CONVERTER_CLASSES, num2words

    code = base(language)
    if code not in CONVERTER_CLASSES:
        return set()
    word = num2words(int(value), lang=code, to="ordinal").lower().replace("-", " ")
    return {word, re.sub(r"o\b", "a", word)}


def repeated_phrases(text: str, language: str, *, times: int = 3, longest: int = 8) -> tuple[str, ...]:
    """Phrases of two words or more said `times` times or more in a row: what a looping recogniser writes."""
    words = tokens(text, language)
    out: list[str] = []
    taken = [False] * len(words)
    for size in range(2, longest + 1):
        run = 0
        for at in range(len(words) - size):
            run = run + 1 if words[at] == words[at + size] else 0
            if run >= size * (times - 1) and not taken[at]:
                first = at - run + 1
                phrase = " ".join(words[first : first + size])
                if phrase not in out:
                    out.append(phrase)
                taken[first : at + size + 1] = [True] * (at + size + 1 - first)
    return tuple(out)
