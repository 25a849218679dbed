"""The client library and its commands against the whole running service, over a network that misbehaves.

Engines are simulated: this proves the handling of faults, not speech.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from dubline.client import (
    ApiError,
    AsyncClient,
    Client,
    Polling,
    TranslationClient,
    TranslationConfig,
    TranslationError,
    VideoTranslationClient,
    WaitTimeout,
)
from dubline.client.waiting import WAYS
from tests.stack import Stack

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def done(stack: Stack, clip: Path) -> str:
    """A finished job."""
    with Client(stack.url) as client:
        return client.wait(client.submit(clip, "es", source_language="en").id, timeout_s=120).check().id


class _Faulty(httpx.AsyncHTTPTransport):
    """A network with planned faults, before or behind the real service.

    Attributes:
        storms: How many further answers are 503.
        cuts: How many further downloads end after half a megabyte or half their content.
        cut_pieces: How many further pieces of an upload end in the middle.
        lost: How many further answers to a POST are lost after the service has acted.
        spoiled: Whether downloads have a wrong byte.
        retry_after: What the 503s ask for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.storms = self.cuts = self.lost = self.cut_pieces = 0
        self.spoiled = False
        self.retry_after = "0"
        self.seen: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen[request.method] += 1
        if self.storms:
            self.storms -= 1
            return httpx.Response(
                503, headers={"Retry-After": self.retry_after}, json={"detail": "busy", "code": "busy"}
            )
        if request.method == "PATCH" and self.cut_pieces:
            self.cut_pieces -= 1
            assert isinstance(request.stream, httpx.AsyncByteStream)
            request.stream = _Cut(request.stream, is_cut=True, is_spoiled=False)
        answer = await super().handle_async_request(request)
        if request.method == "POST" and self.lost:
            self.lost -= 1
            await answer.aclose()
            raise httpx.ReadError("the answer was lost")
        if "/artifacts/" in request.url.path and (self.cuts or self.spoiled):
            stream = answer.stream
            assert isinstance(stream, httpx.AsyncByteStream)
            answer.stream = _Cut(stream, is_cut=self.cuts > 0, is_spoiled=self.spoiled)
            self.cuts = max(0, self.cuts - 1)
        return answer


class _Cut(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, *, is_cut: bool, is_spoiled: bool) -> None:
        self._inner, self._is_cut, self._is_spoiled = inner, is_cut, is_spoiled

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            if self._is_cut:
                yield chunk[: max(1, len(chunk) // 2)]
                raise httpx.ReadError("cut")
            yield bytes([chunk[0] ^ 1]) + chunk[1:] if self._is_spoiled and chunk else chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.mark.parametrize("way", ["websocket", "stream", "poll"])
def test_every_way_of_waiting_sees_the_end(stack: Stack, clip: Path, way) -> None:
    seen: list[float] = []
    with Client(stack.url) as client:
        job = client.submit(clip, "es", source_language="en", glossary={"one": f"uno {way}"})
        ended = client.wait(job.id, timeout_s=120, ways=(way,), changed=lambda now: seen.append(now.progress))
    assert (ended.status, ended.progress) == ("completed", 100)
    assert ended.verdict
    assert seen == sorted(seen)
    assert len(seen) >= 2


@pytest.mark.parametrize("way", ["websocket", "stream", "poll"])
def test_an_unknown_job_is_said_at_once(stack: Stack, way) -> None:
    with Client(stack.url) as client, pytest.raises(ApiError) as caught:
        client.wait("00000000-0000-4000-8000-000000000000", timeout_s=20, ways=(way,))
    assert caught.value.details["status"] == 404


@pytest.mark.parametrize(
    "ways", [(*WAYS,), *(pytest.param(w, marks=pytest.mark.slow) for w in (("stream", "poll"), ("poll",)))]
)
def test_a_wait_outlives_the_api(stack: Stack, clip: Path, ways) -> None:
    with Client(stack.url) as client:
        job = client.submit(clip, "es", source_language="en", glossary={"one": f"killed {ways[0]}"})
        pid = stack.state["pids"]["api"]
        threading.Timer(1.5, lambda: os.kill(pid, signal.SIGKILL)).start()
        ended = client.wait(job.id, timeout_s=150, ways=ways)
    assert ended.status == "completed"
    stack.wait_ready()
    assert stack.state["pids"]["api"] != pid


async def test_storms_and_lost_answers_make_one_job(stack: Stack, clip: Path) -> None:
    network = _Faulty()
    async with AsyncClient(stack.url, http=network, retry_delay_s=0.05) as client:
        before = (await client.list()).total_count
        network.storms, network.lost, network.cut_pieces = 3, 1, 3
        stored = await client.upload(clip, filename="storm.mp4")
        network.storms, network.lost = 3, 1
        job = await client.submit(stored, "es", source_language="en")
        assert network.seen["POST"] == 10
        assert stored.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
        assert network.cut_pieces == 0
        assert network.seen["PATCH"] == 4
        network.storms = 4
        assert (await client.wait(job.id, timeout_s=120, ways=("poll",))).status == "completed"
        assert (await client.list()).total_count == before + 1
        network.storms = 100
        with pytest.raises(ApiError) as caught:
            await client.get(job.id)
    assert caught.value.details["status"] == 503
    assert caught.value.retryable


async def test_a_cut_download_goes_on_and_a_wrong_byte_is_found(stack: Stack, done: str, tmp_path: Path) -> None:
    network = _Faulty()
    async with AsyncClient(stack.url, http=network, retry_delay_s=0.05) as client:
        rows = {r.name: r for r in await client.artifacts(done)}
        network.cuts = 3
        target = await client.download(done, tmp_path)
        assert target.name == rows["video"].filename
        assert hashlib.sha256(target.read_bytes()).hexdigest() == rows["video"].sha256
        target.unlink()
        network.spoiled = True
        with pytest.raises(ApiError, match="not what was promised"):
            await client.download(done, tmp_path)
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(ApiError) as caught:
            await client.download(done, tmp_path, name="nothing")
    assert caught.value.code == "artifact_not_found"


async def test_it_comes_back_when_it_was_asked_to(stack: Stack, done: str) -> None:
    network = _Faulty()
    async with AsyncClient(stack.url, http=network, retry_delay_s=0.01) as client:
        for asked in ("1", formatdate(time.time() + 3, usegmt=True)):
            network.storms, network.retry_after = 1, asked
            began_s = time.monotonic()
            assert (await client.get(done)).id == done
            assert 0.9 < time.monotonic() - began_s < 6, asked


async def test_a_wait_asks_no_more_often_than_it_should(stack: Stack, clip: Path) -> None:
    network = _Faulty()
    async with AsyncClient(stack.url, http=network, polling=Polling(0.2, 0.8)) as client:
        job = await client.submit(clip, "es", source_language="en", glossary={"one": "uno asked"})
        network.seen.clear()
        began_s = time.monotonic()
        await client.wait(job.id, timeout_s=120, ways=("poll",))
        most = (time.monotonic() - began_s) / (0.2 * 0.8) + 2
    assert 2 < network.seen["GET"] <= most


async def test_an_answer_that_does_not_come_is_typed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the calls, nobody answers them
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with AsyncClient(url, timeout_s=0.3, retries=2, retry_delay_s=0.01) as client:
            began_s = time.monotonic()
            with pytest.raises(ApiError) as caught:
                await client.get("00000000-0000-4000-8000-000000000000")
            assert 0.9 <= time.monotonic() - began_s < 3  # three waits
    assert caught.value.code == "service_away"


async def test_an_absent_service_is_typed() -> None:
    async with AsyncClient("http://127.0.0.1:9", retries=1, retry_delay_s=0.01) as client:
        with pytest.raises(ApiError) as caught:
            await client.get("00000000-0000-4000-8000-000000000000")
        assert caught.value.code == "service_away"
        began_s = time.monotonic()
        with pytest.raises(WaitTimeout):
            await client.wait("00000000-0000-4000-8000-000000000000", timeout_s=1.0)
        assert time.monotonic() - began_s < 5
    polling = Polling(0.05, 0.2)
    async with AsyncClient("http://127.0.0.1:9", away_s=0.5, polling=polling) as client:
        with pytest.raises(ApiError) as caught:
            await client.wait("00000000-0000-4000-8000-000000000000")
        assert caught.value.code == "service_away"


async def test_the_short_forms_as_they_are_known(stack: Stack) -> None:
    config = TranslationConfig(base_timeout=120, min_delay=0.1, max_delay=0.5, progressive_delay=True)
    async with VideoTranslationClient(stack.url, config=config) as client:
        response = await client.start_translation("en", "es")
        result = await client.wait_for_completion(response["job_id"])
    assert result["status"] == "completed"
    async with TranslationClient(
        base_url=stack.url, max_retries=3, retry_delay=1.0, timeout=120.0, heartbeat_interval=5.0
    ) as client:
        response = await client.start_translation(source_language="en", target_language="es", metadata={})
        assert (await client.wait_for_completion(response["job_id"]))["status"] == "completed"
    async with VideoTranslationClient(stack.url, config=TranslationConfig(base_timeout=0.3)) as client:
        response = await client.start_translation("en", "fr")
        with pytest.raises(TimeoutError):
            await client.wait_for_completion(response["job_id"])
    async with AsyncClient(stack.url) as plain, TranslationClient(stack.url, timeout=60) as client:
        await plain.cancel(response["job_id"])
        with pytest.raises(TranslationError, match="cancelled"):
            await client.wait_for_completion(response["job_id"])


def _command(
    stack: Stack, *arguments: str, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    ours = {"DUBLINE_URL": stack.url, "DUBLINE_HOME": str(stack.home), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "dubline", *arguments],
        env={**os.environ, **ours, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_commands_from_submit_to_download(stack: Stack, clip: Path, tmp_path: Path) -> None:
    said = _command(stack, "submit", str(clip), "--to", "es", "--from", "en", "-o", "background=mute", "--json")
    assert said.returncode == 0, said.stderr
    job_id = json.loads(said.stdout)[0]["id"]
    watched = _command(stack, "watch", job_id, "--json")
    assert (watched.returncode, json.loads(watched.stdout)["status"]) == (0, "completed")
    assert job_id in _command(stack, "jobs").stdout
    narrow = _command(stack, "jobs", FORCE_COLOR="1", COLUMNS="60").stdout
    assert job_id in re.sub(r"\x1b\[[0-9;]*m", "", narrow)  # in one piece, to be copied
    with Client(stack.url) as client:
        client.cancel(client.submit(clip, "de").id)  # a second one to list
        last = client.list(limit=1).total_count
    assert "--page 2 for more" in _command(stack, "jobs", "--limit", "1").stdout
    assert f"1 of {last}\n" in _command(stack, "jobs", "--limit", "1", "--page", str(last)).stdout
    shown = json.loads(_command(stack, "show", job_id, "--json").stdout)
    assert shown["events"][-1]["status"] == "completed"
    got = _command(stack, "download", job_id, "--out", str(tmp_path), "--json")
    files = json.loads(got.stdout)["files"]
    assert {Path(p) for p in files.values()} == set(tmp_path.iterdir())
    assert {"video", "report", "subtitles_target_srt"} <= set(files)
    missing = _command(stack, "download", job_id, "--artifact", "nothing")
    assert missing.returncode == 2
    assert "It made:" in missing.stderr
    again = _command(stack, "retry", job_id)
    assert again.returncode == 2
    assert "only failed and cancelled" in again.stderr
    late = _command(stack, "watch", "00000000-0000-4000-8000-000000000000")
    assert late.returncode == 2
    assert "Traceback" not in late.stderr


def test_a_line_is_edited_and_rendered_by_command(stack: Stack, done: str, tmp_path: Path) -> None:
    lines = json.loads(_command(stack, "edit", done, "--json").stdout)
    first = lines["segments"][0]
    planned = _command(stack, "edit", done, "--line", f"{first['id']}=Un texto nuevo.", "--json")
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["plan"]["lines_again"] == [first["id"]]
    assert "Watch:" in _command(stack, "edit", done, "--render").stdout
    early = _command(stack, "download", done, "--out", str(tmp_path))
    assert (early.returncode, "newer version" in early.stderr) == (0, True), early.stderr
    assert _command(stack, "watch", done, "--timeout", "120").returncode == 0
    again = json.loads(_command(stack, "edit", done, "--json").stdout)
    assert (again["rendered_revision"], again["segments"][0]["text"]) == (1, "Un texto nuevo.")
    assert _command(stack, "edit", done, "--line", "nobody=x").returncode == 2
    assert "lines to speak again" in _command(stack, "edit", done, "--undo").stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("dubline ", {"dub", "submit", "jobs", "watch", "edit"}),
        ("dubline dub talk.mp4 --background ", {"duck", "separate", "keep", "mute"}),
        ("dubline submit --type ", {"video_translate", "transcription", "audio_extraction"}),
    ],
)
def test_the_shell_completes(words: str, offered: set[str]) -> None:
    asked = {"_DUBLINE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
    command = Path(sys.executable).with_name("dubline")
    said = subprocess.run([command], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert offered <= set(said.stdout.split()), said


def _examples() -> dict[str, str]:
    """The command line that the help of each command gives, by command."""
    root = Path(__file__).resolve().parents[2] / "dubline"
    texts = [path.read_text() for path in sorted(root.glob("cli*.py"))]
    lines = [line for text in texts for line in re.findall(r"Example: (dubline .+)", text)]
    return {line.split()[1]: line for line in lines}


@pytest.mark.slow
def test_the_examples_of_the_help_do_what_they_say(stack: Stack, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "talk.mp4").write_bytes(clip.read_bytes())
    examples = _examples()
    assert {"dub", "submit", "jobs", "show", "watch", "cancel", "retry", "download", "edit", "report"} <= set(examples)
    job_id = line_id = ""

    def run(name: str) -> subprocess.CompletedProcess[str]:
        line = examples.pop(name).replace("JOB", job_id).replace("u3fa1c2d4", line_id).replace("--jobs 100", "--jobs 2")
        done = _command(stack, *shlex.split(line)[1:], folder=tmp_path)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done

    job_id = run("submit").stdout.split()[0]
    run("jobs")
    run("cancel")
    watched = _command(stack, "watch", job_id)
    assert watched.returncode == 2
    assert "cancelled" in watched.stderr
    run("retry")
    run("watch")
    assert "completed" in run("show").stdout
    run("download")
    assert any((tmp_path / "dubbed").glob("*.pt-BR.mp4"))
    line_id = stack.call("GET", f"/api/v1/jobs/{job_id}/transcript").json()["segments"][0]["id"]
    run("edit")
    assert _command(stack, "watch", job_id).returncode == 0
    run("dub")
    assert (tmp_path / "talk.pt-BR.mp4").exists()
    run("report")
    assert "kokoro" in run("engines").stdout
    run("sample")
    assert (tmp_path / "clip.mp4").exists()
    run("load")
    assert examples == {}
