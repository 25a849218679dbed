"""The real application, database and store, with runs pretended: these tests prove the facade, not the pipeline."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import make_url

from api.app import create_app
from api.runs import OrchestratorUnavailable, QueueInfo, RunEvent, RunState, TaskInfo, WorkerInfo
from api.service import Service
from dubline.contract import Artifact, JobResult, Progress, TranslateVideoParams, failure_record, manifest_record
from dubline.models import Line, Lines, StageStats, Utterance
from dubline.sample import SHORT_TEXT, make_sample
from dubline.settings import Settings
from dubline.stages.texts import TranslationDocument, TranslationRow
from dubline.storage.local import LocalStore
from dubline.timing.edits import apply_edits
from dubline.timing.segmentation import GUARD_S


class PretendOrchestrator:
    """Keeps runs in memory; a test moves them."""

    page_url = "http://prefect.test"

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.is_away = False
        self.created: list[str] = []
        self.resumed: list[str] = []
        self._events: asyncio.Queue[RunEvent] = asyncio.Queue()

    def _answer(self) -> None:
        if self.is_away:
            raise OrchestratorUnavailable("The workflow engine does not answer.")

    def _state(self, run_id: str) -> RunState:
        return self.runs[run_id]["state"]

    async def create_run(self, *, flow: str, parameters: dict[str, Any], queue: str, key: str, job_id: str) -> RunState:
        self._answer()
        if key not in self.keys:
            run_id = str(uuid.uuid4())
            state = RunState(run_id=run_id, type="SCHEDULED", name="Scheduled", at_s=time.time())
            self.keys[key] = run_id
            self.runs[run_id] = {"state": state, "job": job_id, "queue": queue, "parameters": parameters, "flow": flow}
            self.created.append(job_id)
        return self._state(self.keys[key])

    async def read_runs(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        self._answer()
        return {i: self._state(i) for i in run_ids if i in self.runs}

    async def open_runs(self) -> dict[str, str]:
        self._answer()
        return {i: r["job"] for i, r in self.runs.items() if r["state"].type in ("SCHEDULED", "RUNNING", "PENDING")}

    async def cancel(self, run_id: str) -> None:
        self._answer()
        if run_id in self.runs and self._state(run_id).type in ("SCHEDULED", "RUNNING", "PENDING"):
            self.move(run_id, "CANCELLED" if self._state(run_id).type == "SCHEDULED" else "CANCELLING")

    async def resume(self, run_id: str, reason: str) -> None:
        self.resumed.append(run_id)
        self.move(run_id, "SCHEDULED", "AwaitingRetry")

    async def end(self, run_id: str, kind: str, reason: str) -> None:
        self.move(run_id, kind)

    async def workers(self) -> list[WorkerInfo]:
        self._answer()
        return [WorkerInfo(name="w1", pool="dubline", status="online", heartbeat_s=time.time())]

    async def tasks(self, run_id: str) -> list[TaskInfo]:
        self._answer()
        return [TaskInfo(name="mix_audio-1", state="Cached", started_s=1.0, seconds=0.5)] if run_id in self.runs else []

    async def queues(self) -> list[QueueInfo]:
        return [QueueInfo(name="normal", priority=5, is_paused=False, limit=None)]

    async def check(self) -> None:
        self._answer()

    async def events(self) -> AsyncIterator[RunEvent]:
        while True:
            self._answer()
            yield await self._events.get()

    def move(self, run_id: str, kind: str, name: str = "", at_s: float | None = None) -> None:
        """Bring a run to a state and let the watcher hear of it."""
        state = RunState(run_id=run_id, type=kind, name=name or kind.title(), at_s=at_s or time.time())
        self.runs[run_id]["state"] = state
        self._events.put_nowait(state)

    def progress(self, run_id: str, percentage: float, stage: str = "synthesize", message: str = "Speaking") -> None:
        self._events.put_nowait(
            Progress(
                job_id=self.runs[run_id]["job"],
                stage=stage,
                percentage=percentage,
                message=message,
                at_s=time.time(),
            )
        )


MEDIA_S = 8.0
_SLOT_ENDS_S = (*(2.0 * n - GUARD_S for n in (1, 2, 3)), MEDIA_S)
LINES = tuple(
    Line(
        utterance=Utterance(id=f"u{n}", start_s=2.0 * n, end_s=2.0 * n + 1.5, slot_end_s=_SLOT_ENDS_S[n], text=source),
        text=text,
        candidates=(f"{text[:6]}.",),
    )
    for n, (source, text) in enumerate(
        [
            ("Hello to everybody.", "Hola a todo el mundo."),
            ("This is a test.", "Esto es una prueba."),
            ("It is short.", "Es corta."),
            ("Goodbye then.", "Adiós entonces."),
        ]
    )
)


def natural_s(text: str) -> float:
    """How long the pretended voice takes."""
    return 0.3 + len(text) / 18.0


def _translation(asked: TranslateVideoParams) -> str:
    """The document that a flow leaves: its lines with the edits that it was asked with."""
    rows = [
        TranslationRow(
            id=line.utterance.id,
            start_s=line.utterance.start_s,
            end_s=line.utterance.end_s,
            source=line.utterance.text,
            text=line.text,
            speaker="S1",
            voice=line.voice or "sim_es",
            engine="simulated",
            stretch=1.0,
            flags=line.flags,
            spoken_start_s=line.utterance.start_s,
            spoken_end_s=line.utterance.start_s + natural_s(line.text),
            natural_s=natural_s(line.text),
        )
        for line in apply_edits(LINES, asked.options.edits, media_s=MEDIA_S)
    ]
    return TranslationDocument(source_language="en", target_language="es", rows=tuple(rows)).model_dump_json()


class Harness:
    """A client, and hands on what lies behind it."""

    def __init__(self, client: TestClient, orchestrator: PretendOrchestrator, store: LocalStore, clip: Path) -> None:
        self.client, self.orchestrator, self.store, self.clip = client, orchestrator, store, clip
        self.service: Service = client.app.state.service

    def upload(self, **fields: str) -> dict[str, Any]:
        answer = self.client.post("/api/v1/upload", files={"file": ("talk.mp4", self.clip.read_bytes())}, data=fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def job(self, job_id: str) -> dict[str, Any]:
        return self.client.get(f"/api/v1/jobs/{job_id}").json()

    def until(self, job_id: str, **wanted: Any) -> dict[str, Any]:
        """The job, once its fields are as wanted."""
        deadline_s = time.monotonic() + 15
        while time.monotonic() < deadline_s:
            job = self.job(job_id)
            if all(job[k] == v for k, v in wanted.items()):
                return job
            time.sleep(0.02)
        raise AssertionError(f"wanted {wanted}, got { {k: job[k] for k in wanted} }")

    def run_of(self, job_id: str) -> str:
        """The run that the job was handed over to."""
        deadline_s = time.monotonic() + 15
        while (run_id := self.job(job_id)["flow_run_id"]) is None:
            assert time.monotonic() < deadline_s, "the job was not handed over"
            time.sleep(0.02)
        return run_id

    def soon(self, act: Any, *arguments: Any) -> None:
        """Run something in the application's own loop."""
        self.client.portal.call(act, *arguments)

    def complete(self, job_id: str) -> None:
        """End a job's run as a flow does: result in the store, then the state."""
        run_id = self.run_of(job_id)
        asked = TranslateVideoParams.model_validate(self.orchestrator.runs[run_id]["parameters"])
        artifacts = [
            ("video", "es.mp4", f"{asked.revision}".encode() * 5000, "video/mp4"),
            ("subtitles_target_srt", "es.srt", b"1\n00:00:00,000 --> 00:00:01,000\nHola\n", "application/x-subrip"),
            ("lines_json", "es.lines.json", Lines(rows=LINES).model_dump_json().encode(), "application/json"),
            ("translation_json", "es.translation.json", _translation(asked).encode(), "application/json"),
            ("transcript_txt", "en.txt", b"Hello", "text/plain"),
            ("thumbnail_1", "thumb1.jpg", b"jpg", "image/jpeg"),
        ]
        result = JobResult(
            job_id=job_id,
            source_language="en",
            target_language="es",
            media_s=MEDIA_S,
            revision=asked.revision,
            stats=(
                StageStats(stage="transcribe", seconds=5.0),
                StageStats(stage="synthesize", seconds=8.0, made=4),
                *(StageStats(stage=s, seconds=1.0) for s in ("fit", "mix", "subtitle", "mux", "preview", "report")),
            ),
            verdict="pass",
            message="Fine.",
            artifacts=tuple(
                Artifact(name=n, suffix=s, ref=self.store.put_bytes(data, kind)) for n, s, data, kind in artifacts
            ),
        )
        self.store.put_record(manifest_record(job_id), result.model_dump_json().encode())
        self.soon(self.orchestrator.move, run_id, "COMPLETED")

    def fail(self, job_id: str, code: str = "media_unreadable", *, is_retryable: bool = False) -> None:
        error = {"code": code, "message": "It is broken.", "hint": "", "retryable": is_retryable, "details": {}}
        self.store.put_record(failure_record(job_id), json.dumps(error).encode())
        self.soon(self.orchestrator.move, self.run_of(job_id), "FAILED")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    make_sample(folder / "talk.mp4", settings_for(folder), text=SHORT_TEXT, engine="espeak")
    return folder / "talk.mp4"


def settings_for(home: Path, **values: Any) -> Settings:
    return Settings(
        dubline_home=home,
        simulated_engines=True,
        queue_poll_interval=0.05,
        _env_file=None,
        **values,
    )


@pytest.fixture
def postgres_database(postgres_url: str) -> str:
    """The address of an empty database of its own."""
    name = f"api{uuid.uuid4().hex[:12]}"

    async def create() -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def harness(request: pytest.FixtureRequest, tmp_path: Path, clip: Path) -> Iterator[Harness]:
    url = request.getfixturevalue("postgres_database") if request.param == "postgresql" else ""
    settings = settings_for(tmp_path / "home", database_url=url)
    store, orchestrator = LocalStore(settings.artifacts_dir), PretendOrchestrator()
    with TestClient(create_app(settings, store, orchestrator), raise_server_exceptions=False) as client:
        yield Harness(client, orchestrator, store, clip)
