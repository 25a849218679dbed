"""Text as it is spoken: what the phonemiser reads wrongly is written out first, and nothing else.

espeak-ng reads plain numbers, grouped thousands, decimals, ordinals and percent rightly in the languages here (listened
to its phonemes); it reads money in the order it is written, units by their letters, and English years as quantities.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dubline.engines.agreement import agree
from dubline.engines.roman_numerals import read_numerals
from dubline.engines.spoken_digits import read_digits
from dubline.engines.spoken_words import ABBREVIATIONS, FRACTIONS, MILLIONS, MONEY, SIGNS, UNITS
from dubline.languages import base

_Match = re.Match[str]
_NUMBER = r"\d+(?:[.,\u00a0\u202f]\d+)*"

_ORDINAL_DOT = re.compile(r"(?<=\d)\.(?=[ºª])")
_DECIMAL_POINT = re.compile(r"(?<![\w.,])(\d+)\.(\d{1,2})(?![\d\w]|[.,]\d)")
_DECIMAL_OF_SIGN = re.compile(r"(?<=\d)\.(?=\d{1,2}\s?[%°])")
_MINUS = re.compile(r"(?:(?<=\s)|^)[-−](?=\d)")
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_SITE = re.compile(
    r"\b(?:https?://)?((?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|info|io|ai|app|dev|tv|br|es|fr|it|uk)\b(?:/[\w.-]*\w)*)/?",
    re.IGNORECASE,
)
_SPAN = re.compile(r"(?<![\w.,/:-])(\d{1,4})(?:\s?[–—]\s?|-)(\d{1,4})(?![\w/:-]|[.,]\d)")
_TIMES = re.compile(r"(?<=\d)\s?[x×]\s?(?=\d)")
_FRACTION = re.compile(r"(?<![\w/.,-])(?:(\d{1,3})[ \u00a0]?)??([123]/[234]|[½⅓⅔¼¾])(?![\w/]|[.,]\d)")
_OF_ONE_SIGN = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4"}
# Which capitals are spelt and which are a word is left to espeak-ng: of 168 Portuguese and Spanish sentences with an
# acronym base Whisper heard 76 rightly, 70 with the letters' names joined by hyphens, 52 set apart, 27 with full stops.
_ACRONYM = re.compile(r"(?<![\w.'’-])(?:[A-Z]\.){2,5}(?!\w)")
_INITIAL = re.compile(r"(?:^|(?<=\s))([A-Z])\.(?=\s[A-ZÀ-Þ])")
_YEAR = re.compile(r"(?<![\d.,$€£#])\b(1[1-9]\d\d|20[1-9]\d)(s?)\b(?![.,]\d|\s?%)")


def spoken(text: str, language: str) -> str:
    """The text with all written out that a phonemiser would read in another way."""
    code = base(language)
    text = text.replace("\u00a0", " ").replace("\u202f", " ").replace("_", " ")
    text = _ORDINAL_DOT.sub("", text).replace("ºC", "°C")
    text = read_digits(text, code)
    if code == "pt":
        text = _DECIMAL_OF_SIGN.sub(",", text)
        text = _DECIMAL_POINT.sub(r"\1 ponto \2", text)
    if code in SIGNS:
        text = _signs(text, SIGNS[code])
    if code in FRACTIONS:
        text = _FRACTION.sub(lambda m: _fraction(m, *FRACTIONS[code]), text)
    if code in MONEY:
        text = _money(text, code)
    for sign, forms in UNITS.get(code, {}).items():
        text = re.sub(rf"({_NUMBER})\s?{re.escape(sign)}(?![\w/])", _counted(forms), text)
    for pattern, word in ABBREVIATIONS.get(code, {}).items():
        text = re.sub(rf"(?<![^\W\d]){pattern}", word, text)
    text = _ACRONYM.sub(_undotted, _INITIAL.sub(_initial, text))
    text = agree(read_numerals(text, language), language)
    if code == "en":
        text = _YEAR.sub(_english_year, text)
    return " ".join(text.split())


def _signs(text: str, signs: dict[str, str]) -> str:
    """What stands between letters or digits, by its name."""
    text = _MAIL.sub(lambda m: re.sub(r"[@.]", lambda s: f" {signs[s[0]]} ", m[0]), text)
    text = _SITE.sub(lambda m: re.sub(r"[/.]", lambda s: f" {signs[s[0]]} ", m[1]), text)
    text = re.sub(r"\s*&\s*", f" {signs['&']} ", text)
    text = _MINUS.sub(f"{signs['−']} ", text)
    text = re.sub(r"#\s?(?=\d)", f"{signs['#']} ", text)
    text = _TIMES.sub(f" {signs['x']} ", text)
    return _SPAN.sub(lambda m: f"{m[1]} {signs['-']} {m[2]}" if _is_span(m[1], m[2]) else m[0], text)


def _is_span(first: str, last: str) -> bool:
    """`50-60` and scores, but not `555-1234` and `2020-21`."""
    return len(first) == len(last) or (int(first) < int(last) and (len(last) < 4 or last.endswith("0")))


def _initial(m: _Match) -> str:
    """`John F. Kennedy` has no pause, `vitamin C. Then` has one."""
    before = m.string[: m.start()].split()
    return m[0] if before and not before[-1][:1].isupper() else m[1]


def _undotted(m: _Match) -> str:
    """`U.S.` as `US`; its last full stop may be that of the sentence."""
    is_inside = re.match(r"[,;:]|\s+[^\W\dA-ZÀ-Þ_]", m.string[m.end() :])
    return m[0].replace(".", "") + ("" if is_inside else ".")


def _fraction(m: _Match, forms: dict[str, str], joint: str) -> str:
    sign = _OF_ONE_SIGN.get(m[2], m[2])
    if sign not in forms:
        return m[0]
    return f"{m[1]} {joint} {forms[sign]}" if m[1] else forms[sign]


def _counted(forms: tuple[str, str]) -> Callable[[_Match], str]:
    return lambda m: f"{m[1]} {forms[0] if m[1] == '1' else forms[1]}"


def _money(text: str, code: str) -> str:
    multiple, takes_of, of = MILLIONS[code]
    for sign, (one, many) in MONEY[code].items():

        def say(m: _Match, one: str = one, many: str = many) -> str:
            number, large = m[1], m[2]
            if large:
                return f"{number} {large}{of if re.search(takes_of, large) else ' '}{many}"
            return f"{number} {one if number == '1' else many}"

        mark = re.escape(sign)
        text = re.sub(rf"{mark}\s?({_NUMBER})(?:\s({multiple})\b)?", say, text)
        text = re.sub(rf"({_NUMBER})(?:\s({multiple}))?\s?{mark}(?!\w)", say, text)
    return text


def _english_year(m: _Match) -> str:
    """`1455` is fourteen fifty-five; `1990s` the nineteen nineties."""
    from num2words import num2words

    words = num2words(int(m[1]), to="year").replace("-", " ")
    if not m[2]:
        return words
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"
