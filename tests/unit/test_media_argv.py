"""Command lines hold generated names and the whitelists, whatever a file is called."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dubline.errors import ArtifactMissing
from dubline.media import argv
from dubline.media.scratch import Scratch


def _line(path: Path, work: Path) -> list[str]:
    with Scratch(work) as scratch:
        taken = argv.source(scratch.link(path))["a:0"]
        return argv.command("ffmpeg", argv.arguments(argv.sink([taken], "out0.wav", "wav")))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_no_file_name_reaches_a_command_line(name: str, tmp_path: Path) -> None:
    assume(name not in {".", ".."} and len(os.fsencode(name)) < 250)
    folder = tmp_path / "given"
    folder.mkdir(exist_ok=True)
    file, plain = folder / name, tmp_path / "plain"
    file.write_bytes(b"x")
    plain.write_bytes(b"x")
    assert _line(file, tmp_path / "work") == _line(plain, tmp_path / "work")
    file.unlink()


def test_known_evil_names(media_dir: Path, tmp_path: Path) -> None:
    names = json.loads((media_dir / "bad/names.json").read_text())["names"]
    plain = tmp_path / "plain"
    plain.write_bytes(b"x")
    tried = 0
    for name in names:
        if Path(name).name != name:
            continue  # a path: it names another file, here perhaps one of the system's
        try:
            (tmp_path / name).write_bytes(b"x")
        except (OSError, ValueError):
            continue  # the file system itself refuses it
        assert _line(tmp_path / name, tmp_path / "work") == _line(plain, tmp_path / "work")
        tried += 1
    assert tried > 10


@pytest.mark.parametrize("name", ["-y", "a b.mp4", "../in0", "in0;x", "/etc/passwd", "http://x/", "IN0", "", "in0\n"])
def test_only_generated_names_are_taken(name: str) -> None:
    with pytest.raises(ValueError, match="generated"):
        argv.source(name)
    with pytest.raises(ValueError, match="generated"):
        argv.sink([argv.source("in0")["a:0"]], name, "wav")


@pytest.mark.parametrize("value", ["talk $(id)", "é", "a\nb", "`x`", "x#y"])
def test_only_generated_values_are_taken(value: str) -> None:
    with pytest.raises(ValueError, match="generated"):
        argv.sink([argv.source("in0")["a:0"]], "out0.wav", "wav", **{"metadata:s:a:0": value})


def test_every_input_is_whitelisted_and_every_output_anonymous() -> None:
    line = argv.arguments(argv.sink([argv.picture_source("in0")["v:0"]], "out0.mp4", "mp4"))
    before = line[: line.index("-i")]
    assert before[before.index("-protocol_whitelist") + 1] == "file"
    assert "hls" not in before[before.index("-format_whitelist") + 1]
    assert "concat" not in before[before.index("-format_whitelist") + 1]
    assert int(before[before.index("-max_pixels") + 1]) == 40_000_000
    assert line[line.index("-i") + 1] == "file:in0"
    assert line[line.index("-map_metadata") + 1] == line[line.index("-map_chapters") + 1] == "-1"
    head = argv.command("ffmpeg", line)
    assert "-nostdin" in head
    assert head[-1] == "file:out0.mp4"


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch:
        for path in (tmp_path / "none", tmp_path):
            with pytest.raises(ArtifactMissing):
                scratch.link(path)
