"""`dubline dub`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from dubline.cli_output import err, one_of, out, print_error
from dubline.errors import InputError
from dubline.languages import canonical
from dubline.models import Background, ChangeLine, DubOptions, Listen, Profile, SubtitleMode


def dub(
    video: Annotated[Path, typer.Argument(help="The video (or audio) file.", show_default=False)],
    to: Annotated[str, typer.Option("--to", help="Target language: pt-BR, es, spa …", show_default=False)],
    source: Annotated[str | None, typer.Option("--from", help="Spoken language; detected when not given.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the results; default: the video's.")
    ] = None,
    background: Annotated[
        str, typer.Option(help="Original sound: duck, separate, keep or mute.", autocompletion=one_of(Background))
    ] = "duck",
    profile: Annotated[
        str, typer.Option(help="Timing: natural (pace <= 1.25) or strict (<= 1.5).", autocompletion=one_of(Profile))
    ] = "natural",
    subtitles: Annotated[
        str,
        typer.Option(help="In the video: none, sidecar, embedded or burned.", autocompletion=one_of(SubtitleMode)),
    ] = "embedded",
    keep_original: Annotated[bool, typer.Option("--keep-original", help="Keep the original as second track.")] = False,
    voice: Annotated[
        str | None,
        typer.Option(
            help="Voice of the dub; `dubline engines` lists them. By default a higher or a lower one, by the speech."
        ),
    ] = None,
    speakers: Annotated[str, typer.Option(help="A voice for each speaker: auto, a number, or one for all.")] = "one",
    stt: Annotated[str, typer.Option("--stt", help="Recognition engine.")] = "auto",
    stt_model: Annotated[str, typer.Option(help="Recognition model: base, tiny.en, a folder or a hub name.")] = "base",
    mt: Annotated[str, typer.Option("--mt", help="Translation engine.")] = "auto",
    tts: Annotated[str, typer.Option("--tts", help="Speech engine.")] = "auto",
    glossary: Annotated[
        list[str] | None, typer.Option(help='A term and its translation, "term=termo"; repeat.')
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(help="Replace a line's translation, LINE_ID=TEXT (ids are in the report); repeat."),
    ] = None,
    listen: Annotated[
        str,
        typer.Option(help="Check of the finished dub by ear: sample, all or off.", autocompletion=one_of(Listen)),
    ] = "sample",
    url: Annotated[
        str | None, typer.Option(envvar="DUBLINE_URL", help="A running service; default: the one on this machine.")
    ] = None,
    direct: Annotated[bool, typer.Option("--direct", help="Run in a process of its own, without the service.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Make everything anew, cached or not; direct.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a progress bar.")] = False,
) -> None:
    """Dub VIDEO into another language.

    Writes beside the video: the dubbed video, subtitles (target, source and both) and a report. Stop with Ctrl-C; the
    same command takes up where it stopped. The work is a job of the service, which is started when it does not run and
    ends ten minutes after its last job; should this command be killed, the job goes on.

    Exit status: 0 done, 1 failed, 2 refused (the message says why), 130 cancelled.

    Example: dubline dub talk.mp4 --to pt-BR
    """
    try:
        options = DubOptions.model_validate(
            {
                "target_language": canonical(to),
                "source_language": canonical(source) if source and source != "auto" else None,
                "background": background,
                "profile": profile,
                "subtitles": subtitles,
                "keep_original_audio": keep_original,
                "tts_voice": voice,
                "speakers": speakers,
                "stt_engine": stt,
                "stt_model": stt_model,
                "translation_engine": mt,
                "tts_engine": tts,
                "glossary": pairs(glossary or [], "--glossary"),
                "edits": tuple(ChangeLine(id=k, text=v) for k, v in pairs(edit or [], "--edit").items()),
                "listen": listen,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"The option {first['loc'][0]} is not valid: {first['msg'].lower()}.",
            code="option_invalid",
            hint="`dubline dub --help` lists the values.",
        ) from error
    folder = folder or video.absolute().parent
    console = None if as_json else err
    if direct or refresh:
        from dubline.localrun import run_local

        code, answer = run_local(video, folder, options, refresh=refresh, console=console)
    else:
        from dubline.dubbing import run_dub

        code, answer = run_dub(video, folder, options, url=url, console=console)
    if "error" in answer:
        print_error(answer["error"], as_json=as_json)
    elif as_json:
        print(json.dumps(answer))
    else:
        _print_done(answer)
    raise typer.Exit(code)


def _print_done(answer: dict[str, Any]) -> None:
    colour = {"pass": "green", "review": "yellow", "fail": "red"}.get(answer["verdict"], "white")
    out.print(f"[bold {colour}]{answer['verdict']}[/]  ", end="")
    out.print(answer["message"], markup=False, highlight=False)
    for path in answer["files"].values():
        shown = os.fsencode(path).decode(errors="replace")
        out.print(f"  {shown}", markup=False, highlight=False, soft_wrap=True)
    run = answer["run"]
    tasks = f", {run['cached_task_runs']} of {run['task_runs']} task runs from the cache" if "task_runs" in run else ""
    out.print(f"  {run['wall_s']:.1f} s{tasks}", style="dim")


def pairs(values: list[str], option: str) -> dict[str, str]:
    pairs = {}
    for value in values:
        left, sign, right = value.partition("=")
        if not sign or not left.strip() or not right.strip():
            raise InputError(f"{option} wants LEFT=RIGHT.", code="option_invalid", hint=f'For example {option} "a=b".')
        pairs[left.strip()] = right.strip()
    return pairs
