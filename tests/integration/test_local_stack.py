"""The command and the flow with the simulated engines: this proves plumbing (retries, names, progress), not speech."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_SIMULATED = (
    "--to",
    "es",
    "--from",
    "en",
    "--stt",
    "simulated",
    "--mt",
    "simulated",
    "--tts",
    "simulated",
    "--listen",
    "off",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def _dub(path: str, folder: Path, home: Path, *options: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dubline",
            "dub",
            *_SIMULATED,
            "--out",
            str(folder / "out"),
            "--json",
            *options,
            "--",
            path,
        ],
        env={**os.environ, "DUBLINE_HOME": str(home), **environment},
        cwd=folder,
        capture_output=True,
        timeout=200,
        check=False,
    )
    answer = json.loads(done.stdout)
    assert done.returncode == 0, answer
    return answer


def test_engines_that_fail_now_and_then_are_asked_again(media_dir: Path, home: Path, tmp_path: Path) -> None:
    source = str(media_dir / "video/real_eth_lecture_10s.mov")
    answer = _dub(source, tmp_path, home, SIMULATED_ERROR_RATE="0.25")
    report = json.loads(Path(answer["files"]["report"]).read_text())
    assert report["timing"]["lines"]
    assert report["voice"]["unspoken_lines"] == []


@pytest.mark.parametrize(
    "name",
    [b"-vf=movie.mp4", b"a\nb'c\"d.mp4", "日本語 🎬 %05d.mp4".encode(), b"not \xff text.mp4", b"x" * 251 + b".mp4"],
)
def test_any_file_name_will_do(name: bytes, media_dir: Path, home: Path, tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(name)
    source.write_bytes((media_dir / "video/real_friday_6s.mp4").read_bytes())
    answer = _dub(source.name, tmp_path, home)
    made = sorted(os.listdir(tmp_path / "out"))
    assert len(made) == 7
    assert len(answer["files"]) == 7
    stem = source.stem.encode(errors="surrogateescape")[:200]
    assert all(os.fsencode(m).startswith(stem) for m in made)
    assert sorted(os.listdir(tmp_path)) == sorted([source.name, "out"])
