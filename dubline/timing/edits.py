"""A person's edits of the lines of a dub: change, split, merge, delete. Pure.

Edits that stand in a list are applied one after another; what they name are the lines as the edits before left them.
Lines that no edit names keep their id; a line made by splitting or merging gets one that depends on its parents alone,
so the same edits give the same ids whenever they are applied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dubline.errors import InputError
from dubline.models import ChangeLine, DeleteLine, Line, LineEdit, MergeLines, SplitLine, Utterance
from dubline.timing.lines import is_wide
from dubline.timing.segmentation import GUARD_S

_TOUCH_S = 0.02  # times that went through a page are rounded
_SHORTEST_S = 0.05


@dataclass(frozen=True)
class EditFault:
    """What is wrong with an edit: its place in the list, its field, and a sentence."""

    number: int
    field: str
    message: str


class _Refused(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


def apply_edits(
    lines: Sequence[Line], edits: Sequence[LineEdit], *, media_s: float, check_times: bool = False
) -> tuple[Line, ...]:
    """The lines after the edits, each with the slot that its new neighbours leave it.

    Args:
        lines: In order of time.
        edits: Applied in their order.
        media_s: Length of the media in seconds.
        check_times: Refuse times that cross another line's or lie outside the media.

    Raises:
        InputError: `line_unknown` or `edit_invalid`; `details["errors"]` has every fault (`edit`, `field`, `message`).
    """
    rows = list(lines)
    faults: list[EditFault] = []
    timed: dict[str, int] = {}
    for number, edit in enumerate(edits):
        try:
            at = _position(rows, edit.id)
            made, used = _made(rows, at, edit)
        except _Refused as refused:
            faults.append(EditFault(number, refused.field, refused.message))
            continue
        if isinstance(edit, SplitLine) or (
            isinstance(edit, ChangeLine) and (edit.start_s is not None or edit.end_s is not None)
        ):
            timed |= {line.utterance.id: number for line in made}
        rows[at : at + used] = made
    if check_times and not faults:
        faults = _time_faults(rows, timed, media_s)
    if faults:
        _refuse(faults)
    return _with_slots(rows, media_s) if edits else tuple(rows)


def join_edits(before: Sequence[LineEdit], after: Sequence[LineEdit]) -> tuple[LineEdit, ...]:
    """One list with the effect of both, in which a line that is changed again and again is named once."""
    out = list(before)
    last = {name: number for number, edit in enumerate(out) for name in _named(edit)}
    for edit in after:
        at = last.get(edit.id)
        earlier = out[at] if at is not None else None
        if isinstance(edit, ChangeLine) and isinstance(earlier, ChangeLine) and at is not None:
            out[at] = earlier.model_copy(update=edit.model_dump(exclude_none=True))
            continue
        out.append(edit)
        last |= dict.fromkeys(_named(edit), len(out) - 1)
    return tuple(out)


def _named(edit: LineEdit) -> tuple[str, ...]:
    return (edit.id, edit.with_id) if isinstance(edit, MergeLines) else (edit.id,)


def _refuse(faults: Sequence[EditFault]) -> None:
    unknown = all(f.field in ("id", "with_id") for f in faults)
    raise InputError(
        faults[0].message,
        code="line_unknown" if unknown else "edit_invalid",
        hint="The transcript and the report have the ids of the lines." if unknown else "",
        details={"errors": [{"edit": f.number, "field": f.field, "message": f.message} for f in faults]},
    )


def _position(rows: Sequence[Line], name: str) -> int:
    for at, line in enumerate(rows):
        if line.utterance.id == name:
            return at
    raise _Refused("id", f"No line is called {name}.")


def _made(rows: Sequence[Line], at: int, edit: LineEdit) -> tuple[list[Line], int]:
    """What takes the place of the line at a position, and of how many lines."""
    match edit:
        case ChangeLine():
            return [_changed(rows[at], edit)], 1
        case SplitLine():
            return _split(rows[at], edit, {r.utterance.id for r in rows}), 1
        case MergeLines():
            if at + 1 == len(rows) or rows[at + 1].utterance.id != edit.with_id:
                raise _Refused("with_id", f"The line {edit.with_id} does not follow {edit.id}.")
            return [_merged(rows[at], rows[at + 1], {r.utterance.id for r in rows})], 2
        case DeleteLine():
            return [], 1


def _changed(line: Line, edit: ChangeLine) -> Line:
    said = line.utterance
    moved: dict[str, object] = {}
    if edit.source_text is not None:
        moved["text"] = _spoken(edit.source_text, "source_text")
    if edit.start_s is not None:
        moved["start_s"] = edit.start_s
    if edit.end_s is not None:
        moved["end_s"] = edit.end_s
    values: dict[str, object] = {"utterance": said.model_copy(update=moved)} if moved else {}
    if edit.text is not None:
        values |= {"text": _spoken(edit.text, "text"), "flags": ("edited",)}
    if edit.voice is not None:
        values["voice"] = edit.voice
    return line.model_copy(update=values)


def _split(line: Line, edit: SplitLine, taken: set[str]) -> list[Line]:
    said = line.utterance
    texts = _halves(line.text, _between_words(line.text, edit.at_char), "at_char")
    guess = _near_space(said.text, edit.at_char / len(line.text))
    sources = _halves(said.text, guess if edit.source_at_char is None else edit.source_at_char, "source_at_char")
    share = len(sources[0]) / (len(sources[0]) + len(sources[1]))
    length_s = said.end_s - said.start_s
    least = min(0.5, 2 * _SHORTEST_S / length_s) if length_s > 0 else 0.5
    guess_s = said.start_s + min(max(share, least), 1 - least) * length_s  # a word alone gets time to be said
    at_s = guess_s if edit.at_s is None else edit.at_s
    if not said.start_s < at_s < said.end_s:
        raise _Refused("at_s", "The time does not lie inside the line.")
    out: list[Line] = []
    for part, (text, source, start_s, end_s) in enumerate(
        [(texts[0], sources[0], said.start_s, at_s), (texts[1], sources[1], at_s, said.end_s)]
    ):
        name = _derived(f"{said.id}|{edit.at_char}|{part}", taken)
        half = said.model_copy(update={"id": name, "start_s": start_s, "end_s": end_s, "text": source})
        out.append(Line(utterance=half, text=text, flags=("edited",), voice=line.voice))
    return out


def _merged(first: Line, second: Line, taken: set[str]) -> Line:
    name = _derived(f"{first.utterance.id}+{second.utterance.id}", taken)
    said = first.utterance.model_copy(
        update={
            "id": name,
            "end_s": max(first.utterance.end_s, second.utterance.end_s),
            "text": _joined(first.utterance.text, second.utterance.text),
        }
    )
    return Line(utterance=said, text=_joined(first.text, second.text), flags=("edited",), voice=first.voice)


def _spoken(text: str, field: str) -> str:
    if not text:
        raise _Refused(field, "The text is empty; delete the line instead.")
    return text


def _halves(text: str, at: int, field: str) -> tuple[str, str]:
    first, second = text[:at].strip(), text[at:].strip()
    if not first or not second:
        raise _Refused(field, "Nothing would be left on one side of the split.")
    return first, second


def _between_words(text: str, at: int) -> int:
    """The position itself, or where it lies inside a word, the nearest space."""
    if not 0 < at < len(text) or " " not in text or not (text[at - 1].isalnum() and text[at].isalnum()):
        return at
    return at if is_wide(text[at - 1]) or is_wide(text[at]) else _near_space(text, at / len(text))


def _near_space(text: str, share: float) -> int:
    """Position in a text near a share of its length, at the nearest space when it has one."""
    wanted = round(len(text) * share)
    spaces = [i for i, c in enumerate(text) if c == " "]
    return min(spaces, key=lambda i: abs(i - wanted)) if spaces else min(max(1, wanted), max(1, len(text) - 1))


def _joined(first: str, second: str) -> str:
    wide = bool(first and second) and is_wide(first[-1]) and is_wide(second[0])
    return f"{first}{second}" if wide else f"{first} {second}".strip()


def _derived(seed: str, taken: set[str]) -> str:
    number = 0
    while True:
        name = "u" + hashlib.sha256(f"{seed}|{number}".encode("utf-8", "replace")).hexdigest()[:8]
        if name not in taken:
            taken.add(name)
            return name
        number += 1


def _time_faults(rows: Sequence[Line], timed: Mapping[str, int], media_s: float) -> list[EditFault]:
    faults: list[EditFault] = []
    for at, line in enumerate(rows):
        said = line.utterance
        number = timed.get(said.id)
        if number is None:
            continue
        if said.end_s - said.start_s < _SHORTEST_S:
            faults.append(EditFault(number, "end_s", f"The line {said.id} would end before it begins."))
        elif said.end_s > media_s + _TOUCH_S:
            faults.append(EditFault(number, "end_s", f"The video ends at {media_s:.2f} s."))
        elif at and said.start_s < rows[at - 1].utterance.end_s - _TOUCH_S:
            faults.append(EditFault(number, "start_s", f"It would begin before {rows[at - 1].utterance.id} ends."))
        elif at + 1 < len(rows) and said.end_s > rows[at + 1].utterance.start_s + _TOUCH_S:
            faults.append(EditFault(number, "end_s", f"It would end after {rows[at + 1].utterance.id} begins."))
    return faults


def _with_slots(rows: Sequence[Line], media_s: float) -> tuple[Line, ...]:
    out: list[Line] = []
    for at, line in enumerate(rows):
        said: Utterance = line.utterance
        free_s = rows[at + 1].utterance.start_s - GUARD_S if at + 1 < len(rows) else media_s
        slot_end_s = max(said.start_s, min(media_s, free_s))
        if slot_end_s != said.slot_end_s:
            line = line.model_copy(update={"utterance": said.model_copy(update={"slot_end_s": slot_end_s})})
        out.append(line)
    return tuple(out)
