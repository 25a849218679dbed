"""Numbers in digits that agree with what they count, where espeak-ng reads all as if they were masculine."""

from __future__ import annotations

import re

from dubline.languages import base

_DIGITS = r"(?<![\w.,$])(\d{1,3}(?:\.\d{3})?|\d{4,6})"
# Portuguese: those nouns that are counted most, and all in -ções and -sões.
_PORTUGUESE = re.compile(
    rf"{_DIGITS}(?= (?:pessoas|vezes|horas|semanas|décadas|noites|linhas|páginas|folhas"
    r"|palavras|letras|línguas|notas|partes|peças|etapas|fases|mulheres|meninas|crianças|famílias|vítimas|mortes|cidades"
    r"|casas|escolas|empresas|igrejas|ilhas|salas|portas|caixas|moedas|libras|milhas|polegadas|toneladas|estrelas"
    r"|voltas|cabeças|[^\W\d]+[çs]ões)\b)"
)
_PORTUGUESE_ONE = re.compile(
    r"(?<![\w.,$])1(?= (?:pessoa|vez|hora|semana|década|noite|linha|página|palavra|letra|parte|mulher|criança|família"
    r"|cidade|casa|escola|empresa|libra|milha|polegada|tonelada|[^\W\d]+[çs]ão)\b)"
)
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
    if code == "pt":
        return _PORTUGUESE_ONE.sub("uma", _PORTUGUESE.sub(_portuguese, text))
    if code == "es":
        return _SPANISH_ONE.sub(lambda m: "una" if m[1] else "un", _SPANISH.sub(_spanish, text))
    return text


def _portuguese(m: re.Match[str]) -> str:
    from num2words import num2words

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
