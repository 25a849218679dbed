"""The whole command with the real engines on real clips: what a user gets, again, and after being killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pysubs2
import pytest

from dubline.heap import ONE_HEAP
from dubline.media.ffmpeg import ffmpeg_path
from dubline.media.mux import stream_hash
from dubline.media.probe import probe
from dubline.settings import Settings, get_settings

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]
CLIP = "video/real_barcelona_10s.mp4"


@pytest.fixture(scope="module")
def home(new_home: Callable[[], Path]) -> Path:
    """A state folder of our own that shares the prepared weights."""
    folder = new_home()
    weights = get_settings().weights_dir
    if weights.is_dir():
        (folder / "models").symlink_to(weights)
    return folder


def _start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dubline", "dub", "--direct", *arguments, "--json"],
        env={**os.environ, "DUBLINE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _dub(home: Path, *arguments: str) -> dict[str, Any]:
    with _start(home, *arguments) as child:
        stdout, stderr = child.communicate(timeout=500)
    assert child.returncode == 0, stdout + stderr
    return json.loads(stdout)


@pytest.fixture(scope="module")
def clip(media_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("in") / "talk.mp4"
    shutil.copy(media_dir / CLIP, copy)
    return copy


@pytest.fixture(scope="module")
def speech(media_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of somebody who goes on speaking: there is time to end it in the middle."""
    cut = tmp_path_factory.mktemp("in") / "speech.mp4"
    source = media_dir / "video/real_manifesto_88s.mp4"
    subprocess.run([ffmpeg_path(), "-v", "error", "-i", source, "-t", "30", "-c", "copy", cut], check=True)
    return cut


@pytest.fixture(scope="module")
def first(home: Path, clip: Path) -> dict[str, Any]:
    return _dub(home, str(clip), "--to", "pt-BR", "--from", "en")


def _report(answer: dict[str, Any]) -> dict[str, Any]:
    return json.loads(Path(answer["files"]["report"]).read_text())


def test_the_results_lie_beside_the_video(first: dict[str, Any], clip: Path) -> None:
    names = {p.name for p in clip.parent.iterdir()}
    assert names == {
        "talk.mp4",
        "talk.pt-BR.mp4",
        "talk.pt-BR.srt",
        "talk.pt-BR.vtt",
        "talk.en.srt",
        "talk.en.vtt",
        "talk.pt-BR.bilingual.srt",
        "talk.pt-BR.report.json",
    }
    for name in ("talk.pt-BR.srt", "talk.pt-BR.vtt", "talk.en.srt", "talk.en.vtt", "talk.pt-BR.bilingual.srt"):
        assert len(pysubs2.load(str(clip.parent / name))) > 0


def test_the_picture_is_untouched_and_the_length_is_the_same(first: dict[str, Any], clip: Path) -> None:
    dubbed = Path(first["files"]["video"])
    assert stream_hash(clip, "video") == stream_hash(dubbed, "video")
    before, after = probe(clip, Settings()), probe(dubbed, Settings())
    assert after.duration_s == pytest.approx(before.duration_s, abs=1.0 / (before.video.fps if before.video else 25))
    assert [t.language for t in after.audio] == ["por"]
    assert {s.language for s in after.streams if s.kind == "subtitle"} == {"por", "eng"}


def test_a_low_voice_dubs_a_low_speaker_though_nobody_asked_for_speakers(first: dict[str, Any]) -> None:
    report = _report(first)
    assert [e["voice"] for e in report["provenance"]["engines"] if e["kind"] == "tts"] == ["pm_alex"]
    assert "by the pitch of the speech, 11" in report["speakers"]["reason"]


def test_the_report_is_measured_and_not_a_failure(first: dict[str, Any]) -> None:
    report = _report(first)
    assert report["verdict"] in {"pass", "review"}
    assert report["timing"]["overlap_s"] == 0
    assert report["voice"]["wer"] < 0.35


def test_again_is_all_cached_and_makes_the_same(home: Path, clip: Path, first: dict[str, Any]) -> None:
    again = _dub(home, str(clip), "--to", "pt-BR", "--from", "en")
    assert again["run"]["cached_task_runs"] == again["run"]["task_runs"] > 10
    assert again["run"]["busy_s"].get("tts:kokoro", 0) == 0


def test_a_second_language_starts_at_translation(home: Path, clip: Path, first: dict[str, Any], tmp_path: Path) -> None:
    answer = _dub(
        home, str(clip), "--to", "es", "--from", "en", "--mt", "simulated", "--listen", "off", "--out", str(tmp_path)
    )
    assert answer["run"]["busy_s"].get("stt:faster-whisper", 0) == 0
    assert answer["run"]["cached_task_runs"] >= 6
    assert (tmp_path / "talk.es.mp4").exists()


@dataclass(frozen=True)
class Resumed:
    """A dub whose flow process was killed in the middle of synthesis, and that was asked for again."""

    home: Path
    arguments: tuple[str, ...]
    answer: dict[str, Any]
    spoken_before: dict[str, int]
    spoken_after: dict[str, int]
    left_when_killed: bool

    @property
    def lines(self) -> list[dict[str, Any]]:
        return _report(self.answer)["timing"]["lines"]


@pytest.fixture(scope="module")
def resumed(home: Path, speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Resumed:
    folder = tmp_path_factory.mktemp("killed")
    home_of_its_own = folder / "home"
    home_of_its_own.mkdir()
    (home_of_its_own / "models").symlink_to((home / "models").resolve())
    records = home_of_its_own / "artifacts" / "records" / "utterances"

    def spoken() -> dict[str, int]:
        return {p.name: p.stat().st_mtime_ns for p in records.glob("*.json")}

    out = folder / "out"
    arguments = (str(speech), "--to", "pt-BR", "--from", "en", "--listen", "off", "--out", str(out))
    with _start(home_of_its_own, *arguments) as child:
        deadline_s = time.monotonic() + 200
        while len(spoken()) < 3:
            assert time.monotonic() < deadline_s
            assert child.poll() is None, child.communicate()
            time.sleep(0.05)
        for pid in _children(child.pid):
            assert ONE_HEAP.items() <= psutil.Process(pid).environ().items()
            os.kill(pid, signal.SIGKILL)
        child.communicate(timeout=30)
    assert child.returncode != 0
    before, left = spoken(), out.exists()
    return Resumed(home_of_its_own, arguments, _dub(home_of_its_own, *arguments), before, spoken(), left)


def test_killed_while_speaking_it_takes_up_where_it_stopped(resumed: Resumed) -> None:
    """Kill -9 of the flow's process: finished lines are not spoken again, nothing half-made is left."""
    assert not resumed.left_when_killed
    stats = [s for s in _report(resumed.answer)["provenance"]["stages"] if s["stage"] == "synthesize"]
    # A batch that had ended counts what it made before the kill, so the proof is in the lines' own files.
    assert sum(s["made"] + s["reused"] for s in stats) == len(resumed.lines) == len(resumed.spoken_after)
    assert {k: resumed.spoken_after[k] for k in resumed.spoken_before} == resumed.spoken_before
    assert len(resumed.spoken_before) < len(resumed.lines)
    assert resumed.answer["run"]["busy_s"].get("stt:faster-whisper", 0) == 0


def test_an_edit_runs_only_what_it_changes(resumed: Resumed) -> None:
    """One line is spoken; what is known from the render before, the other lines too, spends no task runs."""
    lines = resumed.lines
    assert len(lines) > 3
    answer = _dub(resumed.home, *resumed.arguments, "--edit", f"{lines[2]['utterance_id']}=Olá a todos.")
    assert answer["run"]["cached_task_runs"] == 0
    # Apply, speak, fit, mix, subtitles, translation, judgement, mux, sound of the clip, report, publish.
    assert answer["run"]["task_runs"] == 11
    stats = [s for s in _report(answer)["provenance"]["stages"] if s["stage"] == "synthesize"]
    assert [s["made"] for s in stats] == [1, 0]
    assert [s["seconds"] for s in stats if s["reused"] == len(lines) - 1] == [0]
    assert "Olá a todos." in Path(answer["files"]["subtitles_target_srt"]).read_text()
    assert answer["run"]["busy_s"].get("stt:faster-whisper", 0) == 0


def _children(pid: int) -> list[int]:
    return [c.pid for c in psutil.Process(pid).children(recursive=True) if "deployments.local" in " ".join(c.cmdline())]


@pytest.mark.parametrize("way", [(), ("--direct",)])
def test_a_folder_that_cannot_hold_the_results_is_refused_before_any_work(
    home: Path, speech: Path, way: tuple[str, ...]
) -> None:
    began_s = time.monotonic()
    words = [sys.executable, "-m", "dubline", "dub", str(speech), "--to", "es", "-o", "/proc/nowhere", "--json", *way]
    done = subprocess.run(words, env={**os.environ, "DUBLINE_HOME": str(home)}, capture_output=True, text=True)
    assert json.loads(done.stdout)["error"]["code"] == "output_folder", done.stderr
    assert done.returncode != 0
    assert not (home / "run" / "stack.json").exists(), "no service was started for it"
    assert time.monotonic() - began_s < 60


def test_ctrl_c_cancels_cleanly(home: Path, speech: Path, tmp_path: Path) -> None:
    arguments = (str(speech), "--to", "pt-BR", "--from", "en", "--voice", "pm_alex", "--out", str(tmp_path / "out"))
    records = home / "artifacts" / "records" / "utterances"
    before = len(list(records.glob("*.json")))
    with _start(home, *arguments) as child:
        deadline_s = time.monotonic() + 200
        while len(list(records.glob("*.json"))) < before + 1:
            assert time.monotonic() < deadline_s
            assert child.poll() is None, child.communicate()
            time.sleep(0.05)
        children = _children(child.pid)
        child.send_signal(signal.SIGINT)
        began_s = time.monotonic()
        stdout, _ = child.communicate(timeout=30)
    assert time.monotonic() - began_s < 15
    assert child.returncode == 130
    assert json.loads(stdout)["error"]["code"] == "cancelled"
    assert not any(Path(f"/proc/{p}").exists() for p in children)
    assert not (tmp_path / "out").exists()
    assert list((home / "work").glob("*")) == []
