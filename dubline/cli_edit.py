"""`dubline edit`: the lines of a finished dub, read, changed and rendered again."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Annotated, Any

import typer

from dubline.cli_dub import pairs
from dubline.cli_jobs import JobId, Json, Url, client_for
from dubline.cli_output import out
from dubline.errors import InputError

Lines = list[str] | None


def edit(
    job_id: JobId,
    line: Annotated[Lines, typer.Option(help="Another translation, LINE=TEXT; repeat.")] = None,
    voice: Annotated[Lines, typer.Option(help="Another voice, LINE=VOICE; repeat.")] = None,
    start: Annotated[Lines, typer.Option(help="Another start, LINE=SECONDS; repeat.")] = None,
    end: Annotated[Lines, typer.Option(help="Another end, LINE=SECONDS; repeat.")] = None,
    split: Annotated[Lines, typer.Option(help="Two lines, cut after so many characters, LINE=COUNT; repeat.")] = None,
    merge: Annotated[Lines, typer.Option(help="One line out of a line and the next; repeat.")] = None,
    delete: Annotated[Lines, typer.Option(help="A line that shall not be spoken; repeat.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Go back to the revision before.")] = False,
    render: Annotated[
        bool, typer.Option("--render", help="Make the dub again; only what changed is made anew.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the lines of a finished dub, change them, and make it again.

    Without options the lines are shown. Edits are kept as a new revision, and the answer says what rendering it would
    make again; `--render` does so.

    Example: dubline edit JOB --line "u3fa1c2d4=Bom dia e bem-vindos." --render
    """
    with client_for(url) as client:
        shown: dict[str, Any] = client.request("GET", f"/api/v1/jobs/{job_id}/transcript")
        edits = _edits(shown["segments"], line, voice, start, end, split, merge, delete)
        if undo and edits:
            raise InputError("--undo goes alone.", code="option_invalid", hint="Undo first, then edit.")
        if undo:
            body = {"revision": shown["revision"]}
            shown = client.request("POST", f"/api/v1/jobs/{job_id}/transcript/undo", json=body)
        elif edits:
            shown = client.edit(job_id, edits, revision=shown["revision"])
        job = client.render(job_id) if render else None
    if as_json:
        print(json.dumps(shown if job is None else {**shown, "job": job.model_dump(mode="json")}))
        return
    if "plan" in shown:
        _show_plan(shown)
    else:
        for row in shown["segments"]:
            at = f"{int(row['start_s'] // 60):3}:{row['start_s'] % 60:04.1f}"
            mark = "*" if row.get("edited") else " "
            out.print(f"{row['id']} {at} {mark} {row['text']}", markup=False, highlight=False)
    if job is not None:
        out.print(f"Watch: dubline watch {job_id}", style="dim")
    elif "plan" in shown:
        out.print(f"Render: dubline edit {job_id} --render", style="dim")


def _show_plan(shown: dict[str, Any]) -> None:
    plan = shown["plan"]
    lines, stages = len(plan["lines_again"]), ", ".join(plan["stages_again"]) or "nothing"
    out.print(f"revision {shown['revision']}: {lines} lines to speak again; {stages}", markup=False, highlight=False)
    out.print(f"about {plan['seconds_expected']:.0f} s of work", highlight=False)
    for warning in plan["warnings"]:
        out.print(f"  {warning['id']} {warning['message']}", markup=False, highlight=False, style="yellow")
        if warning.get("proposal"):
            out.print(f"    shorter: {warning['proposal']}", markup=False, highlight=False)


def _edits(
    segments: list[dict[str, Any]],
    line: Lines,
    voice: Lines,
    start: Lines,
    end: Lines,
    split: Lines,
    merge: Lines,
    delete: Lines,
) -> list[dict[str, Any]]:
    """The edits in the API's form; several changes of one line are one."""
    changes: dict[str, dict[str, Any]] = {}
    for rows, option, field in ((line, "--line", "text"), (voice, "--voice", "voice")):
        for name, value in pairs(rows or [], option).items():
            changes.setdefault(name, {})[field] = value
    for rows, option, field in ((start, "--start", "start_s"), (end, "--end", "end_s")):
        for name, value in pairs(rows or [], option).items():
            changes.setdefault(name, {})[field] = _number(value, option)
    edits: list[dict[str, Any]] = [{"op": "change", "id": name, **fields} for name, fields in changes.items()]
    for name, value in pairs(split or [], "--split").items():
        edits.append({"op": "split", "id": name, "at_char": int(_number(value, "--split"))})
    following = {a["id"]: b["id"] for a, b in pairwise(segments)}
    for name in merge or []:
        if name not in following:
            raise InputError(
                f"There is no line after {name}.", code="line_unknown", hint="`dubline edit JOB` shows the lines."
            )
        edits.append({"op": "merge", "id": name, "with_id": following[name]})
    edits += [{"op": "delete", "id": name} for name in delete or []]
    return edits


def _number(value: str, option: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"{option} wants LINE=NUMBER.", code="option_invalid", hint=f"Not {value}.") from error
