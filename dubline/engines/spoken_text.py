"""Text as it is spoken: what a phonemiser would read wrongly is written out first."""

from __future__ import annotations

import re

from dubline.languages import base

_CURRENCY = {
    "pt": {"US$": "dólares", "R$": "reais", "$": "dólares", "€": "euros", "£": "libras"},
    "es": {"US$": "dólares", "R$": "reales", "$": "dólares", "€": "euros", "£": "libras"},
    "en": {"US$": "dollars", "R$": "reais", "$": "dollars", "€": "euros", "£": "pounds"},
    "fr": {"US$": "dollars", "R$": "reais", "$": "dollars", "€": "euros", "£": "livres"},
    "it": {"US$": "dollari", "R$": "real", "$": "dollari", "€": "euro", "£": "sterline"},
}
_SYMBOLS = {
    "pt": {"%": " por cento", "&": " e ", "@": " arroba ", "°C": " graus Celsius", "km/h": " quilômetros por hora"},
    "es": {"%": " por ciento", "&": " y ", "@": " arroba ", "°C": " grados Celsius", "km/h": " kilómetros por hora"},
    "en": {"%": " percent", "&": " and ", "@": " at ", "°C": " degrees Celsius", "km/h": " kilometres per hour"},
    "fr": {"%": " pour cent", "&": " et ", "@": " arobase ", "°C": " degrés Celsius", "km/h": " kilomètres par heure"},
    "it": {"%": " per cento", "&": " e ", "@": " chiocciola ", "°C": " gradi Celsius", "km/h": " chilometri orari"},
}
_DOT = {"pt": " ponto ", "es": " punto ", "en": " dot ", "fr": " point ", "it": " punto "}
_NUMBER = r"\d+(?:[.,]\d+)*"
_ROMAN_CENTURY = re.compile(r"\b([Ss]éculos?|[Ss]iglos?)\s+([IVX]+)\b")
_ROMAN = {"I": 1, "V": 5, "X": 10}
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")


def spoken(text: str, language: str) -> str:
    """The text with currencies, symbols, addresses and century numerals written out for the language."""
    code = base(language)
    text = text.replace("\u00a0", " ").replace("_", " ")
    text = _MAIL.sub(lambda m: _address(m[0], code), text)
    for sign, word in _CURRENCY.get(code, {}).items():
        text = re.sub(rf"{re.escape(sign)}\s?({_NUMBER})", rf"\1 {word}", text)
        text = re.sub(rf"({_NUMBER})\s?{re.escape(sign)}", rf"\1 {word}", text)
    for sign, word in _SYMBOLS.get(code, {}).items():
        text = text.replace(sign, word)
    text = _ROMAN_CENTURY.sub(lambda m: f"{m[1]} {_roman(m[2])}", text)
    if code == "pt":
        # espeak reads "1.455" as a decimal; Portuguese and Spanish group thousands with the full stop.
        text = re.sub(r"\b(\d{1,3})\.(\d{3})\b", r"\1\2", text)
    return " ".join(text.split())


def _address(mail: str, code: str) -> str:
    return mail.replace("@", _SYMBOLS.get(code, {}).get("@", " at ")).replace(".", _DOT.get(code, " dot "))


def _roman(numeral: str) -> int:
    values = [_ROMAN[c] for c in numeral]
    return sum(-v if v < following else v for v, following in zip(values, [*values[1:], 0], strict=True))
