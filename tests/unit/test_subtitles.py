"""Cues by the reading rules, and files that a well-kept parser reads back."""

from __future__ import annotations

import html
import json
from itertools import pairwise
from pathlib import Path

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubline.models import Line, Placement, Segment, Span, Timeline, Transcript, Utterance, Word
from dubline.stages.subtitle import build_cues, source_cues
from dubline.subtitles import CueSource, clean, make_cues, rule_breaks, to_srt, to_vtt
from dubline.timing.lines import break_lines


def _sources(texts: list[tuple[str, float, float]]) -> list[CueSource]:
    at, out = 0.0, []
    for text, length, gap in texts:
        out.append(CueSource(text=text, start_s=at, end_s=at + length))
        at += length + gap
    return out


@given(
    st.lists(st.tuples(st.text(max_size=400), st.floats(0.05, 25), st.floats(0, 5)), max_size=12),
    st.sampled_from(["pt-BR", "en", "ja"]),
    st.sampled_from([10.0, 23.976, 25.0, 60.0]),
)
@settings(max_examples=150, deadline=None)
def test_any_text_gives_cues_in_order_inside_the_media(
    rows: list[tuple[str, float, float]], language: str, fps: float
) -> None:
    sources = _sources(rows)
    end_s = (sources[-1].end_s if sources else 0) + 1.0
    cues = make_cues(sources, media_duration_s=end_s, fps=fps, language=language)
    for cue in cues:
        assert 0 <= cue.start_s < cue.end_s <= end_s + 0.001
        assert cue.text.strip()
    assert all(a.end_s <= b.start_s for a, b in pairwise(cues))
    shown = "".join("".join(c.text for c in cues).split())
    assert shown == "".join("".join(clean(s.text) for s in sources).split())
    assert {b.rule for b in rule_breaks(cues, fps=fps, language=language, media_duration_s=end_s)} <= {
        "reading_speed",
        "too_short",
        "gap",
    }


@pytest.mark.parametrize("grow", [1.0, 1.1])
def test_a_real_lecture_breaks_no_rule(media_dir: Path, grow: float) -> None:
    data = json.loads((media_dir / "speech/lj_printing_3m30.json").read_text())
    rows = data if isinstance(data, list) else next(v for v in data.values() if isinstance(v, list))
    sources = [
        CueSource(
            text=r["text"] + " e" * int(len(r["text"]) * (grow - 1) / 2),
            start_s=r["start"],
            end_s=r["end"],
        )
        for r in rows
    ]
    cues = make_cues(sources, media_duration_s=235.3, fps=25, language="pt-BR")
    assert rule_breaks(cues, fps=25, language="pt-BR", media_duration_s=235.3) == []
    spoken = " ".join(" ".join(s.text.split()) for s in sources)
    assert " ".join(" ".join(c.text.split()) for c in cues) == spoken


def test_cues_stay_with_their_words() -> None:
    fast = _sources([("He spoke without a pause and far too fast for anybody to read it all.", 2.5, 0.0)] * 60)
    cues = make_cues(fast, media_duration_s=400, fps=25, language="en")
    assert len(cues) == 60
    assert all(abs(c.start_s - s.start_s) <= 3.0 for c, s in zip(cues, fast, strict=True))
    breaks = rule_breaks(cues, fps=25, language="en", media_duration_s=400)
    assert {b.rule for b in breaks} == {"reading_speed"}


def test_a_slow_word_is_not_cut_to_fill_its_time() -> None:
    (cue,) = make_cues([CueSource(text="Hmm.", start_s=0, end_s=20)], media_duration_s=30, fps=25, language="en")
    assert (cue.text, cue.end_s) == ("Hmm.", 7.0)


@pytest.mark.parametrize("length", range(4, 43))
def test_a_short_line_is_one_cue(length: int) -> None:
    text = f"{'a' * (length // 2)} {'b' * (length - length // 2 - 1)}"
    source = CueSource(text=text, start_s=0, end_s=2.5)
    assert [c.text for c in make_cues([source], media_duration_s=30, fps=25, language="en")] == [text]


def test_japanese_lines_follow_its_typesetting() -> None:
    text = "これは日本語の字幕のテストです。「東京タワー」は、とても高い建物で、毎年たくさんの観光客が訪れています。"
    cues = make_cues([CueSource(text=text, start_s=0, end_s=8)], media_duration_s=12, fps=25, language="ja")
    rows = [row for c in cues for row in c.text.split("\n")]
    assert max(map(len, rows)) <= 16
    assert not any(row[0] in "、。」ー" or row[-1] == "「" for row in rows)
    assert rule_breaks(cues, fps=25, language="ja", media_duration_s=12) == []


def test_lines_break_at_syntax() -> None:
    text = "The quick brown fox jumped over the fence, and the dog slept."
    assert break_lines(text, 42) == "The quick brown fox jumped over the fence,\nand the dog slept."
    first, second = break_lines("He went down to the river early in the cold morning", 42).split("\n")
    assert first.split()[-1] not in {"the", "in", "to"}
    assert abs(len(first) - len(second)) < 20


def test_rules_are_seen_when_broken() -> None:
    sources = [CueSource(text="x" * 80 + " " + "y" * 3, start_s=0, end_s=1)]
    cues = make_cues(sources, media_duration_s=1.5, fps=25, language="en")
    assert {b.rule for b in rule_breaks(cues, fps=25, language="en", media_duration_s=1.5)} >= {"reading_speed"}


def test_files_are_read_back(tmp_path: Path) -> None:
    sources = [
        CueSource(text="Less <b>bold</b> & --> more", start_s=1, end_s=3),
        CueSource(text="Second\x00 line\u202e here", start_s=3725.5, end_s=3727),
    ]
    cues = make_cues(sources, media_duration_s=4000, fps=25, language="en")
    (tmp_path / "a.srt").write_text(to_srt(cues))
    (tmp_path / "a.vtt").write_text(to_vtt(cues))
    for name in ("a.srt", "a.vtt"):
        events = pysubs2.load(str(tmp_path / name)).events
        assert [(e.start, e.end) for e in events] == [(round(c.start_s * 1000), round(c.end_s * 1000)) for c in cues]
        assert events[1].plaintext == "Second line here"
    assert "&lt;b&gt;" in to_vtt(cues)
    assert "-->" not in to_vtt(cues).split("\n")[3]


def test_bilingual_cues_show_both() -> None:
    targets = [
        "Uma frase bem comprida que precisa de dois pedaços.",
        "Muito bem, então vamos lá agora mesmo, meus amigos.",
    ]
    seconds = ["A rather long sentence, longer than the other one is, that needs two pieces or three.", "OK."]
    sources = [CueSource(text=t, start_s=i * 6, end_s=i * 6 + 5) for i, t in enumerate(targets)]
    cues = make_cues(sources, media_duration_s=14, fps=25, language="pt-BR", second=seconds)
    assert " ".join(c.text.split("\n")[0] for c in cues) == " ".join(targets)
    assert " ".join(r for c in cues for r in c.text.split("\n")[1:]) == " ".join(seconds)
    assert all(len(row) <= 42 for c in cues for row in c.text.split("\n"))
    assert rule_breaks(cues, fps=25, language="pt-BR", media_duration_s=14, bilingual=True) == []


def test_no_cue_comes_up_before_the_phrase_after_a_pause() -> None:
    """Two halves with four seconds of silence between them: the second is shown when it is said."""
    text = "Esta é a primeira metade de uma frase comprida, e esta é a segunda metade da mesma frase."
    pause = Span(start_s=3.0, end_s=7.0)
    source = CueSource(text=text, start_s=0.0, end_s=10.0, pauses=((0.52, pause),))
    cues = make_cues([source], media_duration_s=12.0, fps=25.0, language="pt-BR")
    second = next(c for c in cues if "segunda" in c.text)
    assert second.start_s == pytest.approx(7.0, abs=0.05)
    assert "primeira" not in second.text
    assert cues[0].start_s == pytest.approx(0.0, abs=0.05)
    assert cues[-1].end_s >= 10.0


def test_what_follows_a_long_pause_inside_a_line_is_a_cue_of_its_own() -> None:
    """Short enough for one cue, in one language as in two: nobody reads the answer before it is given."""
    text, other = "E o vencedor é, senhoras e senhores.", "And the winner is, ladies and gentlemen."
    source = CueSource(text=text, start_s=0.0, end_s=6.0, pauses=((0.44, Span(start_s=1.5, end_s=4.5)),))
    for second in (None, [other]):
        cues = make_cues([source], media_duration_s=8.0, fps=25.0, language="pt-BR", second=second)
        assert [c.text.split("\n")[0] for c in cues] == ["E o vencedor é,", "senhoras e senhores."]
        assert [c.start_s for c in cues] == pytest.approx([0.0, 4.5], abs=0.05)
    assert [c.text.split("\n")[1] for c in cues] == ["And the winner is,", "ladies and gentlemen."]


def test_cues_of_the_source_follow_its_words() -> None:
    """Slowly begun, hurried, and halted: letters alone would tell other times. An edited text has only them."""
    spoken = [(f"slowly{i:02}", 1.5 * i, 1.5 * i + 1.0) for i in range(6)]
    spoken += [(f"hurried{i:02}", 9.0 + 0.65 * i, 9.6 + 0.65 * i) for i in range(20)]
    spoken += [("halted.", 24.0, 24.5)]
    words = tuple(Word(text=f" {w}", start_s=a, end_s=b) for w, a, b in spoken)
    text = " ".join(w for w, _, _ in spoken)
    transcript = Transcript(language="en", segments=(Segment(start_s=0, end_s=24.5, text=text, words=words),))
    row = Utterance(id="u", start_s=0.0, end_s=24.5, slot_end_s=24.5, text=text)
    cues = source_cues([row], transcript, duration_s=26.0, fps=25.0)
    assert cues[-1].text == "halted."
    told_s = {word: start_s for word, start_s, _ in spoken}
    assert [c.start_s for c in cues] == pytest.approx([told_s[c.text.split()[0]] for c in cues], abs=0.15)
    (edited,) = source_cues([row.model_copy(update={"text": "Something else."})], transcript, duration_s=26.0, fps=25)
    assert edited.start_s == pytest.approx(0.0, abs=0.01)


def test_webvtt_names_who_speaks_where_several_do(tmp_path: Path) -> None:
    rows = [
        CueSource(text="Is it <here>?", start_s=0.0, end_s=4.0, speaker="S1"),
        CueSource(text="No & yes.", start_s=7.0, end_s=9.0, speaker="S2"),
        CueSource(text=f"It was here {'yesterday ' * 6}as everybody knows.", start_s=10.0, end_s=18.0, speaker="S1"),
    ]
    cues = make_cues(rows, media_duration_s=20, fps=25, language="en")
    text = to_vtt(cues)
    assert "\n<v S1>Is it &lt;here&gt;?</v>\n" in text
    assert "\n<v S2>No &amp; yes.</v>\n" in text
    assert text.count("<v S1>") == text.count("</v>") - 1 == 3  # each part of a line that is cut
    path = tmp_path / "a.vtt"
    path.write_text(text)
    assert html.unescape(pysubs2.load(str(path)).events[1].plaintext) == "No & yes."  # it takes the span away only
    assert "<v" not in to_vtt([cues[0], cues[2]])  # who speaks alone needs no name
    assert "S2" not in to_srt(cues)


def test_cues_of_source_and_dub_know_their_speaker() -> None:
    lines = tuple(
        Line(
            utterance=Utterance(
                id=f"u{i}", start_s=4.0 * i, end_s=4.0 * i + 3, slot_end_s=4.0 * i + 4, text="Yes, it is.", speaker=who
            ),
            text="Sim, é.",
        )
        for i, who in enumerate(("S1", "S2"))
    )
    placements = tuple(
        Placement(
            utterance_id=f"u{i}",
            start_sample=4000 * i,
            length_samples=3000,
            stretch=1.0,
            slot_s=4.0,
            natural_s=3.0,
            onset_error_s=0.0,
            drift_s=0.0,
        )
        for i in range(2)
    )
    timeline = Timeline(sample_rate_hz=1000, total_samples=8000, placements=placements)
    transcript = Transcript(language="en", segments=(), speech=(), duration_s=8.0)
    cues = build_cues(lines, timeline, transcript, target_language="pt-BR", fps=25.0)
    for kind in (cues.target, cues.source, cues.bilingual):
        assert [cue.speaker for cue in kind] == ["S1", "S2"]
