"""One instance a process, loaded once, counted, and unloaded least recently used first."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dubline.engines import pool, registry
from dubline.errors import EngineUnavailable
from dubline.models import EngineChoice
from dubline.settings import Settings


class Engine:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Plugin:
    def __init__(self) -> None:
        self.loads: list[str] = []
        self.fails = 0

    def memory_bytes(self, settings: Settings, model: str | None = None) -> int:
        return 60_000_000

    def load(self, settings: Settings, model: str | None = None) -> Engine:
        self.loads.append(model or "")
        time.sleep(0.02)
        if self.fails:
            self.fails -= 1
            raise EngineUnavailable("It cannot be loaded.")
        return Engine()


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Plugin:
    made = Plugin()
    monkeypatch.setattr(pool, "get", lambda *_: made)
    monkeypatch.setattr(pool, "_seats", {})
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(dubline_home=tmp_path, engine_memory_bytes=130_000_000)


def choice(model: str) -> EngineChoice:
    return EngineChoice(kind="tts", engine="fake", version="1", model=model, fingerprint=model)


def hold(model: str, settings: Settings) -> Any:
    with pool.acquire(choice(model), settings) as engine:
        return engine


def test_one_load_however_many_ask(plugin: Plugin, settings: Settings) -> None:
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(hold("a", settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plugin.loads == ["a"]
    assert len({id(e) for e in seen}) == 1


def test_the_least_recently_used_idle_engine_goes(plugin: Plugin, settings: Settings) -> None:
    first, second = hold("a", settings), hold("b", settings)
    hold("a", settings)
    hold("c", settings)
    assert (first.is_closed, second.is_closed) == (False, True)


def test_a_pretended_engine_takes_no_real_ones_place(
    plugin: Plugin, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = hold("a", settings), hold("b", settings)
    monkeypatch.setattr(pool, "get", lambda kind, engine: plugin if engine == "fake" else registry.get(kind, engine))
    for kind in ("stt", "mt", "tts"):
        pretended = EngineChoice(kind=kind, engine="simulated", version="1", fingerprint="1")
        with pool.acquire(pretended, settings):
            pass
    assert (first.is_closed, second.is_closed) == (False, False)


def test_an_engine_in_use_stays(plugin: Plugin, settings: Settings) -> None:
    with pool.acquire(choice("a"), settings) as first:
        hold("b", settings)
        hold("c", settings)
        assert not first.is_closed
        assert pool.unload_idle() == 1  # only c is left idle
        assert not first.is_closed
    assert pool.unload_idle("stt") == 0
    assert pool.unload_idle("tts") == 1
    assert first.is_closed


def test_a_failed_load_is_tried_again(plugin: Plugin, settings: Settings) -> None:
    plugin.fails = 1
    with pytest.raises(EngineUnavailable):
        hold("a", settings)
    assert not hold("a", settings).is_closed
    assert plugin.loads == ["a", "a"]


def test_only_what_was_idle_long_enough_goes(plugin: Plugin, settings: Settings) -> None:
    first = hold("a", settings)
    time.sleep(0.15)
    second = hold("b", settings)
    assert pool.unload_idle(idle_s=0.1) == 1
    assert (first.is_closed, second.is_closed) == (True, False)


def test_it_keeps_count(plugin: Plugin, settings: Settings) -> None:
    hold("a", settings)
    hold("a", settings)
    pool.unload_idle()
    assert pool.loaded() == []
    assert pool.peek(choice("a")) is None
    with pool.acquire(choice("a"), settings) as engine:
        assert pool.peek(choice("a")) is engine
        (row,) = pool.loaded()
    assert (row.kind, row.engine, row.model, row.users, row.size_bytes) == ("tts", "fake", "a", 1, 60_000_000)
    assert (row.hits, row.misses, row.loads, row.unloads) == (1, 2, 2, 1)


def test_without_a_cache_the_last_user_closes_the_door(plugin: Plugin, tmp_path: Path) -> None:
    settings = Settings(dubline_home=tmp_path, model_cache_enabled=False)
    with pool.acquire(choice("a"), settings) as first:
        assert hold("a", settings) is first
        assert not first.is_closed
    assert first.is_closed
    assert pool.loaded() == []
