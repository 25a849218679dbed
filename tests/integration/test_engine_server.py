"""The engine server as a process of its own, with the simulated engines."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

import tasks._engines
from dubline import ledger
from dubline.cancel import STOP
from dubline.engines import remote, simulated, wire
from dubline.engines.remote import Connection, RemoteDiarize, RemoteMt, RemoteStt, RemoteTts
from dubline.errors import Cancelled, EngineError, InputError
from dubline.models import EngineChoice, Span
from dubline.settings import Settings


class Server:
    def __init__(self, folder: Path, **environment: str) -> None:
        self.socket = folder / "engines.sock"
        self._environment = {**os.environ, "DUBLINE_HOME": str(folder), "ENGINE_SOCKET": str(self.socket)}
        self._environment |= environment
        self.connection = Connection(self.socket)
        self.start()
        self.wait()

    def start(self) -> None:
        command = [sys.executable, "-m", "dubline.engines.server"]
        self.process = subprocess.Popen(command, env=self._environment, stderr=subprocess.PIPE)

    def wait(self) -> None:
        until(lambda: self._is_up(), 30)

    def _is_up(self) -> bool:
        try:
            return self.connection.get("/health")["status"] == "ok"
        except EngineError:
            return False

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said.decode()

    def close(self) -> None:
        self.connection.close()
        self.end(signal.SIGKILL)

    def models(self) -> dict[str, Any]:
        return self.connection.get("/v1/models")

    def queue(self, kind: str) -> tuple[int, int]:
        row = self.models()["queues"][kind]
        return row["waiting"], row["running"]

    @property
    def stt(self) -> RemoteStt:
        return RemoteStt(self.connection, choice("stt"))

    @property
    def mt(self) -> RemoteMt:
        return RemoteMt(self.connection, choice("mt"))

    @property
    def tts(self) -> RemoteTts:
        return RemoteTts(self.connection, choice("tts"))


def until(holds: Callable[[], bool], seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.05)


def choice(kind: Any, engine: str = "simulated") -> EngineChoice:
    return EngineChoice(kind=kind, engine=engine, version="2", fingerprint="simulated")


def translate_call(sentence: str) -> bytes:
    call = wire.TranslateCall(choice=choice("mt"), sentences=(sentence,), source="en", target="es")
    return wire.frame(call.model_dump(mode="json"))


def post(path: Path, body: bytes) -> socket.socket:
    """A call whose answer nobody reads yet."""
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(str(path))
    caller.sendall(b"POST /v1/mt HTTP/1.1\r\nHost: engines\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return caller


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Server] = []

    def run(**environment: str) -> Server:
        made.append(Server(tmp_path, **environment))
        return made[-1]

    yield run
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that never waits."""
    server = Server(tmp_path_factory.mktemp("plain"))
    yield server
    server.close()


def test_it_is_small_and_private_before_a_model_loads(start: Start) -> None:
    server = start()
    state = server.models()
    print(f"engine server without models: {state['rss_bytes'] / 1e6:.0f} MB")
    assert state["models"] == []
    assert state["rss_bytes"] < 120e6
    assert server.socket.stat().st_mode & 0o777 == 0o600


def test_answers_are_those_of_an_engine_of_this_process(plain: Server) -> None:
    settings = Settings()
    audio = np.zeros(16_000 * 4, np.float32)
    audio[16_000:48_000] = 0.1 * np.sin(np.arange(32_000) / 7).astype(np.float32)
    stt = simulated.STT.load(settings)
    assert plain.stt.transcribe(audio, language=None) == stt.transcribe(audio, language=None)
    assert len(plain.stt.transcribe(audio, language="pt-BR").segments[0].words) > 3
    text_only = plain.stt.transcribe(audio, language="pt-BR", word_times=False).segments
    assert [(bool(s.text), s.words) for s in text_only] == [(True, ())] * len(text_only)
    assert plain.stt.transcribe(audio[:0], language="es").segments == ()
    assert plain.stt.detect_language(audio) == stt.detect_language(audio)
    rows = [f"Sentence {i}, «ação» 日本" for i in range(150)]
    assert plain.mt.translate(rows, source="en", target="es") == simulated.MT.load(settings).translate(
        rows, source="en", target="es"
    )
    here = simulated.TTS.load(settings)
    for text in ("Olá, tudo bem?", "…"):
        there, local = (e.synthesize(text, voice="v", language="pt-BR", rate=1.1) for e in (plain.tts, here))
        assert there.sample_rate_hz == local.sample_rate_hz
        assert there.samples.dtype == np.float32
        np.testing.assert_array_equal(there.samples, local.samples)
    assert (plain.tts.sample_rate_hz, plain.tts.parallel) == (here.sample_rate_hz, here.parallel)


def test_errors_keep_their_class_code_and_hint(plain: Server, start: Start) -> None:
    with pytest.raises(InputError) as unknown:
        RemoteTts(plain.connection, choice("tts", "nonesuch")).synthesize("a", voice="v", language="es")
    assert unknown.value.code == "engine_unknown"
    assert "simulated" in unknown.value.hint
    assert "simulated" in unknown.value.details["engines"]
    failing = start(SIMULATED_ERROR_RATE="1")
    with pytest.raises(EngineError) as failed:
        failing.mt.translate(["a"], source="en", target="es")
    assert (type(failed.value), failed.value.code, failed.value.retryable) == (EngineError, "engine_simulated", True)


def test_what_is_no_call_is_refused(plain: Server) -> None:
    for body in (b"", b"\xff\xff\xff\xff{}", wire.frame({"choice": {}}), wire.frame({}, np.zeros(3, np.float32))):
        with post(plain.socket, body) as caller:
            assert b" 422 " in caller.recv(100)
    with pytest.raises(InputError):
        RemoteMt(plain.connection, choice("tts")).translate(["a"], source="en", target="es")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(plain.socket))
        caller.sendall(b"POST /v1/stt HTTP/1.1\r\nHost: engines\r\nContent-Length: 999999999999\r\n\r\n")
        assert b" 422 " in caller.recv(100)


def test_a_call_costs_about_a_millisecond(plain: Server) -> None:
    plain.mt.load()
    took_s: list[float] = []
    for _ in range(200):
        began_s = time.perf_counter()
        plain.mt.translate(["a"], source="en", target="es")
        took_s.append(time.perf_counter() - began_s)
    print(f"one call: median {median(took_s) * 1000:.2f} ms")
    assert median(took_s) < 0.01


def test_a_flood_waits_and_nothing_is_lost(start: Start) -> None:
    server = start(ENGINE_QUEUE="3", SIMULATED_DELAY_S="0.25")
    sentences = [f"number {i}" for i in range(16)]
    with ThreadPoolExecutor(16) as threads:
        answers = [threads.submit(server.mt.translate, [s], source="en", target="es") for s in sentences]
        until(lambda: server.queue("mt") == (3, 1), 5)
        with post(server.socket, translate_call("one more")) as caller:
            refused = caller.recv(4096).lower()
        assert b" 503 " in refused
        assert b"retry-after: 1" in refused
        hasty = Connection(server.socket, busy_s=0.0)
        with pytest.raises(EngineError) as busy:
            RemoteMt(hasty, choice("mt")).translate(["b"], source="en", target="es")
        hasty.close()
        assert (busy.value.code, busy.value.retryable) == ("engine_busy", True)
        assert [a.result()[0].text for a in answers] == [f"{s} [es]" for s in sentences]


def test_who_goes_away_gives_the_place_back(start: Start) -> None:
    server = start(SIMULATED_DELAY_S="1.5")
    callers = [post(server.socket, translate_call(f"call {i}")) for i in range(4)]
    until(lambda: server.queue("mt") == (3, 1), 5)
    for caller in callers:
        caller.close()
    until(lambda: server.queue("mt")[0] == 0, 0.5)
    until(lambda: server.queue("mt")[1] == 0, 5)
    (row,) = server.models()["models"]
    assert row["hits"] + row["misses"] == 1  # the other three never began


def test_a_server_killed_in_the_middle_is_lost_and_found_again(start: Start) -> None:
    server = start(SIMULATED_DELAY_S="1")
    mt = server.mt
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(mt.translate, ["a"], source="en", target="es")
        until(lambda: server.queue("mt") == (0, 1), 5)
        server.end(signal.SIGKILL)
        with pytest.raises(EngineError) as lost:
            call.result()
        assert (lost.value.code, lost.value.retryable) == ("engine_server_lost", True)
        impatient = Connection(server.socket, lost_s=0.3)
        with pytest.raises(EngineError) as away:
            RemoteMt(impatient, choice("mt")).translate(["a"], source="en", target="es")
        assert away.value.code == "engine_server_lost"
        again = threads.submit(mt.translate, ["b"], source="en", target="es")
        time.sleep(0.5)
        assert server.socket.exists()  # left behind by the killed one
        server.start()
        assert again.result()[0].text == "b [es]"


def test_stop_breaks_a_call_off(start: Start) -> None:
    server = start(SIMULATED_DELAY_S="20")
    timer = threading.Timer(0.4, STOP.set)
    try:
        timer.start()
        began_s = time.monotonic()
        with pytest.raises(Cancelled):
            server.tts.synthesize("a", voice="v", language="es")
        assert time.monotonic() - began_s < 0.4 + 0.5
    finally:
        timer.join()
        STOP.clear()
    began_s = time.monotonic()
    code, _ = server.end()  # a thread still sleeps in the engine
    assert code == 0
    assert time.monotonic() - began_s < 5


def test_prints_of_voices_come_back_in_their_shape(plain: Server) -> None:
    there = RemoteDiarize(plain.connection, choice("diarize"))
    at = np.arange(16_000) / 16_000
    audio = np.concatenate([np.sin(2 * np.pi * f * at) for f in (150.0, 600.0)]).astype(np.float32)
    spans = [Span(start_s=0, end_s=0.9), Span(start_s=0.1, end_s=1), Span(start_s=1.05, end_s=2)]
    prints = there.embed(audio, spans)
    likeness = prints @ prints.T
    assert likeness[0, 1] > 0.9
    assert likeness[0, 2] < 0.5
    assert there.embed(audio, []).shape == (0, prints.shape[1])


def test_idle_models_are_unloaded(start: Start) -> None:
    server = start(ENGINE_IDLE_S="0.5", PRELOAD_MODELS="true", SIMULATED_ENGINES="true")
    until(lambda: {m["kind"] for m in server.models()["models"]} == {"stt", "tts"}, 10)
    until(lambda: server.models()["models"] == [], 10)
    server.mt.translate(["a"], source="en", target="es")
    (row,) = server.models()["models"]
    assert (row["kind"], row["engine"], row["loads"], row["users"]) == ("mt", "simulated", 1, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_only_one_holds_a_socket(start: Start, number: int) -> None:
    server = start()
    first = server.process
    server.start()
    _, said = server.process.communicate(timeout=30)
    assert server.process.returncode == 1
    assert b"Another engine server" in said
    server.process = first
    code, said = server.end(number)
    assert (code, "Traceback" in said) == (0, False)
    assert not server.socket.exists()


def test_tasks_use_it_and_their_time_is_counted(plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks._engines, "get_settings", lambda: Settings(engine_socket=plain.socket))
    monkeypatch.setitem(remote._connections, plain.socket, plain.connection)  # which is closed at the end
    began_s = time.time()
    with tasks._engines.engine(choice("tts")) as voice:
        assert isinstance(voice, RemoteTts)
        assert len(voice.synthesize("Hola.", voice="v", language="es").samples)
    rows = ledger.intervals(began_s, thread=threading.get_ident())
    assert {"load:simulated", "tts:simulated"} == {r.part for r in rows}


def test_an_engine_is_loaded_beside_other_work(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    monkeypatch.setattr(tasks._engines, "get_settings", lambda: Settings(engine_socket=server.socket))
    monkeypatch.setitem(remote._connections, server.socket, server.connection)
    tasks._engines.load_ahead(choice("stt"))
    until(lambda: [m["kind"] for m in server.models()["models"]] == ["stt"], 10)
    tasks._engines.load_ahead(choice("mt", "no-such-engine"))  # the stage that wants it says what is wrong
    until(lambda: not [t for t in threading.enumerate() if t.name == "load-ahead"], 10)
