"""Cues by the reading rules, and files that a well-kept parser reads back."""

from __future__ import annotations

import json
from pathlib import Path

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubline.subtitles import CueSource, break_lines, make_cues, rule_breaks, to_srt, to_vtt


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
    assert all(a.end_s <= b.start_s + 0.0011 for a, b in zip(cues, cues[1:], strict=False))
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
    sources = [CueSource(text="Uma frase bem comprida que precisa de dois pedaços.", start_s=0, end_s=5)]
    cues = make_cues(
        sources, media_duration_s=9, fps=25, language="pt-BR", second=["A rather long sentence that needs two pieces."]
    )
    assert all(len(c.text.split("\n")) == 2 for c in cues)
    assert " ".join(c.text.split("\n")[1] for c in cues) == "A rather long sentence that needs two pieces."
