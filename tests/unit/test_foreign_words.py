"""Words of English in another language are found by their spelling, and only those."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubline.engines.foreign_words import split


def _english(text: str, language: str) -> list[str]:
    return [piece for piece, english in split(text, language) if english]


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("O professor Matthew Smith, de Washington, riu.", "pt-BR", ["Matthew Smith", "Washington"]),
        ("O hacker fez backup do software.", "pt-BR", ["hacker", "backup", "software"]),
        ("A obra é de Scott e Brown.", "pt-BR", ["Scott", "Brown"]),
        ("El Times’ de Brighton y el Wall Street.", "es", ["Brighton", "Wall Street"]),
        ("Em Dartmouth’s, etc.", "pt-BR", ["Dartmouth’s"]),
        ("Sob o passo, o homem sem fôlego correu; compreender, cooperar, acção.", "pt-BR", []),
        ("A ONU, a BBC e o DVD em 3 km.", "pt-BR", []),  # acronyms and units are spelt or written out
        ("Gutenberg, Schoeffer e Sinsheim.", "pt-BR", []),  # German
        ("São Paulo, Maria, João, Brasil, Müller.", "pt-BR", []),
        ("Ayer llovió allí, el perro acción; ley, hoy, reloj, ayuda, innovar.", "es", []),
        ("Matthew Smith", "fr", []),  # nothing is known of French: espeak's own rules stay
        ("Matthew Smith", "en-US", []),
    ],
)
def test_found_by_spelling(text: str, language: str, found: list[str]) -> None:
    assert _english(text, language) == found


@given(st.text(st.sampled_from("aékwyth sS’'.-\n"), max_size=40), st.sampled_from(["pt-BR", "es", "it"]))
def test_the_pieces_are_the_text(text: str, language: str) -> None:
    assert "".join(piece for piece, _ in split(text, language)) == text
