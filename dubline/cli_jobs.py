"""Commands on the jobs of a running service."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.cells import cell_len
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from dubline.cli_output import err, one_of, out
from dubline.errors import InputError

_Kind = Literal["video_translate", "transcription", "audio_extraction"]
Url = Annotated[
    str | None, typer.Option(envvar="DUBLINE_URL", help="The service; default: the one that runs on this machine.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_PIPE_WIDTH = 400  # what reads a pipe wants whole names
_LEAST_NAME_WIDTH = 8
JobId = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]


def client_for(url: str | None):
    """A client of the service that was named, or of the one that runs on this machine's state folder."""
    from dubline.client import Client
    from dubline.settings import get_settings
    from dubline.stack import running_service

    return Client(url or running_service(get_settings()))


def _transfers(is_silent: bool) -> Progress:
    """A bar for each file on its way."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=err, transient=True, disable=is_silent)


def submit(
    videos: Annotated[list[Path], typer.Argument(help="Video (or audio) files.", show_default=False)],
    to: Annotated[list[str] | None, typer.Option("--to", help="Target language; repeat for several.")] = None,
    source: Annotated[str | None, typer.Option("--from", help="Spoken language; detected when not given.")] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--type", help="video_translate, transcription or audio_extraction.", autocompletion=one_of(_Kind)
        ),
    ] = "video_translate",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="Any parameter of the job API, NAME=VALUE (or JSON); repeat."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Hand videos over to a running service; do not wait.

    Example: dubline submit talk.mp4 --to pt-BR --to es
    """
    if kind == "video_translate" and not to:
        raise InputError("A dub needs a target language.", code="target_language_missing", hint="Add --to pt-BR.")
    parameters: dict[str, Any] = {"job_type": kind, "source_language": source}
    for row in option or []:
        name, sign, value = row.partition("=")
        if not sign:
            raise InputError("--option wants NAME=VALUE.", code="option_invalid", hint="For example -o background=mute")
        parameters[name] = _value(value)
    jobs = []
    bar = _transfers(as_json)
    with client_for(url) as client, bar:
        for video in videos:
            task = bar.add_task(escape(os.fsencode(video.name).decode(errors="replace")), total=None)
            stored = client.upload(
                video, told=lambda have, size, task=task: bar.update(task, completed=have, total=size)
            )
            bar.remove_task(task)
            for language in to or [None]:
                jobs.append(client.submit(stored, language, **parameters))
                if not as_json:
                    out.print(f"{jobs[-1].id}  {stored.filename}  {language or kind}", highlight=False, markup=False)
    if as_json:
        print(json.dumps([j.model_dump(mode="json") for j in jobs]))
    else:
        out.print(f"Watch: dubline watch {jobs[0].id}", style="dim")


def _value(text: str) -> Any:
    """Lists and maps as JSON (a glossary); anything else as it stands, since the service reads numbers itself."""
    if text[:1] not in "[{":
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is no JSON.", code="option_invalid", hint='For example -o \'glossary={"house": "casa"}\''
        ) from error


def jobs(
    status: Annotated[str | None, typer.Option(help="Only jobs of this status.")] = None,
    search: Annotated[str | None, typer.Option("--search", help="Part of the file's name.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    page: Annotated[int, typer.Option(min=1, help="Which page of so many.")] = 1,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List jobs, newest first.

    Example: dubline jobs --status processing
    """
    with client_for(url) as client:
        found = client.list(status=status, q=search, limit=limit, page=page)
    if as_json:
        print(json.dumps([j.model_dump(mode="json") for j in found.jobs]))
        return
    has_ready = any(job.estimated_completion for job in found.jobs)
    rows = [("job", "file", "to", "status", "done", *(["ready"] if has_ready else []), "created")]
    for job in found.jobs:
        ready = [(job.estimated_completion or "")[11:19]] if has_ready else []
        created = (job.created_at or "")[5:16].replace("T", " ")
        language = job.target_language or ""
        rows.append((job.id, job.filename, language, job.status, f"{job.progress:.0f} %", *ready, created))
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    # An id is copied to the next command: the name gives way, then the terminal folds the line, never the id.
    room = (out.width if out.is_terminal else _PIPE_WIDTH) - sum(widths) - len(widths) + widths[1] + 1
    widths[1] = min(widths[1], max(room, _LEAST_NAME_WIDTH))
    for row in rows:
        line = Text(style="bold" if row is rows[0] else "")
        for cell, width in zip(map(Text, row), widths, strict=True):
            cell.truncate(width, overflow="ellipsis", pad=True)
            line.append_text(cell).append(" ")
        line.rstrip()
        out.print(line, soft_wrap=True)
    if found.total_count > len(found.jobs):
        more = f"; --page {page + 1} for more" if page * limit < found.total_count else ""
        out.print(f"{len(found.jobs)} of {found.total_count}{more}", style="dim")


def show(job_id: JobId, url: Url = None, as_json: Json = False) -> None:
    """Show a job, its history and what it made.

    Example: dubline show JOB
    """
    with client_for(url) as client:
        job, events = client.get(job_id), client.events(job_id)
        made = client.artifacts(job_id) if job.status == "completed" else ()
    if as_json:
        parts = {"events": events, "artifacts": made}
        rows = {name: [r.model_dump(mode="json") for r in part] for name, part in parts.items()}
        print(json.dumps({**job.model_dump(mode="json"), **rows}))
        return
    out.print(f"{job.filename}  {job.source_language or 'auto'} -> {job.target_language or job.job_type}", markup=False)
    out.print(f"{job.status}  {job.progress:.0f} %  {job.current_step}", markup=False, highlight=False)
    for text in (job.message, (job.error or {}).get("message"), (job.error or {}).get("hint")):
        if text:
            out.print(f"  {text}", markup=False, highlight=False)
    for event in events:
        at = (event.at or "")[11:19]
        out.print(f"  {at}  {event.type:<12} {event.message}", markup=False, highlight=False, style="dim")
    for artifact in made:
        out.print(
            f"  {artifact.name:<26} {artifact.size_bytes:>12,} bytes  {escape(artifact.filename)}", highlight=False
        )


def watch(
    job_id: JobId,
    timeout_s: Annotated[float | None, typer.Option("--timeout", min=0.1, help="Longest wait, in seconds.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Follow a job until it ends. Ctrl-C leaves the job alone.

    Exit status: 0 completed, 1 failed for a passing reason or not ended in time, 2 refused or cancelled, 130 left.

    Example: dubline watch JOB
    """
    from dubline.bar import Bar
    from dubline.errors import WaitTimeout

    try:
        with client_for(url) as client, Bar(None if as_json else err) as bar:
            job = client.wait(
                job_id, timeout_s=timeout_s, changed=lambda now: bar.show(now.progress, now.current_step)
            ).check()
    except WaitTimeout as error:
        error.retryable = True
        raise
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if as_json:
        print(job.model_dump_json())
    else:
        out.print(f"{job.verdict or job.status}  {job.message or ''}", markup=False, highlight=False)
        out.print(f"Fetch: dubline download {job.id}", style="dim")


def cancel(job_id: JobId, url: Url = None, as_json: Json = False) -> None:
    """Cancel a job.

    Example: dubline cancel JOB
    """
    with client_for(url) as client:
        _tell(client.cancel(job_id), as_json)


def retry(job_id: JobId, url: Url = None, as_json: Json = False) -> None:
    """Start a failed or cancelled job again; what it finished is not made again.

    Example: dubline retry JOB
    """
    with client_for(url) as client:
        _tell(client.retry(job_id), as_json)


def download(
    job_id: JobId,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(),
    name: Annotated[
        list[str] | None, typer.Option("--artifact", help="Which ones; default: what `dubline dub` writes. `all`.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Fetch what a job made; a cut download goes on where it stopped, and every file is checked against its hash.

    Example: dubline download JOB --out dubbed
    """
    from dubline.storage.export import EXPORTED, output_folder

    files = {}
    bar = _transfers(as_json)
    with client_for(url) as client, output_folder(folder), bar:
        job, rows = client.get(job_id), client.artifacts(job_id)
        wanted = {r.name for r in rows} if name == ["all"] else set(name or EXPORTED)
        chosen = [r for r in rows if r.name in wanted]
        if not chosen or (name and len(chosen) < len(wanted)):
            missing = ", ".join(sorted(wanted - {r.name for r in rows}))
            raise InputError(
                f"The job made nothing called {missing}.",
                code="artifact_not_found",
                hint=f"It made: {', '.join(r.name for r in rows)}.",
            )
        for row in chosen:
            task = bar.add_task(row.name, total=row.size_bytes)
            target = folder / Path(row.filename).name
            client.fetch(job_id, row, target, lambda have, _all, task=task: bar.update(task, completed=have))
            files[row.name] = str(target)
    if as_json:
        print(json.dumps({"files": files}))
    else:
        for path in files.values():
            out.print(path, markup=False, highlight=False, soft_wrap=True)
    if not job.has_ended:
        note = f"The job works on a newer version; these files are the last finished ones. dubline watch {job_id}"
        err.print(note, markup=False, highlight=False, soft_wrap=True, style="yellow")


def _tell(job: Any, as_json: bool) -> None:
    if as_json:
        print(job.model_dump_json())
    else:
        out.print(f"{job.id}  {job.status}  {job.current_step}", markup=False, highlight=False)


JOB_COMMANDS = (submit, jobs, show, watch, cancel, retry, download)
