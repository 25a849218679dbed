from __future__ import annotations

import asyncio
import select
from pathlib import Path

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.workers.process import ProcessWorker

from deployments.worker import DublineWorker
from dubline.settings import Settings
from dubline.waking import Waking, wake


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(dubline_home=tmp_path)


def _is_woken(waking: Waking) -> bool:
    return bool(select.select([waking], [], [], 0)[0])


def test_many_wakings_are_one(settings: Settings) -> None:
    waking = Waking(settings)
    assert not _is_woken(waking)
    for _ in range(70_000):  # more than a pipe holds: nobody waits for its reader
        wake(settings)
    assert _is_woken(waking)
    waking.clear()
    assert not _is_woken(waking)
    wake(settings)
    assert _is_woken(waking)
    waking.close()


async def test_a_woken_worker_looks_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = asyncio.Event()

    async def look(_worker: ProcessWorker) -> list[FlowRun]:
        looked.set()
        return []

    monkeypatch.setattr(ProcessWorker, "get_and_submit_flow_runs", look)
    listening = asyncio.create_task(DublineWorker(work_pool_name="any").look_when_woken(settings))
    await asyncio.sleep(0)
    for _ in range(2):
        assert not looked.is_set()
        wake(settings)
        await asyncio.wait_for(looked.wait(), 10)
        looked.clear()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


def test_where_nobody_listens_nothing_happens(settings: Settings) -> None:
    wake(settings)
    waking = Waking(settings)
    wake(settings)
    waking.close()
    wake(settings)
    later = Waking(settings)  # a worker that starts looks by itself
    assert not _is_woken(later)
    later.close()
