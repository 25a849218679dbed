from __future__ import annotations

import pytest

from dubline.engines.base import MtResult
from dubline.models import Line, Segment, Span, Transcript, Utterance
from dubline.quality.memory import RememberingMt, TranslatedBefore
from dubline.quality.translation import back_translation_chrf, measure_recognition, measure_translation
from dubline.quality.wording import keeps_number, numbers, plain_number, repeated_phrases, tokens


def line(text: str, target: str, name: str = "a") -> Line:
    return Line(utterance=Utterance(id=name, start_s=0, end_s=2, slot_end_s=2, text=text), text=target)


@pytest.mark.parametrize(
    ("language", "a", "b"),
    [
        ("pt-BR", "Em 1,455, disse.", "em mil quatrocentos e cinquenta e cinco disse"),
        ("pt-BR", "1.455 livros", "1455 livros"),
        ("es", "El 20% de $30", "el veinte por ciento de treinta dólares"),
        ("en", "US$ 30 & 5%", "thirty dollars and five percent"),
        ("en", "It’s HERE!", "its here"),
        ("fr", "3,5 ans", "trois virgule cinq ans"),
    ],
)
def test_spoken_and_written_forms_compare_equal(language: str, a: str, b: str) -> None:
    assert tokens(a, language) == tokens(b, language)


def test_languages_without_spaces_compare_by_character() -> None:
    assert tokens("今日は、晴れ。", "ja") == list("今日は晴れ")


def test_separators_of_numbers() -> None:
    assert numbers("1,455 1.455 3.50 10:30 007") == ["1455", "1455", "3.5", "10", "30", "7"]
    assert plain_number("1.234.567,89") == "1234567.89"


@pytest.mark.parametrize(
    ("value", "target", "kept"),
    [
        ("15", "no século XV", True),
        ("15", "quinze anos", True),
        ("200", "duzentas pessoas", True),
        ("2", "duas vezes", True),
        ("1455", "em 1.455", True),
        ("15", "cinquenta anos", False),
        ("1455", "em 1454", False),
        ("1", "I was here", False),
    ],
)
def test_a_number_is_found_in_digits_words_or_roman(value: str, target: str, kept: bool) -> None:
    assert keeps_number(value, target, "pt-BR") is kept


def test_a_looping_transcript_is_seen() -> None:
    assert repeated_phrases("and thank you so thank you so thank you so much", "en") == ("thank you so",)
    assert repeated_phrases("he said that she said that it was there", "en") == ()


def test_coverage_counts_speech_without_words() -> None:
    transcript = Transcript(
        language="en",
        segments=(Segment(start_s=0, end_s=4, text="a b", avg_log_probability=-0.2),),
        speech=(Span(start_s=0, end_s=4), Span(start_s=5, end_s=5.2), Span(start_s=6, end_s=9.8)),
    )
    found = measure_recognition(transcript)
    assert found.speech_coverage == 0.5
    assert found.speech_s == 8
    assert found.wordless == (Span(start_s=6, end_s=9.8),)


class Back:
    """Gives back what a table says."""

    def __init__(self, table: dict[str, str]) -> None:
        self.table = table

    def translate(self, sentences, *, source, target):
        assert (source, target) == ("pt-BR", "en")
        return [MtResult(candidates=(self.table[s],)) for s in sentences]

    def close(self) -> None: ...


def test_back_translation_goes_sentence_by_sentence() -> None:
    lines = [line("The cat sleeps. It is late.", "O gato dorme. É tarde.")]
    good = Back({"O gato dorme.": "The cat sleeps.", "É tarde.": "It is late."})
    bad = Back({"O gato dorme.": "Stone bridges", "É tarde.": "forgot"})
    languages = {"source_language": "en", "target_language": "pt-BR"}
    assert back_translation_chrf(lines, good, **languages) == (100.0, "")
    score, _ = back_translation_chrf(lines, bad, **languages)
    assert score is not None
    assert score < 30
    assert back_translation_chrf(lines, None, **languages)[0] is None


def test_what_a_translation_lost() -> None:
    lines = [
        line("In 1455 the press ran.", "Em 1455 a prensa rodou.", "kept"),
        line("There were 300 copies of it.", "Havia cópias.", "lost"),
        line("This is still the same text", "This is still the same text", "same"),
        line("Nothing came back here.", "", "empty"),
        line("The printing press", "A prensa", "term"),
        line("5, 4, 3, 2, 1.", "5, 4, 3, 2, 1.", "count"),
    ]
    found = measure_translation(
        lines,
        source_language="en",
        target_language="pt-BR",
        glossary={"printing press": "prensa tipográfica", "1455": "1455"},
        mt_reverse=None,
    )
    assert found.numbers_kept == round(6 / 7, 4)
    assert found.numbers_lost == ("lost",)
    assert found.untranslated == ("same",)
    assert found.empty == ("empty",)
    assert found.glossary_hits == 1
    assert [m.utterance_id for m in found.glossary_misses] == ["term"]


def test_only_sentences_that_changed_are_translated_back() -> None:
    asked: list[str] = []
    loaded: list[int] = []

    class Engine:
        def translate(self, sentences, *, source, target):
            asked.extend(sentences)
            return [MtResult(candidates=(f"<{s}>",)) for s in sentences]

        def close(self) -> None: ...

    def load() -> Engine:
        loaded.append(1)
        return Engine()

    first = RememberingMt(load, TranslatedBefore())
    rows = first.translate(["Um.", "Dois.", "Um."], source="pt-BR", target="en")
    assert [r.text for r in rows] == ["<Um.>", "<Dois.>", "<Um.>"]
    assert asked == ["Um.", "Dois."]
    assert first.learnt
    known = TranslatedBefore.model_validate_json(first.rows.model_dump_json())

    second = RememberingMt(load, known)
    assert [r.text for r in second.translate(["Dois.", "Um."], source="pt-BR", target="en")] == ["<Dois.>", "<Um.>"]
    assert (loaded, second.learnt) == ([1], False)
    assert [r.text for r in second.translate(["Dois.", "Três."], source="pt-BR", target="en")] == ["<Dois.>", "<Três.>"]
    assert asked == ["Um.", "Dois.", "Três."]
    assert list(second.rows.rows) == ["Um.", "Dois.", "Três."]
