"""What a flow knows of the tasks that it started, with Prefect's own futures and no server."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import tags
from prefect.context import TagsContext
from prefect.futures import PrefectConcurrentFuture
from prefect.states import Completed

from dubline.storage.local import LocalStore
from flows._job import job_run
from tasks._run import Known, is_done


def test_no_server_is_asked_whether_a_task_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr("prefect.futures.get_client", away)
    inner: Future[Any] = Future()
    future: Any = PrefectConcurrentFuture(uuid4(), inner)
    with pytest.raises(ConnectionError):
        _ = future.state
    assert not is_done(future)
    inner.set_result(Completed())
    assert is_done(future)
    known: Any = Known("result")
    assert is_done(known)


def test_no_task_has_a_tag_of_its_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("flows._job.store", lambda: LocalStore(tmp_path))
    monkeypatch.setattr("tasks._progress.emit_event", lambda *_args, **_more: None)
    with tags("local"), job_run("00000000-0000-0000-0000-000000000000"):
        assert TagsContext.get().current_tags == set()
