"""Every video of the media folder through the command, with the real engines: dubbed, or refused with the reason.

The expected outcomes are the table in `docs/media.md`; the test reads them there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dubline.media.probe import probe
from dubline.settings import Settings, get_settings

pytestmark = [pytest.mark.slow, pytest.mark.engines, pytest.mark.timeout(1200)]
_OPTIONS = ("--to", "pt-BR", "--from", "en")
_DOCS = Path(__file__).resolve().parents[2] / "docs" / "media.md"


def table() -> list[tuple[str, str]]:
    """(file, outcome) of every row: a suffix when it is dubbed, else an error code."""
    return re.findall(r"^\| `([\w./-]+)` \| (\w+) \|", _DOCS.read_text(), re.MULTILINE)


def test_the_table_names_every_file(media_dir: Path) -> None:
    there = {
        str(p.relative_to(media_dir / "video"))
        for p in (media_dir / "video").rglob("*")
        if p.is_file() and p.suffix not in {".json", ".rttm"}
    }
    assert there == {name for name, _ in table()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "models").symlink_to(get_settings().weights_dir)
    return folder


@pytest.mark.parametrize(("name", "outcome"), table(), ids=lambda v: v)
def test_each_is_dubbed_or_refused(name: str, outcome: str, media_dir: Path, home: Path, tmp_path: Path) -> None:
    source = media_dir / "video" / name
    done = subprocess.run(
        [sys.executable, "-m", "dubline", "dub", "--direct", str(source), *_OPTIONS, "--out", str(tmp_path), "--json"],
        env={**os.environ, "DUBLINE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(done.stdout)
    if outcome not in {"mp4", "mkv", "m4a"}:
        assert (done.returncode, answer["error"]["code"]) == (2, outcome)
        assert list(tmp_path.iterdir()) == []
        return
    assert done.returncode == 0, answer
    video = Path(answer["files"]["video"])
    assert video.suffix == f".{outcome}"
    report = json.loads(Path(answer["files"]["report"]).read_text())
    before, after = probe(source, Settings()), probe(video, Settings())
    frame_s = 1 / before.video.fps if before.video and before.video.fps else 0.04
    assert abs(after.duration_s - before.duration_s) <= max(frame_s, 1024 / 44_100) + 0.001
    assert report["container"]["video_stream_hash_equal"] in ({True, None} if before.video else {None})
    assert report["timing"]["overlap_s"] == 0
    written = sum(len(line["target_text"]) for line in report["timing"]["lines"])
    # Text that fills the whole media faster than it can be read breaks the rules of time, and the report says so.
    readable = written / before.duration_s < 14
    assert set(report["container"]["subtitle_rule_breaks"]) <= (set() if readable else {"reading_speed", "too_short"})
    assert report["voice"]["silent_lines"] == []
    if report["timing"]["lines"]:
        assert abs(report["mix"]["loudness_error_lu"]) <= 1.0 or before.duration_s < 3
    assert after.audio[0].language == "por"
