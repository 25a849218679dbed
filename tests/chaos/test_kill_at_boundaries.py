"""kill -9 of every part at every stage boundary: every job ends right, nothing is lost, doubled or spoken again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.stack import ROLES, STAGES, Stack

pytestmark = pytest.mark.timeout(3600)
_IN_FLIGHT = 2  # texts that the two threads of a run may be speaking at the moment of a kill
_AFTER_SPEECH = STAGES[STAGES.index("fit") :]


@pytest.fixture(scope="module")
def stack(start_stack: Callable[..., Stack]) -> Stack:
    return start_stack()


@pytest.mark.parametrize("role", ROLES)
def test_a_part_is_killed_early(role: str, stack: Stack) -> None:
    sweep(stack, role, ("ingest",))  # when most of the flow has yet to do without it


@pytest.mark.chaos
@pytest.mark.parametrize("role", ROLES)
def test_a_part_is_killed_at_every_stage_boundary(role: str, stack: Stack) -> None:
    sweep(stack, role, STAGES)


@pytest.mark.chaos
def test_the_same_on_postgresql_and_s3(start_stack: Callable[..., Stack], s3_and_postgres: dict[str, str]) -> None:
    stack = start_stack(**s3_and_postgres)
    for role in ("flow", "worker", "api"):
        sweep(stack, role, ("extract", "transcribe", "synthesize", "mix", "publish"))


def sweep(stack: Stack, role: str, stages: tuple[str, ...]) -> None:
    """One job a stage; the part is killed the moment the stage's result is there."""
    began_s = time.monotonic()
    jobs: dict[str, str] = {}
    repeats_before = _repeats(stack)
    for stage in stages:
        before = stack.records(stage)
        job_id = stack.submit()
        stack.at_boundary(stage, before, job_id)
        stack.kill(role, job_id)
        jobs[job_id] = stage
        stack.wait_ready()
        # One after the other, so that a kill at a late stage can be told from one in the middle of the speech.
        rows = stack.wait([job_id], 180)
        assert rows[job_id]["status"] == "completed", (role, stage, rows[job_id]["error"])
        repeats = _repeats(stack) - repeats_before
        assert repeats <= (0 if stage in _AFTER_SPEECH else _IN_FLIGHT), (role, stage, repeats)
        repeats_before += repeats
    stack.check_whole(list(jobs))
    print(f"\nR1 {role}: {len(jobs)} kills, lost 0, doubled 0, {time.monotonic() - began_s:.0f} s")


def _repeats(stack: Stack) -> int:
    return sum(n - 1 for n in stack.spoken().values())
