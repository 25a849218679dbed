"""The list of deployments: real entrypoints, and the same in `prefect.yaml` and in Python."""

from __future__ import annotations

import pytest
from prefect.flows import Flow

from deployments.registered import POOL, SPECS, DeploymentSpec, declared, load_flow, to_deployment
from dubline.contract import TranslateVideoParams


def test_the_two_lists_are_equal() -> None:
    rows = [
        DeploymentSpec(
            name=row["name"],
            entrypoint=row["entrypoint"],
            description=row["description"],
            tags=tuple(row["tags"]),
            queue=row["work_pool"]["work_queue_name"],
        )
        for row in declared()
    ]
    assert tuple(rows) == SPECS
    assert {row["work_pool"]["name"] for row in declared()} == {POOL}


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_every_entrypoint_is_dotted_and_loads_the_real_flow(spec: DeploymentSpec) -> None:
    assert ":" not in spec.entrypoint
    assert "/" not in spec.entrypoint
    flow = load_flow(spec)
    assert isinstance(flow, Flow)
    assert flow.fn.__name__ == spec.entrypoint.rpartition(".")[2]
    assert to_deployment(spec).entrypoint == spec.entrypoint


def test_the_flow_takes_one_strict_parameter() -> None:
    schema = load_flow(SPECS[0]).parameters
    assert list(schema.properties) == ["params"]
    assert TranslateVideoParams.model_config["extra"] == "forbid"
