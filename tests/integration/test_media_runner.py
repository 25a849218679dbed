"""The child that ffmpeg is: it ends in time, on request, with its parent, and says why it failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from dubline import ledger
from dubline.cancel import StopToken
from dubline.errors import Cancelled, MediaError, StorageFull
from dubline.media.runner import run_ffmpeg

_ENDLESS = ["-re", "-f", "lavfi", "-i", "anullsrc", "-f", "null", "-"]


def _children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]


def test_an_endless_input_ends_at_the_deadline(tmp_path: Path) -> None:
    before, start_s = _children(), time.monotonic()
    with pytest.raises(MediaError) as caught:
        run_ffmpeg(_ENDLESS, deadline_s=1.0, cwd=tmp_path, stop=StopToken())
    assert caught.value.code == "media_timeout"
    assert 0.9 < time.monotonic() - start_s < 3.0
    assert _children() == before


def test_an_input_pipe_that_never_ends_meets_the_deadline_too(tmp_path: Path) -> None:
    feed = bytes(8_000_000)
    words = ["-re", "-f", "s16le", "-ar", "8000", "-i", "pipe:0", "-f", "null", "-"]
    with pytest.raises(MediaError) as caught:
        run_ffmpeg(words, deadline_s=1.0, cwd=tmp_path, stop=StopToken(), stdin_bytes=feed)
    assert caught.value.code == "media_timeout"


def test_a_stop_kills_the_child_at_once(tmp_path: Path) -> None:
    stop, before = StopToken(), _children()
    threading.Timer(0.5, stop.set).start()
    start_s = time.monotonic()
    with pytest.raises(Cancelled):
        run_ffmpeg(_ENDLESS, deadline_s=30.0, cwd=tmp_path, stop=stop)
    assert time.monotonic() - start_s < 1.5
    assert _children() == before


def test_progress_and_output_come_back(tmp_path: Path) -> None:
    seen: list[float] = []
    words = ["-re", "-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "1", "-f", "s16le", "pipe:1"]
    since_s = time.time()
    done = run_ffmpeg(
        words, deadline_s=30.0, cwd=tmp_path, stop=StopToken(), on_progress=seen.append, capture_stdout=True
    )
    assert len(done.stdout) == 16_000
    assert len(seen) >= 2
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0, abs=0.05)
    assert ledger.total_s(ledger.intervals(since_s))["ffmpeg"] > 0.5


def test_bytes_are_fed(tmp_path: Path) -> None:
    feed = bytes(range(256)) * 2000
    words = ["-f", "u8", "-ar", "8000", "-ac", "1", "-i", "pipe:0", "-f", "u8", "pipe:1"]
    done = run_ffmpeg(words, deadline_s=30.0, cwd=tmp_path, stop=StopToken(), stdin_bytes=feed, capture_stdout=True)
    assert done.stdout == feed


def test_a_failure_is_typed_and_keeps_the_tail_out_of_the_message(tmp_path: Path) -> None:
    (tmp_path / "in0").write_text("no media")
    with pytest.raises(MediaError) as caught:
        run_ffmpeg(["-i", "file:in0", "-f", "null", "-"], deadline_s=30.0, cwd=tmp_path, stop=StopToken())
    error = caught.value
    assert error.code == "media_failed"
    assert "Invalid data" in error.details["tail"]
    assert len(error.details["tail"]) <= 2000
    assert str(tmp_path) not in error.message
    assert "in0" not in error.message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    words = ["-f", "lavfi", "-i", "anullsrc", "-t", "60", "-f", "s16le", "/dev/full"]
    with pytest.raises(StorageFull):
        run_ffmpeg(words, deadline_s=30.0, cwd=tmp_path, stop=StopToken())


def test_a_file_cannot_grow_beyond_its_limit(tmp_path: Path) -> None:
    words = ["-f", "lavfi", "-i", "anullsrc", "-t", "600", "-f", "s16le", "file:out0.raw"]
    with pytest.raises(MediaError) as caught:
        run_ffmpeg(words, deadline_s=30.0, cwd=tmp_path, stop=StopToken(), max_file_bytes=1_000_000)
    assert caught.value.code in {"media_output_limit", "media_failed"}
    assert (tmp_path / "out0.raw").stat().st_size <= 1_000_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a child's life to its parent's")
def test_a_killed_parent_takes_ffmpeg_along(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from dubline.media.runner import run_ffmpeg\n"
        f"run_ffmpeg({_ENDLESS!r}, deadline_s=60, cwd=Path(sys.argv[1]))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=Path(__file__).parents[2])
    running: list[psutil.Process] = []
    try:
        deadline_s = time.monotonic() + 20
        while not running and time.monotonic() < deadline_s:
            found = psutil.Process(parent.pid).children(recursive=True)
            running = [p for p in found if "ffmpeg" in Path(p.exe()).name]
            time.sleep(0.05)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert running
    _, alive = psutil.wait_procs(running, timeout=3)
    assert not alive


def test_the_child_sees_no_environment_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # FFREPORT makes ffmpeg write a log: a visible sign that a variable got through.
    monkeypatch.setenv("FFREPORT", f"file={tmp_path / 'seen.log'}")
    run_ffmpeg(["-f", "lavfi", "-i", "anullsrc", "-t", "0.1", "-f", "null", "-"], deadline_s=30.0, cwd=tmp_path)
    assert not (tmp_path / "seen.log").exists()
