"""What edits do to lines: any sequence of them keeps the lines whole, in order and, where untouched, as they were."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubline.errors import InputError
from dubline.models import ChangeLine, DeleteLine, Line, LineEdit, MergeLines, SplitLine, Utterance
from dubline.timing.edits import apply_edits, join_edits
from dubline.timing.segmentation import GUARD_S

_MEDIA_S = 100.0


def _lines(*texts: str) -> tuple[Line, ...]:
    return tuple(
        Line(
            utterance=Utterance(
                id=f"u{n}",
                start_s=10.0 * n,
                end_s=10.0 * n + 8,
                slot_end_s=10.0 * (n + 1) - GUARD_S if n + 1 < len(texts) else _MEDIA_S,
                text=f"Source {text}",
            ),
            text=text,
            candidates=(text.upper(),),
        )
        for n, text in enumerate(texts)
    )


_TEXTS = st.lists(st.sampled_from(["one two", "three four five", "six", "日本語の行", "é ñ"]), min_size=1, max_size=6)


@st.composite
def _edit(draw: st.DrawFn, lines: tuple[Line, ...]) -> LineEdit:
    """An edit that fits the lines as they are."""
    at = draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    name, said = line.utterance.id, line.utterance
    floor_s = lines[at - 1].utterance.end_s if at else 0.0
    ceiling_s = lines[at + 1].utterance.start_s if at + 1 < len(lines) else _MEDIA_S
    kinds = ["change", "delete", *(["times"] if ceiling_s - floor_s > 0.5 else [])]
    spaces = [i for i, c in enumerate(line.text) if c == " "]
    if spaces and len(said.text) > 1 and said.end_s - said.start_s > 0.5:
        kinds.append("split")
    if at + 1 < len(lines):
        kinds.append("merge")
    match draw(st.sampled_from(kinds)):
        case "change":
            return ChangeLine(
                id=name,
                text=draw(st.sampled_from([None, "seven eight", "nine ten"])),
                source_text=draw(st.sampled_from([None, "Other words"])),
                voice=draw(st.sampled_from([None, "", "pm_alex"])),
            )
        case "times":
            start_s = draw(st.floats(floor_s, (floor_s + ceiling_s) / 2 - 0.1))
            return ChangeLine(id=name, start_s=start_s, end_s=draw(st.floats(start_s + 0.1, ceiling_s)))
        case "split":
            return SplitLine(id=name, at_char=draw(st.sampled_from(spaces)))
        case "merge":
            return MergeLines(id=name, with_id=lines[at + 1].utterance.id)
        case _:
            return DeleteLine(id=name)


@given(st.data(), _TEXTS)
def test_any_edits_keep_the_lines_whole_and_a_joined_list_does_the_same(data: st.DataObject, texts: list[str]) -> None:
    base = _lines(*texts)
    assert apply_edits(base, (), media_s=_MEDIA_S) == base
    lines, edits, named, joined = base, [], set(), ()
    for _ in range(data.draw(st.integers(1, 8))):
        if not lines:
            break
        edit = data.draw(_edit(lines))
        after = apply_edits(lines, [edit], media_s=_MEDIA_S, check_times=True)
        touched = {edit.id, edit.with_id} if isinstance(edit, MergeLines) else {edit.id}
        assert [_free(line) for line in lines if line.utterance.id not in touched] == [
            _free(line) for line in after if line.utterance.id in {r.utterance.id for r in lines} - touched
        ]
        if isinstance(edit, SplitLine | MergeLines):
            assert "".join("".join(r.text for r in after).split()) == "".join("".join(r.text for r in lines).split())
        lines, named = after, named | touched
        edits.append(edit)
        joined = join_edits(joined, [edit])
    names = [line.utterance.id for line in lines]
    assert len(names) == len(set(names))
    for before, after in itertools.pairwise(lines):
        assert before.utterance.end_s <= after.utterance.start_s
        assert before.utterance.slot_end_s == max(before.utterance.start_s, after.utterance.start_s - GUARD_S)
    assert [_free(r) for r in lines if r.utterance.id not in named and r in base] == [
        _free(r) for r in base if r.utterance.id not in named and r in lines
    ]
    assert apply_edits(base, edits, media_s=_MEDIA_S) == lines
    assert apply_edits(base, joined, media_s=_MEDIA_S) == lines
    assert len(joined) <= len(edits)


def _free(line: Line) -> Line:
    """A line without its slot, which its neighbours decide."""
    return line.model_copy(update={"utterance": line.utterance.model_copy(update={"slot_end_s": 0.0})})


def test_a_split_cuts_text_source_and_time_and_a_merge_heals_it() -> None:
    base = _lines("one two three", "four")
    first, second, rest = apply_edits(base, [SplitLine(id="u0", at_char=7)], media_s=_MEDIA_S)
    assert (first.text, second.text) == ("one two", "three")
    assert (first.utterance.text, second.utterance.text) == ("Source one", "two three")
    assert first.utterance.start_s == 0.0 < first.utterance.end_s == second.utterance.start_s < 8.0
    assert second.utterance.end_s == 8.0
    assert rest == base[1]
    merge = MergeLines(id=first.utterance.id, with_id=second.utterance.id)
    healed, _ = apply_edits(base, [SplitLine(id="u0", at_char=7), merge], media_s=_MEDIA_S)
    assert (healed.text, healed.utterance.text) == ("one two three", "Source one two three")
    assert (healed.utterance.start_s, healed.utterance.end_s) == (0.0, 8.0)
    assert healed.utterance.id not in {"u0", first.utterance.id, second.utterance.id}


@pytest.mark.parametrize(
    ("text", "at_char", "halves"),
    [
        ("one two three", 5, ["one", "two three"]),
        ("one two three", 10, ["one two", "three"]),
        ("one,two", 4, ["one,", "two"]),
        ("undivided", 4, ["undi", "vided"]),
        ("東京 大阪です", 1, ["東", "京 大阪です"]),
    ],
)
def test_a_split_inside_a_word_is_made_beside_it(text: str, at_char: int, halves: list[str]) -> None:
    split = apply_edits(_lines(text), [SplitLine(id="u0", at_char=at_char)], media_s=_MEDIA_S)
    assert [line.text for line in split] == halves


@pytest.mark.parametrize(
    ("edit", "field", "code"),
    [
        (DeleteLine(id="u9"), "id", "line_unknown"),
        (MergeLines(id="u0", with_id="u2"), "with_id", "line_unknown"),
        (MergeLines(id="u2", with_id="u0"), "with_id", "line_unknown"),
        (ChangeLine(id="u0", text=" \n"), "text", "edit_invalid"),
        (SplitLine(id="u0", at_char=0), "at_char", "edit_invalid"),
        (SplitLine(id="u0", at_char=99), "at_char", "edit_invalid"),
        (SplitLine(id="u0", at_char=3, source_at_char=50), "source_at_char", "edit_invalid"),
        (SplitLine(id="u0", at_char=3, at_s=8.0), "at_s", "edit_invalid"),
        (ChangeLine(id="u1", start_s=7.9), "start_s", "edit_invalid"),
        (ChangeLine(id="u1", end_s=20.1), "end_s", "edit_invalid"),
        (ChangeLine(id="u1", start_s=18.0), "end_s", "edit_invalid"),
        (ChangeLine(id="u2", end_s=100.1), "end_s", "edit_invalid"),
    ],
)
def test_what_does_not_fit_is_named(edit: LineEdit, field: str, code: str) -> None:
    base = _lines("one two", "three", "four")
    with pytest.raises(InputError) as caught:
        apply_edits(base, [ChangeLine(id="u1", text="good"), edit], media_s=_MEDIA_S, check_times=True)
    assert caught.value.code == code
    assert [(e["edit"], e["field"]) for e in caught.value.details["errors"]] == [(1, field)]


def test_an_edited_line_keeps_its_id_and_a_text_has_no_control_characters() -> None:
    base = _lines("one", "two")
    first, second = apply_edits(base, [ChangeLine(id="u0", text="a\nb\0c", voice="pm_alex")], media_s=_MEDIA_S)
    assert (first.utterance, first.text, first.voice, first.flags) == (
        base[0].utterance,
        "a b c",
        "pm_alex",
        ("edited",),
    )
    assert second == base[1]


def test_a_half_of_one_letter_has_time_of_its_own() -> None:
    lines = _lines("a " + "long " * 60)
    edits = [ChangeLine(id="u0", start_s=1.0, end_s=1.6), SplitLine(id="u0", at_char=1)]
    halves = apply_edits(lines, edits, media_s=_MEDIA_S, check_times=True)
    assert [h.text for h in halves] == ["a", ("long " * 60).strip()]
    assert [h.utterance.end_s - h.utterance.start_s >= 0.05 for h in halves] == [True, True]
