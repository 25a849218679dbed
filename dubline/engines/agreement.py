"""Numbers in digits that agree with what they count, where espeak-ng reads all as if they were masculine."""

from __future__ import annotations

import re

from dubline.languages import base

_DIGITS = r"(?<![\w.,$])(\d{1,3}(?:\.\d{3})?|\d{4,6})"
# Portuguese: any plural, which tells its gender by its ending but for some; what is counted most by one, and by half.
_PORTUGUESE = re.compile(rf"{_DIGITS}(?= (?:mil )?([^\W\d_]{{3,}}s)\b)")
_PORTUGUESE_FEMININE = re.compile(
    r"(?!(?:dias|mapas|planetas|cometas|atletas|poetas|colegas|camaradas|papas|gramas|apenas|pelas|corações)\b"
    r"|[^\W\d]*(?:[eio]mas|gramas|dramas|istas)\b)"
    r"(?:[^\W\d]+(?:as|[çsz]ões|dades|gens|ãs)|vezes|mulheres|noites|tardes|partes|mortes|fases|frases|bases|doses|crises"
    r"|análises|cores|flores|torres|árvores|colheres|mãos|mães|luzes|vozes|chaves|classes|redes|paredes|nuvens|leis)"
)
_PORTUGUESE_ONE = re.compile(
    r"(?<![\w.,$])1(?= (?:pessoa|vez|hora|semana|década|noite|linha|página|palavra|letra|parte|mulher|criança|família"
    r"|cidade|casa|escola|empresa|libra|milha|polegada|tonelada|xícara|colher|pitada|fatia|lata|garrafa|dúzia|coisa"
    r"|pergunta|ideia|loja|cópia|garota|menina|[^\W\d]+[çs]ão)\b)"
)
_HALF = {
    "pt": (
        "meio",
        re.compile(
            r"\b(?:(\d+) e )?meio (xícaras?|colher(?:es)?|horas?|semanas?|libras?|milhas?|polegadas?|toneladas?"
            r"|páginas?|garrafas?|dúzias?|latas?|doses?|fatias?)\b"
        ),
    ),
    "es": (
        "medio",
        re.compile(
            r"\b(?:(\d+) y )?medio (tazas?|cucharad(?:it)?as?|horas?|semanas?|libras?|millas?|pulgadas?|toneladas?"
            r"|páginas?|botellas?|docenas?|latas?|dosis)\b"
        ),
    ),
}
# Spanish: any plural, which tells its gender by its ending but for some; and what is counted most by one.
_SPANISH = re.compile(rf"{_DIGITS}(?= ([^\W\d_]+s)\b)")
_SPANISH_FEMININE = re.compile(
    r"(?!días\b|[^\W\d]*(?:emas|amas|omas|etas|istas|apas)\b)(?:[^\W\d]+(?:as|[cs]iones|dades)|veces|mujeres|noches"
    r"|partes|muertes|voces|luces|flores|calles|clases)"
)
_SPANISH_OTHER = "más menos es las los sus nos mis tus tras después entonces además apenas ellas ellos"
_SPANISH_ONE = re.compile(
    r"(?<![\w.,$])1(?= (?:(persona|vez|hora|semana|década|noche|línea|página|palabra|parte|mujer|familia|ciudad|casa"
    r"|escuela|empresa|libra|milla|pulgada|tonelada|taza)|año|día|mes|minuto|segundo|siglo|metro|kilómetro|kilo|gramo"
    r"|litro|grado|punto|euro|dólar|libro|hombre|niño|país)\b)"
)


def agree(text: str, language: str) -> str:
    """The text with such numbers in words: `42 linhas`, `21 libros`. Where gender changes nothing the digits stay."""
    code = base(language)
    if code in _HALF:
        half, counted = _HALF[code]
        joint = "e" if code == "pt" else "y"
        text = counted.sub(lambda m: _halved(m, f"{half[:-1]}a", joint), text)
    if code == "pt":
        return _PORTUGUESE_ONE.sub("uma", _PORTUGUESE.sub(_portuguese, text))
    if code == "es":
        return _SPANISH_ONE.sub(lambda m: "una" if m[1] else "un", _SPANISH.sub(_spanish, text))
    return text


def _halved(m: re.Match[str], half: str, joint: str) -> str:
    """`meia xícara`, `2 xícaras e meia`, `1 xícara e meia`."""
    noun = re.sub(r"(?<=colher)es$|(?<!i)s$", "", m[2]) if m[1] == "1" else m[2]
    return f"{m[1]} {noun} {joint} {half}" if m[1] else f"{half} {noun}"


def _portuguese(m: re.Match[str]) -> str:
    from num2words import num2words

    if not _PORTUGUESE_FEMININE.fullmatch(m[2].lower()):
        return m[0]
    words = num2words(int(m[1].replace(".", "")), lang="pt_BR")
    changed = re.sub(r"(?<=ent)os\b", "as", re.sub(r"\bum$", "uma", re.sub(r"\bdois\b", "duas", words)))
    return m[1] if changed == words else changed


def _spanish(m: re.Match[str]) -> str:
    from num2words import num2words

    if m[2].lower() in _SPANISH_OTHER.split():
        return m[0]
    words = num2words(int(m[1].replace(".", "")), lang="es")
    if _SPANISH_FEMININE.fullmatch(m[2].lower()):
        changed = re.sub(r"(?<=ient)os\b", "as", re.sub(r"uno$", "una", words))
    else:
        changed = re.sub(r"\buno$", "un", re.sub(r"veintiuno$", "veintiún", words))
    return m[1] if changed == words else changed
