"""`dubline dub` as a job of the service that it starts by itself, with the real engines on a real clip."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deployments.lingering import stop_when_unused
from dubline.media.probe import probe
from dubline.settings import Settings, get_settings

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def home(new_home: Callable[[], Path]) -> Iterator[Path]:
    """A state folder of our own that shares the prepared weights; the service that was started on it is ended."""
    folder = new_home()
    weights = get_settings().weights_dir
    if weights.is_dir():
        (folder / "models").symlink_to(weights)
    yield folder
    state = folder / "run" / "stack.json"
    if state.exists():
        pid = json.loads(state.read_text())["pids"]["supervisor"]
        os.kill(pid, signal.SIGTERM)
        _until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 40)


@pytest.fixture(scope="module")
def clip(media_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("in") / "a talk; 'quoted'.mp4"
    shutil.copy(media_dir / "video/real_barcelona_10s.mp4", copy)
    return copy


def _until(true: Any, within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def _start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k != "DUBLINE_URL"}
    return subprocess.Popen(
        [sys.executable, "-m", "dubline", "dub", *arguments, "--json"],
        env={**environment, "DUBLINE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _dub(home: Path, *arguments: str) -> dict[str, Any]:
    with _start(home, *arguments) as child:
        stdout, stderr = child.communicate(timeout=500)
    assert child.returncode == 0, stdout + stderr
    return json.loads(stdout)


def _api(home: Path, path: str) -> dict[str, Any]:
    url = json.loads((home / "run" / "stack.json").read_text())["urls"]["api"]
    return httpx.get(f"{url}{path}", timeout=30).json()


def _is_working(home: Path) -> bool:
    if not (home / "run" / "stack.json").exists():  # the command starts the service first
        return False
    newest = _api(home, "/api/v1/jobs")["jobs"][:1]
    return any(job["status"] == "processing" and job["progress"] > 1 for job in newest)


def test_a_dub_is_a_job_whose_results_lie_beside_the_video(home: Path, clip: Path) -> None:
    answer = _dub(home, str(clip), "--to", "pt-BR", "--from", "en")
    names = {p.name.removeprefix(clip.stem) for p in clip.parent.iterdir()}
    assert names == {
        ".mp4",
        ".pt-BR.mp4",
        ".pt-BR.srt",
        ".pt-BR.vtt",
        ".en.srt",
        ".en.vtt",
        ".pt-BR.bilingual.srt",
        ".pt-BR.report.json",
    }
    settings = Settings(dubline_home=home, _env_file=None)
    assert probe(Path(answer["files"]["video"]), settings).duration_s == pytest.approx(
        probe(clip, settings).duration_s, abs=0.05
    )
    report = json.loads(Path(answer["files"]["report"]).read_text())
    assert report["run"] == answer["run"]
    (job,) = _api(home, "/api/v1/jobs")["jobs"]
    assert (job["id"], job["status"], job["filename"]) == (answer["run"]["job_id"], "completed", clip.name)
    again = _dub(home, str(clip), "--to", "pt-BR", "--from", "en")["run"]
    # The manifest is the job's own; everything else is taken from the first one.
    assert again["task_runs"] - again["cached_task_runs"] <= 1
    assert again["wall_s"] < 20


def test_ctrl_c_cancels_the_job(home: Path, media_dir: Path) -> None:
    video = media_dir / "video/real_manifesto_88s.mp4"  # not done before it is cancelled
    child = _start(home, str(video), "--to", "pt-BR", "--from", "en", "--voice", "pm_santa")
    _until(lambda: _is_working(home), 60)
    child.send_signal(signal.SIGINT)
    stdout, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert json.loads(stdout)["error"]["code"] == "cancelled"
    assert _api(home, "/api/v1/jobs")["jobs"][0]["status"] == "cancelled"


@pytest.mark.slow
def test_the_job_outlives_its_command(home: Path, media_dir: Path) -> None:
    long = media_dir / "video/real_manifesto_88s.mp4"  # long enough to be seen at work
    child = _start(home, str(long), "--to", "pt-BR", "--from", "en", "--voice", "pm_alex")
    _until(lambda: _is_working(home), 60)
    child.kill()
    child.communicate()
    job_id = _api(home, "/api/v1/jobs")["jobs"][0]["id"]
    _until(lambda: _api(home, f"/api/v1/jobs/{job_id}")["status"] == "completed", 300)


def test_a_refused_file_starts_nothing(tmp_path: Path) -> None:
    bad = tmp_path / "not.mp4"
    bad.write_bytes(b"\0" * 1000)
    home = tmp_path / "home"
    child = _start(home, str(bad), "--to", "pt-BR")
    stdout, _ = child.communicate(timeout=60)
    assert child.returncode == 2
    assert json.loads(stdout)["error"]["code"]
    assert not (home / "run").exists()


def test_an_unused_service_ends_and_a_used_one_stays(tmp_path: Path) -> None:
    state = tmp_path / "stack.json"
    state.write_text(json.dumps({"urls": {"api": "http://127.0.0.1:9"}, "pids": {}}))
    stopped: list[float] = []
    stop_when_unused(state, 0.5, lambda: stopped.append(time.monotonic()))
    time.sleep(2)
    assert not stopped  # nobody can say that it has no job: it stays
