"""One dub through the service: hand the video over, watch, fetch what was made."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from dubline.bar import Bar
from dubline.client import Client, Job
from dubline.door import check_dub
from dubline.errors import ApiError, ClientError
from dubline.models import DubOptions
from dubline.settings import get_settings
from dubline.stack import local_service, require_project
from dubline.storage.export import EXPORTED, check_folder, output_folder, place, target_of, with_run

_CANCEL_S = 30.0
CANCELLED = {
    "code": "cancelled",
    "message": "The dub was cancelled.",
    "hint": "Run it again to take up where it stopped.",
}


def run_dub(
    video: Path, folder: Path, options: DubOptions, *, url: str | None, console: Console | None
) -> tuple[int, dict[str, Any]]:
    """Run one dub. Returns the exit status and what to show (`files`, `verdict`, `message`, `run`, or `error`).

    Args:
        video: The source.
        folder: Where the results go.
        options: What is asked.
        url: A service; None for the one on this machine's state folder, which is started when it does not run.
        console: Where progress is shown.

    Raises:
        DublineError: the dub is refused or has failed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began_s = time.monotonic()
    with Bar(console) as bar:
        if url is None:
            require_project()
            settings = get_settings()
            check_dub(video, options, settings)
            check_folder(folder)
            url = local_service(settings, told=lambda text: bar.show(None, text))
        else:
            check_folder(folder)
        with Client(url) as client:
            job: Job | None = None
            try:
                bar.show(None, "Handing over the video")
                stored = client.upload(
                    video, told=lambda have, size: bar.show(None, f"Handing over the video, {100 * have // size} %")
                )
                job = client.submit(stored, **_parameters(options))
                ended = client.wait(job.id, changed=lambda now: bar.show(_shown(now), now.current_step)).check()
                bar.show(None, "Fetching the results")
                answer = _fetch(client, ended, video, folder, began_s)
            except KeyboardInterrupt:
                if job is not None:
                    bar.show(None, "Cancelling")
                    _cancel(client, job.id)
                return 130, {"error": CANCELLED}
    return 0, answer


def _parameters(options: DubOptions) -> dict[str, Any]:
    """The options as parameters of the job API; what was not asked is left to the service."""
    usual = DubOptions(target_language=options.target_language).model_dump(mode="json")
    asked = {k: v for k, v in options.model_dump(mode="json").items() if v != usual[k]}
    return {"target_language": options.target_language, "stt_model": options.stt_model, **asked}


def _shown(job: Job) -> float | None:
    """A queued job has no progress yet: the bar's clock starts with the work."""
    return job.progress if job.status in ("processing", "completed") else None


def _fetch(client: Client, job: Job, video: Path, folder: Path, began_s: float) -> dict[str, Any]:
    files: dict[str, str] = {}
    run: dict[str, Any] = {"job_id": job.id, **_task_counts(client, job.id)}
    with output_folder(folder):
        for artifact in client.artifacts(job.id):
            if artifact.name not in EXPORTED:
                continue
            target = target_of(folder, video, artifact.suffix)
            client.fetch(job.id, artifact, target)
            target.chmod(0o644)
            files[artifact.name] = str(target)
        run["wall_s"] = round(time.monotonic() - began_s, 3)
        report = Path(files["report"])
        place(with_run(report.read_bytes(), run), report)
    return {"files": files, "verdict": job.verdict, "message": job.message or "", "run": run}


def _task_counts(client: Client, job_id: str) -> dict[str, int]:
    try:
        tasks = client.request("GET", f"/api/v1/jobs/{job_id}/tasks")
    except ApiError as error:
        if not error.retryable:
            raise
        return {}  # Prefect is away for a moment; the dub is whole without its statistics
    return {"task_runs": tasks["total_count"], "cached_task_runs": tasks["cached_count"]}


def _cancel(client: Client, job_id: str) -> None:
    """Ask for the end and wait a little for it. A service that went away meanwhile ends the job by itself."""
    try:
        client.cancel(job_id)
        client.wait(job_id, timeout_s=_CANCEL_S)
    except (ClientError, KeyboardInterrupt):
        return
