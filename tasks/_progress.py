"""Progress of the flow run of this process: weighted by cost, monotonic, throttled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prefect.events import emit_event

from dubline.contract import STAGE_WEIGHTS, Progress, Stage

_STEP_PERCENT = 5.0
_STEP_S = 2.0
_LOCAL_STEP_S = 0.2

Listener = Callable[[Progress], None]


class Tracker:
    """Adds up the stages' shares. Thread-safe: mapped tasks report from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self.begin("")

    def begin(self, job_id: str, stages: Sequence[Stage] = tuple(STAGE_WEIGHTS)) -> None:
        """Start a run of these stages, in their order: everything from zero."""
        with self._lock:
            self._job_id = job_id
            self._shares: dict[Stage, float] = dict.fromkeys(stages, 0.0)
            self._top = 0.0
            self._last: tuple[Stage, str] = (stages[0], "")
            self._is_ahead = False
            self._sent = ("", -100.0, 0.0)
            self._shown_s = 0.0

    def listen(self, listener: Listener) -> None:
        """Also tell somebody in this process, as often as five times a second."""
        self._listeners.append(listener)

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """A beginning is made ahead of the rest: what a stage sets inside is true of the beginning alone."""
        self._is_ahead = True
        try:
            yield
        finally:
            self._is_ahead = False

    def reach(self, stage: Stage) -> None:
        """The run has come to a stage; those before are behind it, also where the cache had them and told nothing."""
        with self._lock:
            order = list(self._shares)
            behind = order[: order.index(stage)] if stage in order else ()
            self._shares.update(dict.fromkeys(behind, 1.0))

    def set(self, stage: Stage, share: float, message: str) -> None:
        """The run is at this stage, which has reached `share` (0 … 1)."""
        if self._is_ahead:
            return
        with self._lock:
            self.reach(stage)
            self._move(stage, max(self._shares.get(stage, 0.0), share), message)

    def add(self, stage: Stage, share: float, message: str) -> None:
        """A stage has gone on by `share`: for tasks that do not know one another, nor what goes on beside them."""
        with self._lock:
            self._move(stage, self._shares.get(stage, 0.0) + share, message)

    def _move(self, stage: Stage, share: float, message: str) -> None:
        if stage in self._shares:
            self._shares[stage] = min(1.0, share)
        order = list(self._shares)
        if stage in order and order.index(stage) < order.index(self._last[0]):
            stage, message = self._last  # the furthest that anything has come to: what is seen does not go back
        elif stage in order:
            self._last = stage, message
        self._tell(stage, message)

    def _tell(self, stage: Stage, message: str) -> None:
        whole = sum(STAGE_WEIGHTS[s] for s in self._shares)
        percentage = 100.0 * sum(STAGE_WEIGHTS[s] * v for s, v in self._shares.items()) / whole
        self._top = max(self._top, min(99.9, percentage))
        now_s = time.time()
        progress = Progress(
            job_id=self._job_id, stage=stage, percentage=round(self._top, 2), message=message, at_s=now_s
        )
        sent_stage, sent_percent, sent_s = self._sent
        turned = stage != sent_stage
        if turned or now_s - self._shown_s >= _LOCAL_STEP_S:
            self._shown_s = now_s
            for listener in self._listeners:
                listener(progress)
        if turned or self._top - sent_percent >= _STEP_PERCENT or now_s - sent_s >= _STEP_S:
            self._sent = (stage, self._top, now_s)
            emit_event(
                "dubline.progress",
                resource={"prefect.resource.id": f"dubline.job.{self._job_id}"},
                payload=progress.model_dump(mode="json"),
            )


TRACKER = Tracker()
"""One flow run owns its process, so one tracker serves all of its threads."""
