"""English as tiny models know it, and what they change put back."""

from __future__ import annotations

import pytest

from dubline.engines.rewording import put_back, reworded, unwritten, written


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("Um, I, uh, think so.", "I think so."),
        ("So, um, we left.", "So we left."),
        ("Um.", "Um."),  # nothing else is left to say
        ("The umbrella and Erma.", "The umbrella and Erma."),
        ("I... I never said that.", "I never said that."),
        ("Gimme a minute, 'cause I dunno.", "Give me a minute, because I don't know."),
        ("WE ARE ALL HERE AND I AM GLAD.", "We are all here and I am glad."),
        ("NASA and ESA.", "NASA and ESA."),
        ("It costs $20 or £5.50.", "It costs 20 dollars or 5.50 pounds."),
        ("It made $1.5 million and $3B.", "It made 1.5 million dollars and 3 billion dollars."),
        ("A $20 bill, $1 and $10-$20.", "A 20 dollar bill, 1 dollar and 10 dollars to 20 dollars."),
        ("Come at 8 p.m.", "Come at 8 in the evening."),
        ("From 9:30 a.m. to 2pm today.", "From 9:30 in the morning to 2 in the afternoon today."),
    ],
)
def test_english_is_written_out(said: str, asked: str) -> None:
    assert reworded(said, "en") == asked


def test_no_other_language_is_touched() -> None:
    assert reworded("Um dia, $20.", "pt") == "Um dia, $20."


@pytest.mark.parametrize(
    ("heard", "asked"),
    [
        ("where do you live", "Where do you live?"),
        ("well i am here", "Well I am here."),
        ("so what did you do", "So what did you do?"),
        ("what i want is this", "What I want is this."),
        ("two words", "two words"),
        ("It is so", "It is so"),
        ("it is so.", "it is so."),
    ],
)
def test_what_was_heard_without_marks_is_asked_as_a_sentence(heard: str, asked: str) -> None:
    assert written(heard, "en") == asked


def test_and_its_translation_is_without_marks_too() -> None:
    assert unwritten("Onde você mora?", "where do you live", "Where do you live?") == "onde você mora"
    assert unwritten("Onde você mora?", "Where do you live?", "Where do you live?") == "Onde você mora?"


@pytest.mark.parametrize(
    ("said", "translated", "kept"),
    [
        ("Write to ann.lee@example.com.", "Escreva para ann.lee@exemplo.com.", "Escreva para ann.lee@example.com."),
        ("Follow @dubline now.", "Siga dubline agora.", "Siga @dubline agora."),
        ("There are 1,200 of 3.5%.", "Há 1,200 de 3.5%.", "Há 1.200 de 3,5%."),
        ("Come at 8 p.m.", "Venha aos 8 da noite.", "Venha às 8 da noite."),
        ("At 9 a.m. we go.", "Aos 9 de manhã vamos.", "Às 9 da manhã vamos."),
        ("What a goal that was!", "O que um gol isso foi!", "Que gol isso foi!"),
        ("What a question is this?", "O que uma pergunta é?", "O que uma pergunta é?"),
    ],
)
def test_what_a_model_changes_is_put_back(said: str, translated: str, kept: str) -> None:
    assert put_back(translated, said, "pt") == kept
