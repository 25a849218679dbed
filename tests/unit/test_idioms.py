"""Turns of speech in plainer words."""

from __future__ import annotations

import pytest

from dubline.engines.idioms import plain


@pytest.mark.parametrize(
    ("language", "said", "meant"),
    [
        ("en", "Yes, he did.", "Yes."),
        ("en", "No, they can't.", "No."),
        ("en", "Yes, he did it.", None),
        ("en", "It's kind of weird.", "It's a bit weird."),
        ("en", "It's kind of a mess.", None),
        ("en", "What kind of car is it?", None),
        ("en", "That's kind of you.", None),
        ("en", "You'd better leave.", "You should leave."),
        ("en", "We had better results.", None),
        ("en", "Look it up online.", "Search for it online."),
        ("en", "Without further ado, let's jump right in.", "Without more delay, let's begin."),
        ("en", "She was like, what?", "She said, what?"),
        ("en", "Like, it was, like, cold.", "It was cold."),
        ("en", "I like, say, tea.", None),
        ("en", "It wasn't, you know, easy.", "It wasn't easy."),
        ("en", "Let me know.", "Tell me."),
        ("en", "Please let me know.", "Please tell me."),
        ("en", "She let me know.", None),
        ("pt", "Hã, eu, tipo, não sei.", "Eu não sei."),
        ("pt", "É... não sei.", "Não sei."),
        ("pt", "Bora comer?", "Vamos comer?"),
        ("pt", "Me fala uma coisa.", "Diga-me uma coisa."),
        ("pt", "Ele me fala tudo.", None),
        ("pt", "Muito obrigada pela ajuda.", "Agradeço muito pela ajuda."),
        ("pt", "Sou o Pedro.", "Meu nome é Pedro."),
        ("pt", "Sou o presidente.", None),
        ("pt", "São 14h30, e às 20h saio.", "São 14:30, e às 20:00 saio."),
        ("es", "Bora, tipo, no sé.", None),
    ],
)
def test_plain(language: str, said: str, meant: str | None) -> None:
    assert plain(said, language) == (meant or said)
