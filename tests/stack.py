"""The whole stack as its own processes, and the means to kill any of them. Engines are simulated."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from deployments.flow_process import process_name
from dubline.sample import make_sample
from dubline.settings import Settings

ROLES = ("flow", "worker", "api", "prefect", "engines")
STAGES = (
    "ingest",
    "extract",
    "transcribe",
    "segment",
    "translate",
    "synthesize",
    "fit",
    "mix",
    "subtitle",
    "mux",
    "preview",
    "report",
    "publish",
)
_READY_S = 90.0


class Stack:
    """A running `dubline up` with its own state folder."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self._made = 0
        self.log = home / "spoken.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        environment |= {
            "DUBLINE_HOME": str(home),
            "SIMULATED_ENGINES": "true",
            "SIMULATED_DELAY_S": "0.1",
            "SIMULATED_LOG": str(self.log),
            "QUEUE_POLL_INTERVAL": "0.2",
            "PORT": "0",
            **variables,
        }
        home.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen([sys.executable, "-m", "deployments.up"], env=environment)
        self.wait_ready()

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.home / "run" / "stack.json").read_text())

    @property
    def url(self) -> str:
        return str(self.state["urls"]["api"])

    def wait_ready(self) -> None:
        """Until every part answers."""
        deadline_s = time.monotonic() + _READY_S
        while time.monotonic() < deadline_s:
            with contextlib.suppress(httpx.HTTPError, FileNotFoundError, KeyError, json.JSONDecodeError):
                health = httpx.get(f"{self.url}/health", timeout=5).json()
                workers = httpx.get(f"{self.url}/api/v1/workers", timeout=5).json()
                good = health["status"] == "healthy" and health["ai_service_factory"]["status"] == "healthy"
                if good and any(w["status"] == "online" for w in workers["workers"]):
                    return
            time.sleep(0.2)
        raise AssertionError("the stack did not become ready")

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request that waits for an API that is being restarted."""
        deadline_s = time.monotonic() + _READY_S
        while True:
            try:
                answer = httpx.request(method, f"{self.url}{path}", timeout=20, **options)
                if answer.status_code != 503:
                    return answer
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline_s, f"{method} {path} got no answer"
            time.sleep(0.1)

    def new_clip(self) -> Path:
        """A clip with words that no other one has."""
        self._made += 1
        clip = self.home / f"talk{self._made}.mp4"
        text = (f"This is clip number {self._made}, made by itself.", "It speaks two sentences and is done.")
        settings = Settings(dubline_home=self.home, _env_file=None)
        make_sample(clip, settings, text=text, engine="espeak")
        return clip

    def new_talk(self) -> Path:
        """A clip of two minutes and a half."""
        self._made += 1
        talk = self.home / f"talk{self._made}.mp4"
        text = tuple(
            f"This is sentence number {n} of the long talk number {self._made}, made here." for n in range(1, 41)
        )
        settings = Settings(dubline_home=self.home, _env_file=None)
        make_sample(talk, settings, text=text, engine="espeak")
        return talk

    def submit(self) -> str:
        """A job over content, and with words, that no other job has."""
        mark = uuid.uuid4().hex
        clip = self.new_clip()
        answer = self.call(
            "POST",
            "/api/v1/upload",
            files={"file": (f"{mark[:6]}.mp4", clip.read_bytes())},
            headers={"Idempotency-Key": mark},
        )
        assert answer.status_code == 201, answer.text
        request = {
            "file_id": answer.json()["file_id"],
            "source_language": "en",
            "target_language": "es",
            "glossary": {"one": f"uno{mark[:8]}", "makes": f"hace{mark[:8]}"},
        }
        made = self.call("POST", "/api/v1/jobs", json=request, headers={"Idempotency-Key": f"job-{mark}"})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.call("GET", f"/api/v1/jobs/{job_id}").json()

    def records(self, stage: str) -> int:
        """How many results of a stage there are: one more means that a stage has just ended."""
        return sum(1 for p in (self.home / "results" / stage).rglob("*") if p.is_file() and p.name[0] != ".")

    def at_boundary(self, stage: str, before: int, job_id: str) -> None:
        """Wait for a stage's next result, or for the end of a job that was too quick to be caught."""
        deadline_s = time.monotonic() + 120
        while self.records(stage) <= before:
            if stage != "ingest" and time.monotonic() > deadline_s:
                raise AssertionError(f"{stage} was not reached: {self.job(job_id)['current_step']}")
            time.sleep(0.003)

    def kill(self, role: str, job_id: str) -> None:
        """SIGKILL to one part; a job's own process when the role is `flow`, the one that has no job yet: `waiting`."""
        if role in ("flow", "waiting"):
            pid = self.flow_pid(job_id if role == "flow" else None)
        else:
            pid = self.state["pids"][role]
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def flow_pid(self, job_id: str | None) -> int | None:
        """The process of a job's run, or the one that waits for a run."""
        run_id = self.job(job_id)["flow_run_id"] if job_id else None
        if job_id and not run_id:
            return None
        try:
            children = psutil.Process(self.state["pids"]["worker"]).children(recursive=True)
        except psutil.NoSuchProcess:  # killed just now
            return None
        for process in children:
            with contextlib.suppress(psutil.Error):
                is_named = process.name().startswith("run-")
                if (process.name() == process_name(run_id)) if run_id else not is_named:
                    return process.pid
        return None

    def wait(self, job_ids: list[str], within_s: float) -> dict[str, dict[str, Any]]:
        """The jobs once all have ended."""
        deadline_s = time.monotonic() + within_s
        rows: dict[str, dict[str, Any]] = {}
        while True:
            for job_id in job_ids:
                if job_id not in rows:
                    job = self.job(job_id)
                    if job["status"] in ("completed", "failed", "cancelled"):
                        rows[job_id] = job
            if len(rows) == len(job_ids):
                return rows
            left = [self.job(j) for j in job_ids if j not in rows]
            assert time.monotonic() < deadline_s, [(j["id"], j["status"], j["current_step"]) for j in left]
            time.sleep(0.5)

    def spoken(self) -> Counter[str]:
        """Every text that the voice has spoken, with how often."""
        return Counter(self.log.read_text().splitlines()) if self.log.exists() else Counter()

    def check_whole(self, job_ids: list[str]) -> None:
        """No half-visible artifact, no duplicate: each is there once, with the content that its hash promises."""
        for job_id in job_ids:
            rows = self.call("GET", f"/api/v1/jobs/{job_id}/artifacts").json()["artifacts"]
            names = [r["name"] for r in rows]
            assert len(names) == len(set(names))
            assert {"video", "report", "subtitles_target_srt", "subtitles_target_vtt"} <= set(names)
            for row in rows:
                head = self.call("HEAD", f"/api/v1/jobs/{job_id}/artifacts/{row['name']}")
                assert head.status_code == 200, (row["name"], head.status_code)
            events = self.call("GET", f"/api/v1/jobs/{job_id}/events").json()["events"]
            assert [e["status"] for e in events].count("completed") == 1

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
