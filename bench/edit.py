"""`python -m bench.edit`: how soon a dub can be watched, and what one changed line costs, on the running service."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from bench.__main__ import new_home
from bench.stack import Stack

_LECTURE = Path(__file__).resolve().parents[2] / "shared" / "media" / "video" / "long" / "lj_lecture_3m51.mp4"


def main() -> int:
    """Print the table; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.edit", description=__doc__)
    parser.add_argument("--video", type=Path, default=_LECTURE)
    parser.add_argument("--to", default="pt-BR")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dubline-bench-", ignore_cleanup_errors=True) as folder:
        home = new_home(Path(folder) / "home")
        with Stack(home, is_simulated=False) as stack, httpx.Client(base_url=stack.url, timeout=120) as client:
            return _measure(client, arguments.video, arguments.to)


def _measure(client: httpx.Client, video: Path, target: str) -> int:
    with video.open("rb") as file:
        data = {"target_language": target, "source_language": "en"}
        answer = client.post("/api/v1/upload", files={"file": (video.name, file)}, data=data)
    began_s = time.monotonic()
    job = f"/api/v1/jobs/{answer.raise_for_status().json()['job_id']}"
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
    while _status(client, job) != "completed":
        time.sleep(0.1)
    edit_s = time.monotonic() - began_s
    report = client.get(f"{job}/artifacts/report").json()
    print(f"{video.name}: {whole_s:.1f} s, {len(lines)} lines, verdict of the edit {report['verdict']}")
    missed = False
    for name, seconds, most in (("first minute can be watched", early_s, 0.35), ("one line changed", edit_s, 0.10)):
        share = (seconds or whole_s) / whole_s
        missed |= share > most
        print(f"  {name:<28} {seconds or 0:6.1f} s  {share:.3f}  <= {most}  {'ok' if share <= most else 'MISSED'}")
    for stage in report["provenance"]["stages"]:
        if stage["seconds"] >= 0.3:
            print(f"    {stage['stage']:<12} {stage['seconds']:6.1f} s")
    return 1 if missed else 0


def _status(client: httpx.Client, job: str) -> str:
    now = client.get(f"{job}/status").raise_for_status().json()
    if now["status"] in ("failed", "cancelled"):
        raise SystemExit(f"the job is {now['status']}: {now.get('error_message')}")
    return now["status"]


if __name__ == "__main__":
    sys.exit(main())
