"""The list of deployments: real entrypoints, and the same in `prefect.yaml` and in Python."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from prefect.flows import Flow
from pydantic import BaseModel

from deployments.prefect_env import prefect_environment
from deployments.queues import POOL, QUEUES
from deployments.registered import SPECS, DeploymentSpec, declared, load_flow, to_deployment
from dubline.contract import ProcessMediaParams, TranslateVideoParams
from dubline.settings import Settings


def test_the_two_lists_are_equal() -> None:
    rows = [
        DeploymentSpec(
            name=row["name"],
            entrypoint=row["entrypoint"],
            description=row["description"],
            tags=tuple(row["tags"]),
            queue=row["work_pool"]["work_queue_name"],
            cron=row["schedules"][0]["cron"] if "schedules" in row else None,
        )
        for row in declared()
    ]
    assert tuple(rows) == SPECS
    assert {row["work_pool"]["name"] for row in declared()} == {POOL}
    assert {spec.queue for spec in SPECS} <= set(QUEUES)


def test_a_scheduled_deployment_never_runs_twice_at_once() -> None:
    scheduled = [row for row in declared() if "schedules" in row]
    assert scheduled
    for row in scheduled:
        assert row["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
        made = to_deployment(next(s for s in SPECS if s.entrypoint == row["entrypoint"]))
        assert made.concurrency_limit == 1
        assert made.concurrency_options is not None
        assert made.concurrency_options.collision_strategy.value == "CANCEL_NEW"


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.entrypoint)
def test_every_entrypoint_is_dotted_and_loads_the_real_flow(spec: DeploymentSpec) -> None:
    assert ":" not in spec.entrypoint
    assert "/" not in spec.entrypoint
    flow = load_flow(spec)
    assert isinstance(flow, Flow)
    assert flow.fn.__name__ == spec.entrypoint.rpartition(".")[2]
    assert to_deployment(spec).entrypoint == spec.entrypoint


@pytest.mark.parametrize(("spec", "model"), [(SPECS[0], TranslateVideoParams), (SPECS[1], ProcessMediaParams)])
def test_the_flow_takes_one_strict_parameter(spec: DeploymentSpec, model: type[BaseModel]) -> None:
    schema = load_flow(spec).parameters
    assert list(schema.properties) == ["params"]
    assert model.model_config.get("extra") == "forbid"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("", "sqlite+aiosqlite:///{home}/prefect/prefect.db"),
        ("postgresql://u:p@db/prefect", "postgresql+asyncpg://u:p@db/prefect"),
        ("postgresql+asyncpg://u:p@db/prefect", "postgresql+asyncpg://u:p@db/prefect"),
    ],
)
def test_prefect_keeps_its_rows_where_it_is_told(
    given: str, used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUBLINE_PREFECT_DATABASE_URL", given)
    monkeypatch.setenv("DUBLINE_HOME", str(tmp_path))
    values = prefect_environment(Settings())
    assert values["PREFECT_API_DATABASE_CONNECTION_URL"] == used.format(home=tmp_path)


def test_a_client_without_tls_reads_one_certificate_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUBLINE_HOME", str(tmp_path))
    name = "PREFECT_API_SSL_CERT_FILE"
    plain = prefect_environment(Settings(), "http://127.0.0.1:4200/api")
    assert len(ssl.create_default_context(cafile=plain[name]).get_ca_certs()) == 1
    assert name not in prefect_environment(Settings(), "https://prefect.example/api")
    assert name not in prefect_environment(Settings())
