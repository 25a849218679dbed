"""Digits that are no quantity: hours of the clock and telephone numbers, as they are spoken."""

from __future__ import annotations

import re

_CLOCK = re.compile(r"(?<![\w.,:/])([01]?\d|2[0-4])([:h])([0-5]\d)(?![\w:/]|[.,]\d)")
_CHAPTER = re.compile(
    r"(?:^|.*\s)(?!(?:From|Until|Till|Around|About|Before|After|Between|Today|Hasta|Desde|Entre)\b)[A-Z]\w{2,} $"
)
_CALL = re.compile(r"(?<![\w.,/$€£-])(?:\+?\d{1,3}[ -])?(?:\(\d{2,4}\) ?|\d{2,3}-)?\d{3,5}-\d{4}(?![\w/-]|[.,]\d)")
# How hours are joined to minutes, and what is said of a full hour.
_JOINT = {"pt": " e ", "es": " y ", "en": " ", "fr": " heures ", "it": " e "}
_FULL = {"pt": " horas", "es": " horas", "en": " o'clock", "fr": " heures", "it": ""}


def read_digits(text: str, code: str) -> str:
    """The text with such numbers written out.

    Args:
        text: Any text.
        code: Language, as the first subtag of BCP 47.
    """
    if code not in _JOINT:
        return text
    text = _CALL.sub(_digit_by_digit, text)
    return _CLOCK.sub(lambda m: _hour(m, code), text)


def _hour(m: re.Match[str], code: str) -> str:
    if _CHAPTER.match(m.string[: m.start()]):  # "John 3:16"
        return m[0].replace(":", " ")
    hour, minutes = str(int(m[1])), int(m[3])
    if minutes == 0:
        is_named = re.match(r"\s*(?:[ap]\.?\s?m\b|in the|at night|da |de la )", m.string[m.end() :], re.IGNORECASE)
        one = {"pt": " hora", "es": " hora", "fr": " heure"}.get(code) if hour == "1" else None
        return hour if is_named or (code == "en" and int(hour) > 12) else f"{hour}{one or _FULL[code]}"
    if code == "en":
        return f"{hour} oh {minutes}" if minutes < 10 else f"{hour} {minutes}"
    joint = " horas e " if code == "pt" and m[2] == "h" else _JOINT[code]
    return f"{hour}{joint}{minutes}"


def _digit_by_digit(m: re.Match[str]) -> str:
    groups = re.findall(r"\d+", m[0])
    if len(groups) == 2 and all(len(g) == 4 and g[:2] in _CENTURIES for g in groups):
        return m[0]  # years
    return ", ".join(" ".join(g) for g in groups)


_CENTURIES = ("15", "16", "17", "18", "19", "20")
