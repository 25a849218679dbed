"""One dub in this process, against a local Prefect server: what `dubline dub` starts.

Reads one JSON request from standard input and writes JSON lines: `stage` and `progress` messages, then `done` or
`error`. Prefect is imported late, after the environment is set and the input was found fit.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import importlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote_to_bytes

from deployments.prefect_env import enter
from deployments.prefect_server import ServerHandle, use_server
from dubline import ledger
from dubline.cancel import STOP
from dubline.contract import JobResult, Progress, TranslateVideoParams, manifest_record
from dubline.door import check_dub
from dubline.errors import Cancelled, DublineError, EngineError
from dubline.models import DubOptions, Frozen
from dubline.settings import Settings, get_settings
from dubline.storage.export import check_folder, export
from dubline.storage.open import open_store

EXIT_FAILED, EXIT_REFUSED, EXIT_CANCELLED = 1, 2, 130
FLOW = "flows.translate_video.translate_video"
_GRACE_S, _TELL_S = 6.0, 3.0


class LocalRequest(Frozen):
    """What the command line asks for. Paths are absolute, percent-encoded as in a `file://` URI."""

    source: str
    out: str
    options: DubOptions
    refresh: bool = False

    @property
    def source_path(self) -> Path:
        return Path(os.fsdecode(unquote_to_bytes(self.source)))

    @property
    def out_path(self) -> Path:
        return Path(os.fsdecode(unquote_to_bytes(self.out)))


class _Wire:
    """JSON lines to the parent; a parent that went away is no error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, event: str, **values: Any) -> None:
        with self._lock:
            try:
                self._stream.write(json.dumps({"event": event, **values}) + "\n")
                self._stream.flush()
            except BrokenPipeError:
                STOP.set()


def main() -> int:
    """Run one request; the exit status says refused (2), failed (1), cancelled (130) or done (0)."""
    wire = _Wire(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)  # nothing but messages on the wire, whatever a library prints
    began_s = time.time()
    try:
        request = LocalRequest.model_validate_json(sys.stdin.buffer.read())
        settings = get_settings()
        os.umask(0o077)
        _sweep(settings)
        with use_server(settings) as server:  # the slowest to start; where the input is refused, it soon ends by itself
            check_dub(request.source_path, request.options, settings)
            check_folder(request.out_path)
            result, run = _run(request, settings, server, wire)
            files = _export(request, settings, result, run)
        wire.send("done", files=files, verdict=result.verdict, message=result.message, run=run)
        return 0
    except Cancelled as error:
        wire.send("error", error=error.to_dict())
        return EXIT_CANCELLED
    except DublineError as error:
        wire.send("error", error=error.to_dict(), seconds=round(time.time() - began_s, 2))
        return EXIT_FAILED if error.retryable else EXIT_REFUSED


def _sweep(settings: Settings) -> None:
    from dubline.storage.local import sweep_temporaries
    from dubline.storage.work import sweep_work

    sweep_temporaries(settings.artifacts_dir)
    sweep_work(settings.work_dir)


def _run(
    request: LocalRequest, settings: Settings, server: ServerHandle, wire: _Wire
) -> tuple[JobResult, dict[str, Any]]:
    job_id = _job_id(request)
    is_known = not request.refresh and open_store(settings).get_record(manifest_record(job_id)) is not None
    loading = _Preload(request.options, settings)
    loading.start()
    try:
        return _run_beside(loading, job_id, request, settings, server, wire, is_known=is_known)
    finally:
        loading.end()


def _run_beside(
    loading: _Preload,
    job_id: str,
    request: LocalRequest,
    settings: Settings,
    server: ServerHandle,
    wire: _Wire,
    *,
    is_known: bool,
) -> tuple[JobResult, dict[str, Any]]:
    wire.send("stage", message="Starting Prefect")
    enter(settings, server.url)
    # All that takes its time to import, while the server starts.
    gc.disable()  # what is imported stays, and is not looked through again and again
    for name in ("prefect.flow_engine", "prefect.task_engine"):
        importlib.import_module(name)
    from prefect import tags
    from prefect.flows import load_flow_from_entrypoint

    from tasks._progress import TRACKER
    from tasks.result_store import save_block

    flow = load_flow_from_entrypoint(FLOW, use_placeholder_flow=False)
    gc.freeze()
    gc.enable()
    if not is_known:
        loading.go_on()  # not before: all that starts at once slows the others down
    server.wait()
    save_block(settings)

    def told(progress: Progress) -> None:
        loading.go_on()
        wire.send("progress", **progress.model_dump(mode="json"))

    TRACKER.listen(told)
    params = TranslateVideoParams(
        job_id=job_id,
        source_uri=f"file://{request.source}",
        options=request.options,
        refresh=request.refresh,
    )
    _stop_on_signals(params.job_id)
    _mark_lost_runs()
    began_s = time.time()
    with tags("local", f"pid-{os.getpid()}", f"job-{params.job_id}"):
        try:
            result = asyncio.run(flow(params))
        except (KeyboardInterrupt, asyncio.CancelledError) as error:
            raise Cancelled("The dub was cancelled.", hint="Run it again to take up where it stopped.") from error
        finally:
            if STOP.is_set():
                _mark_cancelled(params.job_id)
    rows = ledger.intervals()
    run = {
        "wall_s": round(time.time() - began_s, 3),
        "engines_and_ffmpeg_s": round(ledger.union_s(rows), 3),
        "busy_s": ledger.total_s(rows),
        **_task_counts(),
    }
    return result, run


def _job_id(request: LocalRequest) -> str:
    """The same video with the same options is the same job: its manifest, too, is found again."""
    with request.source_path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(f"{content}{request.options.model_dump_json()}".encode()).hexdigest()[:32]


class _Preload(threading.Thread):
    """Loads the recogniser and the voice while Prefect starts.

    First the recogniser; the voice when it is told to go on. A dub that was done before may be all cached and need no
    voice: then that is when the flow has found something to do. The process must not end while a library loads: it
    would be aborted.
    """

    def __init__(self, options: DubOptions, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._options, self._settings = options, settings
        self._goes_on, self._is_over = threading.Event(), False

    def go_on(self) -> None:
        """Load what is left, too."""
        self._goes_on.set()

    def end(self) -> None:
        """Nothing more is loaded; what is being loaded is waited for."""
        self._is_over = True
        self._goes_on.set()
        self.join()

    def run(self) -> None:
        """A failure shows again, in words, when the stage needs the engine."""
        from dubline.engines.pool import preload
        from dubline.engines.registry import choose_stt, choose_tts
        from dubline.media.ffmpeg import ffmpeg_path

        asked, settings = self._options, self._settings
        try:
            ffmpeg_path()
            preload(
                choose_stt(settings, engine=asked.stt_engine, model=asked.stt_model, language=asked.source_language),
                settings,
            )
            self._goes_on.wait()
            if self._is_over:
                return
            preload(
                choose_tts(settings, engine=asked.tts_engine, language=asked.target_language, voice=asked.tts_voice),
                settings,
            )
        except EngineError:
            return


def _stop_on_signals(job_id: str) -> None:
    """First signal: stop flags, and a short grace for calls that poll them; then the process ends by itself."""

    def end() -> None:
        time.sleep(_GRACE_S)
        telling = threading.Thread(target=_mark_cancelled, args=(job_id,), daemon=True)
        telling.start()
        telling.join(_TELL_S)  # a server that is busy or away delays nobody's Ctrl-C
        os._exit(EXIT_CANCELLED)

    def stop(_number: int, _frame: object) -> None:
        if not STOP.is_set():
            STOP.set()
            threading.Thread(target=end, daemon=True).start()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _mark_cancelled(job_id: str) -> None:
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
    from prefect.states import Cancelled as CancelledState

    mine = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"job-{job_id}"]))
    try:
        with get_client(sync_client=True) as client:
            for run in client.read_flow_runs(flow_run_filter=mine):
                if run.state is None or not run.state.is_cancelled():
                    client.set_flow_run_state(run.id, CancelledState(message="Cancelled by the user."), force=True)
    except httpx.HTTPError as error:
        # The dub is cancelled all the same; the next one marks the run as lost.
        print(f"Prefect was not told of the cancellation: {type(error).__name__}", file=sys.stderr)


def _mark_lost_runs() -> None:
    """Runs whose process was killed stay Running in Prefect's eyes; say what happened to them."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        FlowRunFilterTags,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    running = FlowRunFilter(
        tags=FlowRunFilterTags(all_=["local"]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])),
    )
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=running):
            pid = next((t.removeprefix("pid-") for t in run.tags if t.startswith("pid-")), "")
            if pid and not Path(f"/proc/{pid}").exists():
                client.set_flow_run_state(run.id, Crashed(message="The process was killed."), force=True)


def _task_counts() -> dict[str, int]:
    """Task runs of this run, and how many of them were Cached, from the states the flow saw."""
    from tasks._run import OUTCOMES

    return {"task_runs": OUTCOMES.total, "cached_task_runs": OUTCOMES.cached}


def _export(request: LocalRequest, settings: Settings, result: JobResult, run: dict[str, Any]) -> dict[str, str]:
    return export(result, run, open_store(settings), request.out_path, request.source_path)


if __name__ == "__main__":
    sys.exit(main())
