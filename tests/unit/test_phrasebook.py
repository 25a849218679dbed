"""Sentences that are said whole, and exclamations that open one."""

from __future__ import annotations

import pytest

from dubline.engines.phrasebook import closing, opening, phrased, whole

TO_PT, TO_EN = ("en", "pt"), ("pt", "en")


@pytest.mark.parametrize(
    ("said", "pair", "meant"),
    [
        ("Thank you.", TO_PT, "Obrigado."),
        ("thank you", TO_PT, "obrigado"),
        ("You’re welcome!", TO_PT, "De nada!"),
        ("Any questions?", TO_PT, "Alguma pergunta?"),
        ("Bye-bye…", TO_PT, "Tchau…"),
        ("Thank you, everyone.", TO_PT, "Obrigado a todos."),
        ("Oh, of course!", TO_PT, "Ah, claro!"),
        ("No, no, no.", TO_PT, "Não, não, não."),
        ("Sejam bem-vindos!", TO_EN, "Welcome!"),
        ("Oi, gente.", TO_EN, "Hi everyone."),
        ("Tudo bem?", TO_EN, "How are you?"),
        ("Tudo bem.", TO_EN, "All right."),
        ("Fala, pessoal, tudo bem com vocês?", TO_EN, "What's up everyone, how are you?"),
        ("eu acho que sim", TO_EN, "I think so"),
        ("¿Qué tal?", ("es", "en"), "How are you?"),
        ("¡Gracias a todos!", ("es", "en"), "Thank you all!"),
        ("Qué tal la casa", ("es", "en"), None),
        ("Uh...", TO_PT, "Hum..."),
        ("What a goal!", TO_PT, "Que golaço!"),
        ("Tá bom.", TO_EN, "All right."),
        ("Thank you, John.", TO_PT, None),
        ("Cool air.", TO_PT, None),
        ("...", TO_PT, None),
        ("Thank you.", ("en", "es"), "Gracias."),
        ("Thank you.", ("en", "fr"), None),
    ],
)
def test_a_sentence_of_the_book_keeps_its_mark_and_capital(said: str, pair: tuple[str, str], meant: str | None) -> None:
    assert whole(said, pair) == meant


def test_an_exclamation_is_told_from_an_adjective() -> None:
    assert opening("Cool, let's go.", TO_PT) == ("Legal,", "Let's go.")
    assert opening("Hi, guys, welcome back.", TO_PT) == ("Oi, pessoal,", "Welcome back.")
    assert opening("Cool, dry air came in.", TO_PT) is None
    assert opening("Cool, let's go.", TO_EN) is None
    assert opening("What’s up, guys, welcome.", TO_PT) == ("E aí, pessoal,", "Welcome.")
    assert opening("Obrigado, João.", TO_EN) == ("Thank you,", "João.")
    assert opening("Oye, ¿dónde está?", ("es", "en")) == ("Hey,", "Dónde está?")


@pytest.mark.parametrize(
    ("said", "rest"),
    [
        ("It's nice, isn't it?", "It's nice."),
        ("He can swim, can’t he?", "He can swim."),
        ("You didn't go, did you?", "You didn't go."),
        ("You went, did you?", None),
        ("Isn't it?", None),
        ("It's nice, isn't it so?", None),
    ],
)
def test_a_question_that_asks_for_a_nod_is_asked_as_portuguese_does(said: str, rest: str | None) -> None:
    assert closing(said, TO_PT) == ((rest, ", não é?") if rest else (said, ""))
    assert closing(said, TO_EN) == (said, "")


@pytest.mark.parametrize(
    ("said", "translated", "meant"),
    [
        ("Cool, let's go.", "Vamos.", "Legal, vamos."),
        ("Bye, I go.", "Eu vou.", "Tchau, eu vou."),
        ("Bye, Ivo.", "Ivo.", "Tchau, Ivo."),
        ("They came, didn't they?", "Eles vieram.", "Eles vieram, não é?"),
        ("Hi everyone, you came, didn't you?", "Vocês vieram.", "Olá a todos, vocês vieram, não é?"),
    ],
)
def test_the_rest_of_a_sentence_is_small_unless_a_name_begins_it(said: str, translated: str, meant: str) -> None:
    assert phrased(said, TO_PT).said(translated) == meant
