"""The translators with their real weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dubline.engines import bergamot
from dubline.engines.apertium import PIVOT
from dubline.engines.base import MtEngine
from dubline.settings import Settings

pytestmark = pytest.mark.engines


def load(plugin: Any) -> MtEngine:
    gap = plugin.missing(Settings())
    if gap is not None:
        pytest.skip(gap.reason)
    return plugin.load(Settings())


@pytest.fixture(scope="module")
def engine() -> Iterator[MtEngine]:
    loaded = load(bergamot.PLUGIN)
    yield loaded
    loaded.close()


def test_bergamot_keeps_no_and_every_sentence(engine: MtEngine) -> None:
    def pt(text: str) -> str:
        return engine.translate([text], source="en", target="pt-BR")[0].text

    assert " no século" in pt("It was printed in the 15th century.")
    both = pt("He came. She left early because of the rain and snow.")
    assert both.startswith("Ele veio")
    assert "chuva" in both
    assert not pt("Hello").endswith(",")
    back = engine.translate(["O livro é azul."], source="pt-BR", target="en")[0].text
    assert "book" in back.lower()


def test_what_is_said_over_and_over_is_not_said_oftener_in_portuguese(engine: MtEngine) -> None:
    texts = ["They produced the books W-W-W-W-W-W-W-W-W-W.", "La la la la la la la la la.", "Noooooooooooooooooo!"]
    found = [r.text for r in engine.translate(texts, source="en", target="pt-BR")]
    assert [(t.count("W"), t.lower().count("la"), t.lower().count("o") > 20) for t in found] == [
        (10, 0, False),
        (0, 9, False),
        (0, 0, False),
    ]
    assert engine.translate(["No, no, no, no!"], source="en", target="pt-BR")[0].text == "Não, não, não, não!"


def test_what_is_often_said_is_not_said_as_on_a_web_page(engine: MtEngine) -> None:
    def pt(text: str) -> str:
        return engine.translate([text], source="en", target="pt-BR")[0].text

    assert pt("That is all. Thank you. Bye.").endswith(". Obrigado. Tchau.")
    assert pt("Thank you, John.") == "Obrigado, John."
    assert pt("Thank you for coming.").startswith("Obrigado por vir")
    assert "edição" in pt("Thank you for submitting an edit.")
    assert pt("Ladies and gentlemen, welcome to the show.").startswith("Senhoras e senhores, bem-vindos")
    assert [pt(name) for name in ("Dr. Lee.", "Einstein.", "NASA.")] == ["Dr. Lee.", "Einstein.", "NASA."]
    assert "(ou" in pt("He was born in 1921 (or 1922) in Lisbon.")
    assert pt("Cool, let's do it.").startswith("Legal, vamos")
    assert engine.translate(["Valeu."], source="pt-BR", target="en")[0].text == "Thanks."


def test_bergamot_from_many_threads(engine: MtEngine) -> None:
    texts = [f"The number of the house is {n}." for n in range(12)]
    expected = [r.text for r in engine.translate(texts, source="en", target="pt-BR")]
    answers: dict[int, str] = {}

    def one(n: int) -> None:
        answers[n] = engine.translate([texts[n]], source="en", target="pt-BR")[0].text

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[n] for n in range(len(texts))] == expected


def test_pivot_goes_through_portuguese_line_by_line() -> None:
    engine = load(PIVOT)
    rows = engine.translate(["The house is white.", "", "We live here."], source="en", target="es-MX")
    assert [bool(r.text) for r in rows] == [True, False, True]
    assert "casa" in rows[0].text.lower()
    assert "blanca" in rows[0].text.lower()
    rows = engine.translate(["What's up?", "What happened?", "Tom's car is red."], source="en", target="es")
    assert [r.text for r in rows[:2]] == ["¿Qué tal?", "¿Qué sucedió?"]
    assert "de Tom" in rows[2].text
    assert engine.translate(["¿De verdad?"], source="es", target="en")[0].text == "Really?"


def test_hesitation_money_hours_and_capitals_are_translated_as_if_written(engine: MtEngine) -> None:
    def pt(text: str) -> str:
        return engine.translate([text], source="en", target="pt-BR")[0].text

    assert pt("Um, I, uh, think we should go.") == pt("I think we should go.")
    assert pt("I... I never said that!") == pt("I never said that!")
    assert "20 dólares" in pt("It costs $20, or £5.50 in London.")
    assert pt("The meeting is at 8 p.m. on Friday.").startswith("A reunião é às 8 da noite")
    assert pt("WE ARE ALL HERE AND I AM GLAD.") == pt("We are all here and I am glad.")
    assert pt("where do you live") == "onde você mora"
    assert "ann.lee@example.com" in pt("Write to ann.lee@example.com today.")
    assert "1.200" in pt("There are 1,200 people there.")


def test_turns_of_speech_are_not_translated_word_by_word(engine: MtEngine) -> None:
    def pt(text: str) -> str:
        return engine.translate([text], source="en", target="pt-BR")[0].text

    def en(text: str) -> str:
        return engine.translate([text], source="pt-BR", target="en")[0].text

    assert pt("Yes, he did.") == "Sim."
    assert pt("They were late, weren't they?") == f"{pt('They were late.').rstrip('.')}, não é?"
    assert "um pouco" in pt("It's kind of weird.")
    assert pt("What's up guys, welcome back to my channel.").startswith("E aí, pessoal, bem-vindo")
    assert en("Fala, galera, hoje eu trouxe um convidado.").startswith("What's up everyone, today I")
    assert en("Obrigada pelo convite.") == "Thank you for the invitation."
    assert en("Obrigado, João.").startswith("Thank you, Jo")
    assert en("Bora comer?") == "Let's eat?"
