"""The command and the flow with the simulated engines: this proves plumbing (retries, names, progress), not speech."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from dubline.contract import JobResult
from dubline.media.probe import probe
from dubline.settings import Settings
from dubline.storage.local import LocalStore

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
def home(new_home: Callable[[], Path]) -> Path:
    return new_home()


def _dub(path: str, folder: Path, home: Path, *options: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dubline",
            "dub",
            "--direct",
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


@pytest.mark.slow
def test_engines_that_fail_now_and_then_are_asked_again(media_dir: Path, home: Path, tmp_path: Path) -> None:
    source = str(media_dir / "video/real_eth_lecture_10s.mov")
    answer = _dub(source, tmp_path, home, SIMULATED_ERROR_RATE="0.25")
    report = json.loads(Path(answer["files"]["report"]).read_text())
    assert report["timing"]["lines"]
    assert report["voice"]["unspoken_lines"] == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"a\nb'c\"d.mp4", marks=pytest.mark.slow),
        b"not \xff text.mp4",
        pytest.param(b"-vf=movie.mp4", marks=pytest.mark.slow),
        pytest.param("日本語 🎬 %05d.mp4".encode(), marks=pytest.mark.slow),
        pytest.param(b"x" * 251 + b".mp4", marks=pytest.mark.slow),
    ],
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


def test_a_dub_keeps_its_texts_and_sounds_beside_the_files_it_hands_out(
    media_dir: Path, tmp_path: Path, new_home: Callable[[], Path]
) -> None:
    home = new_home()
    source = media_dir / "video/real_eth_lecture_10s.mov"
    answer = _dub(str(source), tmp_path, home)
    assert sorted(answer["files"]) == [
        "report",
        "subtitles_bilingual_srt",
        "subtitles_source_srt",
        "subtitles_source_vtt",
        "subtitles_target_srt",
        "subtitles_target_vtt",
        "video",
    ]
    store = LocalStore(home / "artifacts")
    (manifest,) = store.records("jobs")
    result = JobResult.model_validate_json(store.get_record(manifest.name) or b"")
    assert {
        "transcript_json",
        "transcript_txt",
        "translation_json",
        "translation_txt",
        "lines_json",
        "audio_dubbed",
        "audio_source",
        "thumbnail1",
        "clip",
        "peaks",
    } <= {a.name for a in result.artifacts}
    assert len({a.name for a in result.artifacts}) == len({a.suffix for a in result.artifacts}) == len(result.artifacts)

    def read(name: str) -> str:
        return store.read_bytes(result.artifact(name).ref).decode()

    lines = json.loads(Path(answer["files"]["report"]).read_text())["timing"]["lines"]
    document = json.loads(read("translation_json"))
    assert (document["source_language"], document["target_language"]) == ("en", "es")
    assert len(document["rows"]) == len(lines) > 0
    for row, line in zip(document["rows"], lines, strict=True):
        assert row["id"] == line["utterance_id"]
        assert row["text"] == f"{row['source']} [es]"
        assert 0 <= row["start_s"] < row["end_s"] <= result.media_s + 0.01
        assert row["stretch"] == pytest.approx(line["stretch"], abs=0.001)
        assert (row["engine"], row["speaker"]) == ("simulated", "S1")
        assert row["voice"]
    assert read("translation_txt").splitlines() == [row["text"] for row in document["rows"]]
    assert read("transcript_txt").splitlines() == [row["source"] for row in document["rows"]]
    words = [w["text"] for s in json.loads(read("transcript_json"))["segments"] for w in s["words"]]
    assert "".join(words).split() == read("transcript_txt").split()
    media_s = probe(source, Settings()).duration_s
    for name in ("audio_dubbed", "audio_source"):
        pcm, rate_hz = soundfile.read(store.fetch(result.artifact(name).ref))
        assert len(pcm) / rate_hz == pytest.approx(media_s, abs=0.001)
        assert abs(pcm).max() > 0.01
