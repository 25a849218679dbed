"""Translation around the engine: one line for each utterance, checks, glossary, edits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dubline.engines.base import MtResult
from dubline.models import Utterance
from dubline.stages.brazilian import to_brazilian
from dubline.stages.names import keep_names
from dubline.stages.translate import check, translate


class _Upper:
    """A plumbing fake: upper-cases, and knows one word."""

    def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
        return [MtResult(candidates=(s.upper().replace("PRESS", "PRENSA"),)) for s in sentences]

    def close(self) -> None: ...


def _utterances(*texts: str) -> list[Utterance]:
    return [
        Utterance(id=f"u{i}", start_s=i * 5, end_s=i * 5 + 4, slot_end_s=i * 5 + 4.9, text=t)
        for i, t in enumerate(texts)
    ]


def test_line_count_never_shifts() -> None:
    lines = translate(
        _utterances("One. Two! Three?", "Four", "..."), _Upper(), source="en", target="pt-BR", glossary={}
    )
    assert [line.utterance.id for line in lines] == ["u0", "u1", "u2"]
    assert lines[0].text == "ONE. TWO! THREE?"


def test_glossary_replaces_the_engines_own_rendering() -> None:
    lines = translate(
        _utterances("The press is old."),
        _Upper(),
        source="en",
        target="pt-BR",
        glossary={"press": "prelo", "ink": "tinta"},
    )
    assert lines[0].text == "THE prelo IS OLD."
    assert "glossary_missed" not in lines[0].flags


def test_checks_find_lost_numbers_and_untranslated_lines() -> None:
    def found(source: str, target: str) -> tuple[str, ...]:
        return check(source, target, "pt-BR")

    assert found("It cost 1,455 dollars", "Custou 1.455 dólares") == ()
    assert "numbers_changed" in found("In 1455 it began", "Em 1544 começou")
    assert "untranslated" in found("this was never translated", "This was never translated")
    assert found("5, 4, 3, 2, 1.", "5, 4, 3, 2, 1.") == ()
    assert found("words", "") == ("empty",)
    assert found("The 2 houses of the 1960s, on May 3rd", "As duas casas dos anos 60, em três de maio") == ()
    assert found("It is the 5th time", "É a quinta vez") == ()
    assert "numbers_changed" in found("It is the 5th time", "É a sexta vez")
    assert "numbers_changed" in found("In the 1960s", "Nos anos 70")


@pytest.mark.parametrize(
    ("european", "brazilian"),
    [
        ("Actualmente, os objectivos do projecto são óptimos.", "Atualmente, os objetivos do projeto são ótimos."),
        ("De facto, a acção do factor eléctrico.", "De fato, a ação do fator elétrico."),
        ("O aspeto respetivo da receção.", "O aspecto respectivo da recepção."),
        ("Um fenómeno económico do século; falámos do prémio.", "Um fenômeno econômico do século; falamos do prêmio."),
        ("Um espectro está a assombrar a Europa.", "Um espectro está assombrando a Europa."),
        ("Isso estava a tornar-se comum.", "Isso estava se tornando comum."),
        ("A Bíblia de 42-linha e a viagem de 1-dia.", "A Bíblia de 42 linhas e a viagem de 1 dia."),
        ("A Bíblia de 42 linha, de 1 volume.", "A Bíblia de 42 linhas, de 1 volume."),
        ("Vou mostrar-vos como; posso ajudar-vos.", "Vou mostrar a vocês como; posso ajudar vocês."),
        ("Convido-vos a juntar-vos a nós.", "Convido vocês a se juntar a nós."),
        ("Como vos dei prova, o vosso tempo é convosco.", "Como lhes dei prova, o seu tempo é com vocês."),
        ("A equipa sob controlo no Egipto.", "A equipe sob controle no Egito."),
        ("A rapariga à casa de banho, no autocarro.", "A garota ao banheiro, no ônibus."),
        ("Pequeno-almoço em Nova Iorque, no 8o andar.", "Café da manhã em Nova York, no 8º andar."),
        ("As alterações climáticas no Irão.", "As mudanças climáticas no Irã."),
    ],
)
def test_european_portuguese_becomes_brazilian(european: str, brazilian: str) -> None:
    assert to_brazilian(european) == brazilian
    assert to_brazilian(brazilian) == brazilian


@pytest.mark.parametrize(
    "text",
    [
        "O impacto do pacto, a característica, a ficção, a opção e a infecção.",
        "Também ninguém, porém, além do armazém: é um trem.",
        "O Project Gutenberg e a Factory, no Active Directory.",
        "Na página 3 linha 5, de 1 hora, de 1,5 hora, de 0,5 grau e em maio de 2015 parte de 42 linhas.",
        "Vossa Excelência e Vossas Altezas, eu vos amo.",
        "Eles irão; o irão fazer, o 1º e a 2ª, em 10-oz e A4.",
        "Lá está a mulher. Está a par disso, e eu controlo.",
    ],
)
def test_what_is_brazilian_or_a_name_stays(text: str) -> None:
    assert to_brazilian(text) == text


@pytest.mark.parametrize(
    ("said", "translated", "kept"),
    [
        ("Peter saw Mary.", "Pedro viu Maria.", "Peter viu Mary."),
        ("Saint Peter saw Mary.", "São Pedro viu Maria.", "São Pedro viu Maria."),
        ("Peter and Pedro came.", "Pedro e Pedro vieram.", "Pedro e Pedro vieram."),
        ("King Charles was there.", "O rei Carlos estava lá.", "O rei Carlos estava lá."),
        ("The apostle John 3:16", "O apóstolo João 3:16", "O apóstolo João 3:16"),
    ],
)
def test_a_first_name_stays_that_of_who_was_meant(said: str, translated: str, kept: str) -> None:
    assert keep_names(said, translated, source="en-US", target="pt-BR") == kept
    assert keep_names(said, translated, source="en-US", target="es") == translated


def test_a_portuguese_name_stays_in_english() -> None:
    assert keep_names("O Pedro chegou.", "Peter has arrived.", source="pt-BR", target="en") == "Pedro has arrived."


def test_only_a_dub_for_brazil_is_made_brazilian() -> None:
    class Model:
        def translate(self, sentences: Sequence[str], *, source: str, target: str) -> list[MtResult]:
            return [MtResult(candidates=("Está a falar de facto.", "Fala de facto.")) for _ in sentences]

        def close(self) -> None: ...

    for target, text in (("pt-BR", "Está falando de fato."), ("pt-PT", "Está a falar de facto.")):
        (line,) = translate(_utterances("He speaks indeed."), Model(), source="en", target=target, glossary={})
        assert line.text == text
    assert translate(_utterances("He."), Model(), source="en", target="pt-BR", glossary={})[0].candidates == (
        "Fala de fato.",
    )
