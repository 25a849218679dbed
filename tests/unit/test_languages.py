"""Language tags as people and containers write them."""

from __future__ import annotations

import pytest

from dubline.errors import InputError
from dubline.languages import canonical, from_tag, iso639_3, same_language


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("pt", "pt-BR"),
        ("por", "pt-BR"),
        ("pt_BR", "pt-BR"),
        ("pt-PT", "pt-PT"),
        ("spa", "es"),
        ("EN", "en"),
        ("en-us", "en-US"),
    ],
)
def test_canonical(given: str, expected: str) -> None:
    assert canonical(given) == expected


@pytest.mark.parametrize("given", ["", "  ", "xx", "zzz9", "klingonese", "../etc", "e" * 50])
def test_unknown_languages_are_refused(given: str) -> None:
    with pytest.raises(InputError) as caught:
        canonical(given)
    assert caught.value.code == "language_unknown"


def test_container_tags() -> None:
    assert iso639_3("pt-BR") == "por"
    assert from_tag("und") is None
    assert from_tag("eng") == "en"
    assert same_language("pt-BR", "pt-PT")
