"""Progress of the flow run of this process: weighted by cost, monotonic, throttled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from prefect.events import emit_event

from dubline.contract import STAGE_WEIGHTS, Progress, Stage

_STEP_PERCENT = 5.0
_STEP_S = 2.0
_LOCAL_STEP_S = 0.2

Listener = Callable[[Progress], None]


class Tracker:
    """Adds up the stages' shares. Thread-safe: mapped tasks report from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self.begin("")

    def begin(self, job_id: str, stages: Sequence[Stage] = tuple(STAGE_WEIGHTS)) -> None:
        """Start a run of these stages, in their order: everything from zero."""
        with self._lock:
            self._job_id = job_id
            self._shares: dict[Stage, float] = dict.fromkeys(stages, 0.0)
            self._top = 0.0
            self._sent = ("", -100.0, 0.0)
            self._shown_s = 0.0

    def listen(self, listener: Listener) -> None:
        """Also tell somebody in this process, as often as five times a second."""
        self._listeners.append(listener)

    def set(self, stage: Stage, share: float, message: str) -> None:
        """A stage has reached `share` (0 … 1)."""
        with self._lock:
            self._move(stage, max(self._shares.get(stage, 0.0), share))
            self._tell(stage, message)

    def add(self, stage: Stage, share: float, message: str) -> None:
        """A stage has gone on by `share`: for mapped tasks that do not know one another."""
        with self._lock:
            self._move(stage, self._shares.get(stage, 0.0) + share)
            self._tell(stage, message)

    def _move(self, stage: Stage, share: float) -> None:
        """A stage that reports has those before it behind it: what came from the cache reported nothing."""
        if stage not in self._shares:
            return
        for earlier in self._shares:
            if earlier == stage:
                break
            self._shares[earlier] = 1.0
        self._shares[stage] = min(1.0, share)

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
