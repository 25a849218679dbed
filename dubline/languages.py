"""Languages: BCP 47 inside, ISO 639-1 and 639-3 accepted at the door."""

from __future__ import annotations

from functools import lru_cache

import langcodes
from langcodes.tag_parser import LanguageTagError

from dubline.errors import InputError

# What people mean when they name only the language; engines and voices differ by region.
_DEFAULT_REGION = {"pt": "pt-BR"}


@lru_cache(maxsize=512)
def canonical(tag: str) -> str:
    """BCP 47 form of a language tag: `por` and `pt` give `pt-BR`, `spa` gives `es`, `EN_us` gives `en-US`.

    Raises:
        InputError: `language_unknown`, when no such language is registered.
    """
    try:
        language = langcodes.Language.get(tag.strip().replace("_", "-"), normalize=True)
        valid = bool(tag.strip()) and language.is_valid() and bool(language.language)
    except LanguageTagError:
        valid = False
        language = None
    if not valid or language is None or language.language == "und":
        raise InputError(
            f"{tag!r} is not a language that can be recognised.",
            code="language_unknown",
            hint="Use a code such as en, es or pt-BR.",
        )
    text = language.to_tag()
    return _DEFAULT_REGION.get(text, text)


def base(tag: str) -> str:
    """The language without region or script: `pt-BR` gives `pt`."""
    return langcodes.Language.get(tag).language or tag


def same_language(a: str, b: str) -> bool:
    return base(a) == base(b)


def iso639_3(tag: str) -> str:
    """Three-letter code for container tags: `pt-BR` gives `por`; `und` when there is none."""
    try:
        return langcodes.Language.get(tag).to_alpha3()
    except LookupError:
        return "und"


def name(tag: str) -> str:
    """English name for people: `Portuguese (Brazil)`."""
    return langcodes.Language.get(tag).display_name()


def from_tag(tag: str | None) -> str | None:
    """A container's language tag as BCP 47, or None when it says nothing."""
    if not tag or tag.lower() in {"und", "unk", "mis", "zxx", "mul"}:
        return None
    try:
        return canonical(tag)
    except InputError:
        return None


def own_name(tag: str) -> str:
    """Name of the language in itself: `português (Brasil)`."""
    return langcodes.Language.get(tag).autonym()
