from __future__ import annotations

import select
from pathlib import Path

import pytest

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


def test_where_nobody_listens_nothing_happens(settings: Settings) -> None:
    wake(settings)
    waking = Waking(settings)
    wake(settings)
    waking.close()
    wake(settings)
    later = Waking(settings)  # a worker that starts looks by itself
    assert not _is_woken(later)
    later.close()
