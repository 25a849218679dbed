"""Text work of the adapters: spoken forms, splitting, Apertium's names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubline.engines.apertium import read_modes
from dubline.engines.kokoro import split_text
from dubline.engines.spoken_text import spoken

SPOKEN = [
    ("pt-BR", "Custa US$ 30.", "Custa 30 dólares."),
    ("pt-BR", "US$ 5 milhões e R$ 1", "5 milhões de dólares e 1 real"),
    ("pt-BR", "R$ 2 mil", "2 mil reais"),
    ("pt-BR", "a 60 km/h por 1 km", "a 60 quilômetros por hora por 1 quilômetro"),
    ("pt-BR", "ana@x.com.br", "ana arroba x ponto com ponto br"),
    ("pt-BR", "A Sra. Ana às 14h30", "A Senhora Ana às 14 horas e 30"),
    ("es", "30 € en EE. UU.", "30 euros en Estados Unidos."),
    ("es", "En EE. UU. hay 21 personas y 21 libros", "En Estados Unidos hay veintiuna personas y veintiún libros"),
    (
        "es",
        "1 vez, 1 dólar, 301 casas, 21 días, 21 más",
        "una vez, un dólar, trescientas una casas, veintiún días, 21 más",
    ),
    ("es", "3/4 de taza, 2½ litros, etc. y más", "tres cuartos de taza, 2 y medio litros, etcétera y más"),
    ("es", "Carlos II, Isabel II y la II Guerra", "Carlos segundo, Isabel segunda y la Segunda Guerra"),
    ("pt-BR", "50-60 pessoas, 1939–1945, 3-2", "50 a 60 pessoas, 1939 a 1945, 3 a 2"),
    ("pt-BR", "555-1234, COVID-19, 2020-21, 1-2-3", "5 5 5, 1 2 3 4, COVID-19, 2020-21, 1-2-3"),
    ("en", "Call 1-800-555-0199, 1914-1918", "Call 1, 8 0 0, 5 5 5, 0 1 9 9, nineteen fourteen to nineteen eighteen"),
    ("pt-BR", "Às 20:00, às 8:15 e às 1:00; João 3:16", "Às 20 horas, às 8 e 15 e às uma hora; João 3 16"),
    ("en", "At 8:05, at 9:00 and 14:00", "At 8 oh 5, at 9 o'clock and 14"),
    ("pt-BR", "2 xícaras, 1/2 xícara e 1 1/2 xícaras", "duas xícaras, meia xícara e uma xícara e meia"),
    ("pt-BR", "200 mil pessoas, 2 mil mapas, 2 colheres", "duzentas mil pessoas, 2 mil mapas, duas colheres"),
    ("es", "1/2 taza y 2 1/2 tazas", "media taza y 2 tazas y media"),
    ("pt-BR", "A -5 graus, 0.5% a mais", "A menos 5 graus, 0,5% a mais"),
    ("en", "a VIP in Rocky IV, an IV drip", "a VIP in Rocky 4, an IV drip"),
    ("pt-BR", "O Dr. J. K. Silva, a Profª Ana etc. e 5 m", "O Doutor J K Silva, a Professora Ana etc e 5 metros"),
    ("pt-BR", "A vitamina C. Ela veio em 300 a.C. Depois", "A vitamina C. Ela veio em 300 antes de Cristo. Depois"),
    ("pt-BR", "No U.S. Army, nos U.S. e aqui", "No US. Army, nos US e aqui"),
    ("pt-BR", "João Paulo II, Luís XIV, I Guerra", "João Paulo segundo, Luís XIV, Primeira Guerra"),
    ("pt-BR", "2.5 milhões a 30ºC, nº 5", "2 ponto 5 milhões a 30 graus Celsius, número 5"),
    ("pt-BR", "www.dubline.com.br/ajuda.", "www ponto dubline ponto com ponto br barra ajuda."),
    ("pt-BR", "1 pessoa, 1 livro, 2 h, 1920x1080", "uma pessoa, 1 livro, duas horas, 1920 por 1080"),
    ("en", "World War I, Louis XIV, Part V, and I, too", "World War 1, Louis the fourteenth, Part 5, and I, too"),
    ("en", "Mr. Smith vs. Dr. Ng in the U.S. today", "Mister Smith versus Doctor Ng in the US today"),
    ("en", "Etched or etching, Jr's", "Etched or etching, Junior's"),
    ("pt-BR", "A letra a. Como em a. Carlos", "A letra a. Como em a. Carlos"),
    ("en", "1/2 of 10-20, e.g., #3", "one half of 10 to 20, for example number 3"),
    ("en", "$5 million in 1455", "5 million dollars in fourteen fifty five"),
    ("en", "the 1990s", "the nineteen nineties"),
    ("pt-BR", "A Bíblia de 42 linhas, 21 páginas", "A Bíblia de quarenta e duas linhas, vinte e uma páginas"),
    ("pt-BR", "200 pessoas em 22 dias, 2 problemas", "duzentas pessoas em 22 dias, 2 problemas"),
    ("pt-BR", "2.000 nações, 14 horas", "duas mil nações, 14 horas"),
    # espeak reads these rightly: they stay.
    ("pt-BR", "século XV, 1.455 homens, 50%, 3º", "século XV, 1.455 homens, 50%, 3º"),
    ("en", "1,455 men", "1,455 men"),
    ("de", "R&D 30 €", "R&D 30 €"),
]


@pytest.mark.parametrize(("language", "text", "expected"), SPOKEN)
def test_spoken(language: str, text: str, expected: str) -> None:
    assert spoken(text, language) == expected


@given(st.text(alphabet=" abcdé,.;!?—", max_size=900), st.integers(min_value=60, max_value=250))
def test_split_keeps_every_letter_and_the_limit(text: str, limit: int) -> None:
    parts = split_text(text, limit)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < len(p) <= limit for p in parts)


def test_split_prefers_the_end_of_a_sentence() -> None:
    first, second = "One sentence, with a comma, ends right here.", "Another one, with commas too, comes after it."
    assert split_text(f"{first} {second}", 60) == [first, second]


def test_apertium_names() -> None:
    modes = read_modes(["es-pt", "es-pt_BR", "pt-es", "spa-eng", "spa-eng_US", "eng-spa", "ignored", "xx-yy"])
    assert modes[("es", "pt-PT")] == "es-pt"
    assert modes[("es", "pt-BR")] == "es-pt_BR"
    assert modes[("pt-BR", "es")] == "pt-es"
    assert modes[("es", "en")] == "spa-eng"
    assert ("en", "es") in modes
    assert read_modes(["es-pt"]) == {("es", "pt-BR"): "es-pt"}
