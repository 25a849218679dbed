"""Every call that the API makes to Prefect, made to the Prefect server of a running stack."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing

import pytest

from api.orchestrator import PrefectOrchestrator
from api.runs import OrchestratorUnavailable, RunRefused, RunState
from dubline.contract import TranslateVideoParams
from dubline.models import DubOptions
from tests.contracts.faulty_server import FaultyServer
from tests.stack import Stack

_FLOW = "translate_video"


@pytest.fixture(autouse=True)
def _as_the_api(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"{stack.state['urls']['prefect']}/api")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", (stack.home / "prefect" / "auth").read_text())


def _parameters(job_id: str) -> dict[str, object]:
    """Of a job whose source is not there."""
    params = TranslateVideoParams(
        job_id=job_id, source_uri="file:///nowhere/talk.mp4", options=DubOptions(target_language="es")
    )
    return params.model_dump(mode="json")


async def _until(prefect: PrefectOrchestrator, run_id: str, kinds: set[str]) -> str:
    async with asyncio.timeout(60), aclosing(prefect.events()) as events:
        async for event in events:
            if isinstance(event, RunState) and event.run_id == run_id and event.type in kinds:
                return event.type
    raise AssertionError("the events ended")


def test_parameters_that_prefect_takes_for_instructions_are_refused_for_good() -> None:
    async def main() -> None:
        prefect = PrefectOrchestrator()
        job_id = str(uuid.uuid4())
        parameters = _parameters(job_id)
        parameters["options"] = {"target_language": "es", "glossary": {"__prefect_kind": "jinja"}}
        with pytest.raises(RunRefused):
            await prefect.create_run(
                flow=_FLOW, parameters=parameters, queue="high", key=uuid.uuid4().hex, job_id=job_id
            )
        await prefect.close()

    asyncio.run(main())


def test_a_run_from_its_making_to_its_end() -> None:
    async def main() -> None:
        prefect = PrefectOrchestrator()
        job_id, key = str(uuid.uuid4()), uuid.uuid4().hex
        await prefect.check()
        made = await prefect.create_run(
            flow=_FLOW, parameters=_parameters(job_id), queue="high", key=key, job_id=job_id
        )
        again = await prefect.create_run(
            flow=_FLOW, parameters=_parameters(job_id), queue="high", key=key, job_id=job_id
        )
        assert again.run_id == made.run_id
        assert (await prefect.open_runs()).get(made.run_id) == job_id
        assert await _until(prefect, made.run_id, {"FAILED", "CRASHED", "CANCELLED", "COMPLETED"}) == "FAILED"
        unknown = str(uuid.uuid4())
        states = await prefect.read_runs([made.run_id, unknown])
        assert set(states) == {made.run_id}
        assert (states[made.run_id].type, states[made.run_id].name) == ("FAILED", "Failed")
        assert made.run_id not in await prefect.open_runs()
        async with asyncio.timeout(20):  # Prefect records tasks a moment later
            while not (tasks := await prefect.tasks(made.run_id)):
                await asyncio.sleep(0.2)
        assert tasks[0].name.startswith("ingest")
        assert tasks[0].started_s
        await prefect.cancel(made.run_id)  # it has ended: nothing
        await prefect.cancel(unknown)
        assert (await prefect.read_runs([made.run_id]))[made.run_id].type == "FAILED"
        await prefect.resume(made.run_id, "again")
        # Taken up by the worker a second time, which it is only with a time to start at.
        assert await _until(prefect, made.run_id, {"RUNNING"}) == "RUNNING"
        await prefect.end(made.run_id, "CANCELLED", "enough")
        assert (await prefect.read_runs([made.run_id]))[made.run_id].name == "Cancelled"
        await prefect.end(unknown, "CRASHED", "nobody")
        await prefect.close()

    asyncio.run(main())


def test_workers_and_queues_are_those_of_the_pool() -> None:
    async def main() -> None:
        prefect = PrefectOrchestrator()
        workers = await prefect.workers()
        assert workers
        assert workers[0].status == "online"
        assert workers[0].heartbeat_s
        assert {"high", "normal", "batch"} <= {q.name for q in await prefect.queues()}
        await prefect.close()

    asyncio.run(main())


def test_a_busy_server_is_asked_again_and_one_that_is_away_is_said_to_be(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        faulty = FaultyServer(stack.state["urls"]["prefect"], share=0.3, faults=("busy",))
        monkeypatch.setenv("PREFECT_API_URL", f"{faulty.url}/api")
        prefect = PrefectOrchestrator()
        for _ in range(10):
            assert await prefect.queues()
        assert faulty.given["busy"] >= 2
        await prefect.close()
        faulty.stop()
        prefect = PrefectOrchestrator()
        with pytest.raises(OrchestratorUnavailable):
            await prefect.queues()
        with pytest.raises(OrchestratorUnavailable):
            await anext(prefect.events())
        await prefect.close()

    asyncio.run(main())


def test_without_the_password_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "dubline:guessed")
        prefect = PrefectOrchestrator()
        with pytest.raises(OrchestratorUnavailable):
            await prefect.read_runs([str(uuid.uuid4())])
        with pytest.raises(OrchestratorUnavailable):
            await anext(prefect.events())
        await prefect.close()

    asyncio.run(main())
