"""`python -m bench.edit`: how soon a dub can be watched, and what a changed line and a second language cost.

All on the running service.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.__main__ import new_home
from bench.stack import Stack
from dubline.settings import get_settings

_LECTURE = Path(__file__).resolve().parents[2] / "shared" / "media" / "video" / "long" / "lj_lecture_3m51.mp4"


def main() -> int:
    """Print the table; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.edit", description=__doc__)
    parser.add_argument("--video", type=Path, default=_LECTURE)
    parser.add_argument("--to", default="pt-BR")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dubline-bench-", ignore_cleanup_errors=True) as folder:
        with _service(Path(folder) / "home") as client:
            missed = _measure(client, arguments.video, arguments.to)
        with _service(Path(folder) / "other") as client:
            missed |= _second_language(client, arguments.video, arguments.to)
    return 1 if missed else 0


@contextmanager
def _service(home: Path) -> Iterator[httpx.Client]:
    with Stack(new_home(home), is_simulated=False) as stack, httpx.Client(base_url=stack.url, timeout=120) as client:
        yield client


def _measure(client: httpx.Client, video: Path, target: str) -> bool:
    began_s = time.monotonic()
    job = _submit(client, video, target)
    early_s = None
    while _status(client, job) != "completed":
        if early_s is None and client.get(f"{job}/preview").json()["first_minute_url"]:
            early_s = time.monotonic() - began_s
        time.sleep(0.2)
    whole_s = time.monotonic() - began_s
    lines: list[dict[str, Any]] = client.get(f"{job}/transcript").json()["segments"]
    line = lines[len(lines) // 2]
    words = line["text"].rstrip(".").split()
    text = " ".join([*words[: max(1, len(words) - 2)], "assim."])
    edit = {"op": "change", "id": line["id"], "text": text}
    client.put(f"{job}/transcript", json={"revision": 0, "edits": [edit]}).raise_for_status()
    began_s = time.monotonic()
    client.post(f"{job}/render", json={}).raise_for_status()
    edit_s = _finish(client, job, began_s)
    report = client.get(f"{job}/artifacts/report").json()
    print(f"{video.name}: {whole_s:.1f} s, {len(lines)} lines, verdict of the edit {report['verdict']}")
    missed = _row("first minute can be watched", early_s or whole_s, 0.35 * whole_s)
    missed |= _row("one line changed", edit_s, 0.10 * whole_s)
    for stage in report["provenance"]["stages"]:
        if stage["seconds"] >= 0.3 and stage["stage"] not in ("ingest", "extract", "transcribe", "translate"):
            print(f"    {stage['stage']:<12} {stage['seconds']:6.1f} s")
    return missed


def _second_language(client: httpx.Client, video: Path, target: str) -> bool:
    """The target after a first language that no engine speaks in truth: all but hearing is done for the first time."""
    first = _submit(client, video, "es", translation_engine="simulated", tts_engine="simulated", listen="off")
    _finish(client, first, time.monotonic())
    began_s = time.monotonic()
    job = _submit(client, video, target)
    second_s = _finish(client, job, began_s)
    stages = client.get(f"{job}/artifacts/report").json()["provenance"]["stages"]
    busy = [stage["busy_s"] for stage in stages if stage["stage"] in ("translate", "synthesize")]
    engines_s = sum(s for row in busy for part, s in row.items() if part.startswith(("tts:", "mt:")))
    cores = get_settings().cpu_threads
    print(f"  translating and speaking: {engines_s:.1f} core-seconds, {cores} cores")
    return _row(f"second language ({target})", second_s, engines_s / cores + 5)


def _row(name: str, seconds: float, most_s: float) -> bool:
    print(f"  {name:<28} {seconds:6.1f} s  <= {most_s:5.1f} s  {'ok' if seconds <= most_s else 'MISSED'}", flush=True)
    return seconds > most_s


def _submit(client: httpx.Client, video: Path, target: str, **options: str) -> str:
    with video.open("rb") as file:
        data = {"target_language": target, "source_language": "en", **options}
        answer = client.post("/api/v1/upload", files={"file": (video.name, file)}, data=data)
    return f"/api/v1/jobs/{answer.raise_for_status().json()['job_id']}"


def _finish(client: httpx.Client, job: str, began_s: float) -> float:
    while _status(client, job) != "completed":
        time.sleep(0.1)
    return time.monotonic() - began_s


def _status(client: httpx.Client, job: str) -> str:
    now = client.get(f"{job}/status").raise_for_status().json()
    if now["status"] in ("failed", "cancelled"):
        raise SystemExit(f"the job is {now['status']}: {now.get('error_message')}")
    return now["status"]


if __name__ == "__main__":
    sys.exit(main())
