"""`python -m bench.edit`: how soon a dub can be watched, and what a changed line and a second language cost.

All on the running service.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.__main__ import new_home
from bench.stack import Stack
from dubline.client.client import Client
from dubline.settings import get_settings

_OF_AN_EDIT = ("synthesize", "fit", "mix", "mux")  # what is made anew for sure, and is known before the report is
_LECTURE = Path(__file__).resolve().parents[2] / "shared" / "media" / "video" / "long" / "lj_lecture_3m51.mp4"


def main() -> int:
    """Print the table; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.edit", description=__doc__)
    parser.add_argument("--video", type=Path, default=_LECTURE)
    parser.add_argument("--to", default="pt-BR")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dubline-bench-", ignore_cleanup_errors=True) as folder:
        with _service(Path(folder) / "home") as client:
            missed = _measure(client, Path(folder) / "home", arguments.video, arguments.to)
        with _service(Path(folder) / "other") as client:
            missed |= _second_language(client, arguments.video, arguments.to)
    return 1 if missed else 0


@contextmanager
def _service(home: Path) -> Iterator[Client]:
    with Stack(new_home(home), is_simulated=False) as stack, Client(stack.url) as client:
        yield client


def _measure(client: Client, home: Path, video: Path, target: str) -> bool:
    began_at_s, began_s = time.time(), time.monotonic()
    job = client.submit(video, target, source_language="en").id
    _finish(client, job)
    whole_s = time.monotonic() - began_s
    early = next((home / "artifacts" / "records" / "jobs").glob("*/first-minute.json"))
    lines = client.transcript(job).segments
    print(f"{video.name}: {whole_s:.1f} s, {len(lines)} lines")
    missed = _row("first minute can be watched", early.stat().st_mtime - began_at_s, 0.35 * whole_s)
    times = [_change(client, job, len(lines) * quarter // 4) for quarter in (1, 2, 3)]
    return missed | _row("one line changed, median", statistics.median(times), 0.10 * whole_s)


def _change(client: Client, job: str, number: int) -> float:
    """Seconds until a line, changed as a person may, is in a finished dub; prints where they went."""
    transcript = client.transcript(job)
    line = transcript.segments[number]
    words = line["text"].rstrip(".").split()
    text = " ".join([*words[: max(1, len(words) - 2)], "assim."])
    edit = {"op": "change", "id": line["id"], "text": text}
    client.edit(job, [edit], revision=transcript.revision)
    began_s = time.monotonic()
    client.render(job)
    _finish(client, job)
    seconds = time.monotonic() - began_s
    report = _report(client, job)
    made = [row for row in report["provenance"]["stages"] if row["stage"] in _OF_AN_EDIT and row["seconds"] >= 0.1]
    spent = ", ".join(f"{row['stage']} {row['seconds']:.1f}" for row in made)
    length_s = line["end_s"] - line["start_s"]
    print(f"    a line of {length_s:.1f} s: {seconds:.1f} s ({spent}), {report['verdict']}", flush=True)
    return seconds


def _second_language(client: Client, video: Path, target: str) -> bool:
    """The target after a first language that no engine speaks in truth: all but hearing is done for the first time."""
    options = {"translation_engine": "simulated", "tts_engine": "simulated", "listen": "off"}
    _finish(client, client.submit(video, "es", source_language="en", **options).id)
    began_s = time.monotonic()
    job = client.submit(video, target, source_language="en").id
    _finish(client, job)
    second_s = time.monotonic() - began_s
    stages = _report(client, job)["provenance"]["stages"]
    busy = [stage["busy_s"] for stage in stages if stage["stage"] in ("translate", "synthesize")]
    engines_s = sum(s for row in busy for part, s in row.items() if part.startswith(("tts:", "mt:")))
    cores = get_settings().cpu_threads
    print(f"  translating and speaking: {engines_s:.1f} core-seconds, {cores} cores")
    return _row(f"second language ({target})", second_s, engines_s / cores + 5)


def _finish(client: Client, job: str) -> None:
    """Wait as a watcher does, told by the service: asking it ten times a second costs a tenth of a core."""
    client.wait(job).check()


def _report(client: Client, job: str) -> dict[str, Any]:
    return client.request("GET", f"/api/v1/jobs/{job}/artifacts/report")


def _row(name: str, seconds: float, most_s: float) -> bool:
    print(f"  {name:<28} {seconds:6.1f} s  <= {most_s:5.1f} s  {'ok' if seconds <= most_s else 'MISSED'}", flush=True)
    return seconds > most_s


if __name__ == "__main__":
    sys.exit(main())
