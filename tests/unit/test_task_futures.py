"""What a flow knows of the tasks that it started, with Prefect's own futures and no server."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any
from uuid import uuid4

import pytest
from prefect.futures import PrefectConcurrentFuture
from prefect.states import Completed

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
