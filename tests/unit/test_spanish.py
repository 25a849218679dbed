"""Spanish that came by way of Portuguese."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dubline.engines import stand_ins
from dubline.engines.apertium import Pivot
from dubline.engines.base import MtResult
from dubline.engines.phrasebook import phrased
from dubline.engines.spanish import as_written
from dubline.engines.spanish_words import in_spanish


@pytest.mark.parametrize(
    ("translated", "written"),
    [
        ("Como va?", "¿Cómo va?"),
        ("Lo que está aconteciendo aquí?", "¿Qué está sucediendo aquí?"),
        ("De que usted habla?", "¿De qué habla?"),
        ("Usted puede ayudarme?", "¿Puede ayudarme?"),
        ("Es verdad?", "¿Es verdad?"),
        ("Es bueno, no es?", "Es bueno, ¿no?"),
        ("Qué bien! Vamos.", "¡Qué bien! Vamos."),
        ("Que bello día!", "¡Qué bello día!"),
        ("¿Qué tal, amigos?", "¿Qué tal, amigos?"),
        ('"Lo que es eso?", preguntó ella.', '"¿Qué es eso?", preguntó ella.'),
        ("Ella dijo, lo que usted hace?", "Ella dijo, ¿qué hace?"),
        ("Yo no sé como funciona.", "No sé cómo funciona."),
        ("Yo no dijo nada.", "Yo no dije nada."),
        ("Él dijo que sí.", "Él dijo que sí."),
        ("Yo me gusta música.", "Me gusta música."),
        ("Ella le gusta de música.", "A ella le gusta música."),
        ("Nosotros vamos allá.", "Vamos allá."),
        ("Con uno manifiesto de uno mismo.", "Con un manifiesto de uno mismo."),
        ("Yo tampoco.", "Yo tampoco."),
        ("Si usted quiera venir, dígame.", "Si usted quiere venir, dígame."),
        ("Cuando usted llegar, dígame.", "Cuando usted llegue, dígame."),
        ("Cuando el tiempo alcanzar eso.", "Cuando el tiempo alcance eso."),
        ("Cuando el primer lugar cayó.", "Cuando el primer lugar cayó."),
        ("CUANDO USTED LLEGAR", "CUANDO USTED LLEGUE"),
        ("Si ellos hayan venido.", "Si ellos hayan venido."),
        ("El 3,5% cayó. Son 1.200.", "El 3,5% cayó. Son 1.200."),
        ("Costó 3.5 euros?", "¿Costó 3.5 euros?"),
        ("El Dr. Silva viene a las 10.30?", "¿El Dr. Silva viene a las 10.30?"),
        ("Qué? no lo sé.", "¿Qué? no lo sé."),
        ("", ""),
    ],
)
def test_it_is_written_as_spanish_is(translated: str, written: str) -> None:
    assert as_written(translated) == written
    assert as_written(written) == written


@pytest.mark.parametrize(
    ("stayed", "word"),
    [
        ("mutação", "mutación"),
        ("mutações", "mutaciones"),
        ("São", "São"),
        ("João", "João"),
        ("Natal", "Navidad"),
        ("imunidade", "inmunidad"),
        ("previsão", "previsión"),
        ("prevalência", "prevalencia"),
        ("confiável", "confiable"),
        ("ruim", "malo"),
        ("audiolivros", "audiolibros"),
        ("contrário", "contrario"),
        ("mañana", "mañana"),
        ("policía", "policía"),
        ("área", "área"),
        ("casa", "casa"),
        ("edades", "edades"),
    ],
)
def test_a_word_that_stayed_portuguese(stayed: str, word: str) -> None:
    assert in_spanish(stayed) == word


def test_a_name_is_no_word() -> None:
    english, middle = "Tom's car and the Rose are Mary's.", "O carro do Tom e a Rose são da Mary."
    names = stand_ins.names(english, middle)
    assert names == ["Tom", "Rose", "Mary"]
    hidden = stand_ins.hidden(middle, names)
    assert not any(name in hidden for name in names)
    spanish = hidden.replace("O carro do", "El coche del").replace(" e a ", " y la ").replace("são da", "son de la")
    named = stand_ins.shown(spanish, names)
    assert stand_ins.without_articles(named, names, english) == "El coche de Tom y la Rose son de Mary."


def test_a_word_that_both_begin_with_is_no_name_and_some_names_have_an_article() -> None:
    assert stand_ins.names("Continue to walk.", "Continue a caminhar.") == []
    assert stand_ins.names("Tom left.", "O Tom saiu.") == ["Tom"]
    assert stand_ins.without_articles("La Paz es alta.", ["La", "Paz"], "La Paz is high.") == "La Paz es alta."


def test_the_pivot_says_a_name_again_that_its_second_step_made_a_word_of() -> None:
    """Plumbing alone: two engines that know these sentences."""

    class Known:
        def __init__(self, **texts: str) -> None:
            self.texts, self.asked = texts, []

        def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
            self.asked.append(list(sentences))
            return [MtResult(candidates=(self.texts.get(s, s),)) for s in sentences]

        def close(self) -> None: ...

    english = Known(**{"Tom's car is red.": "O carro do Tom é vermelho."})
    near = Known(
        **{
            "O carro do Tom é vermelho.": "el coche del Tono es rojo.",
            "O carro do Zqaz é vermelho.": "el coche del Zqaz es rojo.",
        }
    )
    rows = Pivot(english, near).translate(["Yes, he did.", "Tom's car is red.", ""], source="en", target="es-MX")
    assert [r.text for r in rows] == ["Sí.", "El coche de Tom es rojo.", ""]
    assert near.asked[1:] == [["O carro do Zqaz é vermelho."]]


def test_what_is_in_the_book_is_not_left_to_translate() -> None:
    pair = ("en", "es")
    assert phrased("Yes, he did.", pair).said("") == "Sí."
    opened = phrased("What's up guys, I am back.", pair)
    assert (opened.start, opened.rest) == ("Qué tal, amigos,", "I am back.")
    assert opened.said("Estoy de vuelta.") == "Qué tal, amigos, estoy de vuelta."
    asked = phrased("It's nice, isn't it?", pair)
    assert (asked.rest, asked.said("Es bueno.")) == ("It's nice.", "Es bueno, ¿no?")
