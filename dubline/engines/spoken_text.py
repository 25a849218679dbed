"""Text as it is spoken: what the phonemiser reads wrongly is written out first, and nothing else.

espeak-ng reads plain numbers, grouped thousands, decimals, ordinals and percent rightly in the languages here (listened
to its phonemes); it reads money in the order it is written, units by their letters, and English years as quantities.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dubline.languages import base

_Match = re.Match[str]
_NUMBER = r"\d+(?:[.,\u00a0\u202f]\d+)*"

# Money: one, many. The longest sign first.
_MONEY: dict[str, dict[str, tuple[str, str]]] = {
    "pt": {
        "US$": ("dólar", "dólares"),
        "R$": ("real", "reais"),
        "$": ("dólar", "dólares"),
        "€": ("euro", "euros"),
        "£": ("libra", "libras"),
    },
    "es": {
        "US$": ("dólar", "dólares"),
        "R$": ("real", "reales"),
        "$": ("dólar", "dólares"),
        "€": ("euro", "euros"),
        "£": ("libra", "libras"),
    },
    "en": {
        "US$": ("dollar", "dollars"),
        "R$": ("real", "reais"),
        "$": ("dollar", "dollars"),
        "€": ("euro", "euros"),
        "£": ("pound", "pounds"),
    },
    "fr": {
        "US$": ("dollar", "dollars"),
        "R$": ("real", "reals"),
        "$": ("dollar", "dollars"),
        "€": ("euro", "euros"),
        "£": ("livre", "livres"),
    },
    "it": {
        "US$": ("dollaro", "dollari"),
        "R$": ("real", "real"),
        "$": ("dollaro", "dollari"),
        "€": ("euro", "euro"),
        "£": ("sterlina", "sterline"),
    },
}
# "5 millions" of money takes a preposition in the Romance languages.
_MILLIONS = {
    "pt": (r"(?:mil|milhão|milhões|bilhão|bilhões|trilhão|trilhões)", r"(?:ão|ões)$", " de "),
    "es": (r"(?:mil|millón|millones|billón|billones)", r"(?:ón|ones)$", " de "),
    "en": (r"(?:thousand|hundred|million|billion|trillion)", r"$^", " "),
    "fr": (r"(?:mille|millions?|milliards?)", r"(?:ion|ard)s?$", " de "),
    "it": (r"(?:mila|milione|milioni|miliardo|miliardi)", r"(?:one|oni|rdo|rdi)$", " di "),
}
_UNITS: dict[str, dict[str, tuple[str, str]]] = {
    "pt": {
        "km/h": ("quilômetro por hora", "quilômetros por hora"),
        "km": ("quilômetro", "quilômetros"),
        "cm": ("centímetro", "centímetros"),
        "mm": ("milímetro", "milímetros"),
        "kg": ("quilo", "quilos"),
        "mg": ("miligrama", "miligramas"),
        "m²": ("metro quadrado", "metros quadrados"),
        "°C": ("grau Celsius", "graus Celsius"),
        "°F": ("grau Fahrenheit", "graus Fahrenheit"),
    },
    "es": {
        "km/h": ("kilómetro por hora", "kilómetros por hora"),
        "km": ("kilómetro", "kilómetros"),
        "cm": ("centímetro", "centímetros"),
        "mm": ("milímetro", "milímetros"),
        "kg": ("kilo", "kilos"),
        "mg": ("miligramo", "miligramos"),
        "m²": ("metro cuadrado", "metros cuadrados"),
        "°C": ("grado Celsius", "grados Celsius"),
        "°F": ("grado Fahrenheit", "grados Fahrenheit"),
    },
    "en": {
        "km/h": ("kilometre per hour", "kilometres per hour"),
        "km": ("kilometre", "kilometres"),
        "cm": ("centimetre", "centimetres"),
        "mm": ("millimetre", "millimetres"),
        "kg": ("kilo", "kilos"),
        "mg": ("milligram", "milligrams"),
        "m²": ("square metre", "square metres"),
        "°C": ("degree Celsius", "degrees Celsius"),
        "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    },
}
_SIGNS = {
    "pt": {"&": "e", "@": "arroba", ".": "ponto"},
    "es": {"&": "y", "@": "arroba", ".": "punto"},
    "en": {"&": "and", "@": "at", ".": "dot"},
    "fr": {"&": "et", "@": "arobase", ".": "point"},
    "it": {"&": "e", "@": "chiocciola", ".": "punto"},
}
_WORDS = {
    "pt": {r"Sra\.": "Senhora", r"Sr\.": "Senhor", r"n\.?º\s?(?=\d)": "número ", r"(?<=\d)h(?=\d\d\b)": " horas e "},
    "es": {r"Sra\.": "Señora", r"Sr\.": "Señor", r"EE\.\s?UU\.": "Estados Unidos", r"n\.?º\s?(?=\d)": "número "},
    "en": {r"No\.\s?(?=\d)": "number "},
}
# Portuguese numbers agree with what they count: those nouns that are counted most, and all in -ções and -sões.
_FEMININE = re.compile(
    r"(?<![\w.,$])(\d{1,3}(?:\.\d{3})?|\d{4,6})(?= (?:pessoas|vezes|horas|semanas|décadas|noites|linhas|páginas|folhas"
    r"|palavras|letras|línguas|notas|partes|peças|etapas|fases|mulheres|meninas|crianças|famílias|vítimas|mortes|cidades"
    r"|casas|escolas|empresas|igrejas|ilhas|salas|portas|caixas|moedas|libras|milhas|polegadas|toneladas|estrelas"
    r"|voltas|cabeças|[^\W\d]+[çs]ões)\b)"
)
_ORDINAL_DOT = re.compile(r"(?<=\d)\.(?=[ºª])")
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_YEAR = re.compile(r"(?<![\d.,$€£#])\b(1[1-9]\d\d|20[1-9]\d)(s?)\b(?![.,]\d|\s?%)")


def spoken(text: str, language: str) -> str:
    """The text with money, units, addresses and (English) years written out for the language."""
    code = base(language)
    text = text.replace("\u00a0", " ").replace("\u202f", " ").replace("_", " ")
    text = _ORDINAL_DOT.sub("", text)
    signs = _SIGNS.get(code)
    if signs is not None:
        text = _MAIL.sub(lambda m: re.sub(r"[@.]", lambda s: f" {signs[s[0]]} ", m[0]), text)
        text = re.sub(r"\s*&\s*", f" {signs['&']} ", text)
    if code in _MONEY:
        text = _money(text, code)
    for sign, forms in _UNITS.get(code, {}).items():
        text = re.sub(rf"({_NUMBER})\s?{re.escape(sign)}(?!\w)", _counted(forms), text)
    for pattern, word in _WORDS.get(code, {}).items():
        text = re.sub(rf"(?<![^\W\d]){pattern}", word, text)
    if code == "pt":
        text = _FEMININE.sub(_of_feminine, text)
    if code == "en":
        text = _YEAR.sub(_english_year, text)
    return " ".join(text.split())


def _counted(forms: tuple[str, str]) -> Callable[[_Match], str]:
    return lambda m: f"{m[1]} {forms[0] if m[1] == '1' else forms[1]}"


def _money(text: str, code: str) -> str:
    multiple, takes_of, of = _MILLIONS[code]
    for sign, (one, many) in _MONEY[code].items():

        def say(m: _Match, one: str = one, many: str = many) -> str:
            number, large = m[1], m[2]
            if large:
                return f"{number} {large}{of if re.search(takes_of, large) else ' '}{many}"
            return f"{number} {one if number == '1' else many}"

        mark = re.escape(sign)
        text = re.sub(rf"{mark}\s?({_NUMBER})(?:\s({multiple})\b)?", say, text)
        text = re.sub(rf"({_NUMBER})(?:\s({multiple}))?\s?{mark}(?!\w)", say, text)
    return text


def _of_feminine(m: _Match) -> str:
    """`42 linhas` is quarenta e duas linhas; where gender changes nothing the digits stay."""
    from num2words import num2words

    words = num2words(int(m[1].replace(".", "")), lang="pt_BR")
    changed = re.sub(r"(?<=ent)os\b", "as", re.sub(r"\bum$", "uma", re.sub(r"\bdois\b", "duas", words)))
    return m[1] if changed == words else changed


def _english_year(m: _Match) -> str:
    """`1455` is fourteen fifty-five; `1990s` the nineteen nineties."""
    from num2words import num2words

    words = num2words(int(m[1]), to="year").replace("-", " ")
    if not m[2]:
        return words
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"
