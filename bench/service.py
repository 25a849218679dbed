"""`python -m bench.service`: what the service costs and how quick it is, on simulated engines, in one run.

Latencies are taken end to end: an event is sent to Prefect and timed when it arrives at WebSocket and SSE clients.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
from websockets.asyncio.client import connect

from bench.stack import Stack
from deployments.prefect_env import auth_string
from dubline.sample import make_sample
from dubline.settings import Settings

Row = tuple[str, str, str, bool | None]
_SECONDS = 20
_IDLE_S = 10.0
_LARGE_BYTES = 2 * 1024**3


def main() -> int:
    """Print the table; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.service", description=__doc__)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=20, help="jobs of the load run")
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if hard > soft else (soft, hard))
    with tempfile.TemporaryDirectory(prefix="dubline-bench-") as folder:
        home = Path(folder)
        with Stack(home, is_simulated=True):
            pass  # the first start makes the databases; a warm one is measured
        with Stack(home, is_simulated=True) as stack:
            rows = _rows(stack, arguments)
    width = max(len(r[0]) for r in rows)
    for name, value, target, good in rows:
        print(f"{name:<{width}}  {value:>12}  {target:<12} {'' if good is None else 'ok' if good else 'MISSED'}")
    return 1 if any(r[3] is False for r in rows) else 0


def _rows(stack: Stack, arguments: argparse.Namespace) -> list[Row]:
    rows: list[Row] = [("ready, warm start", f"{stack.ready_s:.1f} s", "<= 12 s", stack.ready_s <= 12)]
    time.sleep(5)
    idle = stack.pss_bytes()
    rows.append(("idle memory of the whole stack", f"{idle / 1e6:.0f} MB", "<= 1000 MB", idle <= 1e9))
    first_s = _first_stage(stack)
    rows.append(("submit to first stage", f"{first_s:.1f} s", "<= 5 s", first_s <= 5))
    peak, took_s = _large_upload(stack)
    rows.append(("2 GB uploaded, the API's peak memory", f"{peak / 1e6:.0f} MB", "< 150 MB", peak < 150e6))
    rows.append(("2 GB uploaded, probed and stored", f"{took_s:.1f} s", "", None))
    more_s = _more_than_direct(stack)
    rows.append(("a job here, more than its flow called directly", f"{more_s:.1f} s", "<= 6 s", more_s <= 6))
    job_id, held = _held_job(stack)
    try:
        rows += asyncio.run(_live(stack, job_id, arguments.sockets, arguments.streams))
    finally:
        for process in held:
            process.resume()
    environment = {**os.environ, "DUBLINE_URL": stack.url}
    load = subprocess.run(
        [sys.executable, "-m", "dubline", "load", "--jobs", str(arguments.jobs), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(load.stdout)
    good = report["completed"] == report["jobs"]
    rows.append((f"{report['jobs']} jobs in bulk, completed", f"{report['completed']}", "all", good))
    rows.append(("bulk submit call", f"{report['submit_s']:.2f} s", "< 5 s", report["submit_s"] < 5))
    rows.append(("jobs a minute", f"{report['jobs_per_minute']:.0f}", "", None))
    p99_ms = 1000 * report["status_p99_s"]
    rows.append(("job status under load, p99", f"{p99_ms:.0f} ms", "< 50 ms", p99_ms < 50))
    return rows


def _first_stage(stack: Stack) -> float:
    """Median of three jobs, each handed in when nothing has been going on for a while."""
    times = []
    for _ in range(3):
        time.sleep(_IDLE_S)
        began_s = time.time()
        body = {"source_language": "en", "target_language": "es"}
        job_id = httpx.post(f"{stack.url}/translate", json=body, timeout=60).json()["job_id"]
        while True:
            job = httpx.get(f"{stack.url}/api/v1/jobs/{job_id}", timeout=30).json()
            if job["progress"] > 0 or job["status"] == "completed":
                break
            time.sleep(0.05)
        times.append(time.time() - began_s)
        while httpx.get(f"{stack.url}/job/{job_id}", timeout=30).json()["status"] not in ("completed", "failed"):
            time.sleep(0.2)
    return statistics.median(times)


def _large_upload(stack: Stack) -> tuple[int, float]:
    """Peak memory of the API (bytes) while a video of 2 GB comes in, and the seconds until it was stored."""
    api = psutil.Process(stack.pids["api"])
    peak = 0
    with tempfile.TemporaryDirectory(prefix="dubline-large-") as folder:
        clip = Path(folder) / "clip.mp4"
        make_sample(clip, Settings(), text=("Much follows.",), engine="espeak")
        start = clip.read_bytes()

    def body() -> Iterator[bytes]:
        nonlocal peak
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.mp4"\r\n\r\n' + start
        yield struct.pack(">I4s", _LARGE_BYTES, b"free")  # a box that players pass over
        for number in range(_LARGE_BYTES >> 20):
            yield bytes((1 << 20) - (0 if number else 8))
            peak = max(peak, api.memory_info().rss)
        yield b"\r\n--b--\r\n"

    began_s = time.monotonic()
    answer = httpx.post(
        f"{stack.url}/api/v1/upload",
        content=body(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        timeout=600,
    )
    answer.raise_for_status()
    return max(peak, api.memory_info().rss), time.monotonic() - began_s


def _more_than_direct(stack: Stack) -> float:
    """Seconds from submit to done, less those of the flow in a process that has its Prefect server already.

    Median of three clips that neither has seen; what is left of each is plumbing, since the engines are simulated.
    """
    more = []
    command = [sys.executable, "-m", "dubline", "dub", "--to", "es", "--from", "en", "--direct", "--json"]
    with tempfile.TemporaryDirectory(prefix="dubline-direct-") as folder:
        for number in range(3):
            clip = Path(folder) / f"clip{number}.mp4"
            make_sample(clip, Settings(), text=(f"This is clip number {number}.", "It is short."), engine="espeak")
            engines = [o for kind in ("stt", "mt", "tts") for o in (f"--{kind}", "simulated")]
            direct = subprocess.run(
                [*command, str(clip), *engines],
                env={**os.environ, "DUBLINE_HOME": str(Path(folder) / "home")},
                capture_output=True,
                text=True,
                check=True,
            )
            direct_s = json.loads(direct.stdout)["run"]["wall_s"]
            time.sleep(_IDLE_S)
            fields = {"target_language": "es", "source_language": "en"}
            began_s = time.time()
            sent = httpx.post(f"{stack.url}/api/v1/upload", files={"file": clip.read_bytes()}, data=fields, timeout=60)
            job_id = sent.json()["job_id"]
            while httpx.get(f"{stack.url}/job/{job_id}", timeout=30).json()["status"] not in ("completed", "failed"):
                time.sleep(0.05)
            more.append(time.time() - began_s - direct_s)
    return statistics.median(more)


def _held_job(stack: Stack) -> tuple[str, list[psutil.Process]]:
    """A job at work whose processes are stopped, so that nothing but the bench reports its progress."""
    body = {"source_language": "en", "target_language": "fr"}
    job_id = httpx.post(f"{stack.url}/translate", json=body, timeout=60).json()["job_id"]
    while httpx.get(f"{stack.url}/job/{job_id}", timeout=30).json()["status"] != "processing":
        time.sleep(0.02)
    worker = psutil.Process(stack.pids["worker"])
    held = [worker, *worker.children(recursive=True)]
    for process in held:
        process.suspend()
    return job_id, held


async def _live(stack: Stack, job_id: str, sockets: int, streams: int) -> list[Row]:
    """One event a second through Prefect to every client of one job."""
    async with httpx.AsyncClient(base_url=stack.url, timeout=60, limits=httpx.Limits(max_connections=None)) as api:
        sent: dict[float, float] = {}
        seen: dict[tuple[int, float], float] = {}
        watching: set[int] = set()

        def arrived(client: int, percentage: float) -> None:
            watching.add(client)
            if percentage in sent:
                seen.setdefault((client, percentage), time.time() - sent[percentage])

        async def socket(number: int) -> None:
            url = f"{stack.url.replace('http', 'ws')}/api/v1/jobs/{job_id}/progress"
            async with connect(url, open_timeout=60, compression=None) as client:
                async for text in client:
                    message = json.loads(text)
                    if message["type"] == "progress_update":
                        arrived(number, message["data"]["percentage"])

        async def stream(number: int) -> None:
            async with api.stream("GET", f"/api/v1/jobs/{job_id}/stream", timeout=None) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        arrived(number, json.loads(line[6:])["percentage"])

        clients = [asyncio.create_task(socket(n)) for n in range(sockets)]
        clients += [asyncio.create_task(stream(sockets + n)) for n in range(streams)]
        while len(watching) < sockets + streams:  # each is told at once where the job stands
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        user, _, password = auth_string(Settings(dubline_home=stack.home)).partition(":")
        async with httpx.AsyncClient(base_url=stack.prefect, auth=(user, password), timeout=30) as prefect:
            for number in range(_SECONDS):
                percentage = round(10 + number * 0.5, 2)
                sent[percentage] = time.time()
                (await prefect.post("/api/events", json=[_event(job_id, percentage)])).raise_for_status()
                await asyncio.sleep(1)
        await asyncio.sleep(2)
        memory = psutil.Process(stack.pids["api"]).memory_info().rss
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    times = sorted(seen.values())
    expected = _SECONDS * (sockets + streams)
    median_ms = 1000 * statistics.median(times) if times else float("inf")
    p95_ms = 1000 * times[int(0.95 * (len(times) - 1))] if times else float("inf")
    who = f"{sockets} sockets and {streams} streams"
    return [
        (f"Prefect to client, median, {who}", f"{median_ms:.0f} ms", "< 300 ms", median_ms < 300),
        (f"Prefect to client, p95, {who}", f"{p95_ms:.0f} ms", "< 300 ms", p95_ms < 300),
        ("updates that arrived", f"{100 * len(times) / expected:.1f} %", "100 %", len(times) == expected),
        ("memory of the API with them", f"{memory / 1e6:.0f} MB", "< 150 MB", memory < 150e6),
    ]


def _event(job_id: str, percentage: float) -> dict:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    payload = {
        "job_id": job_id,
        "stage": "synthesize",
        "percentage": percentage,
        "message": "Speaking",
        "at_s": time.time(),
    }
    return {
        "id": str(uuid.uuid4()),
        "occurred": now,
        "event": "dubline.progress",
        "resource": {"prefect.resource.id": f"dubline.job.{job_id}"},
        "payload": payload,
    }


if __name__ == "__main__":
    sys.exit(main())
