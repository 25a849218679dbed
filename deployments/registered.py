"""The deployments as the local stack registers them in Python; a test holds them equal to `prefect.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.types.entrypoint import EntrypointType
from pydantic import BaseModel, ConfigDict

POOL = "dubline"


class DeploymentSpec(BaseModel):
    """One row of the list."""

    model_config = ConfigDict(frozen=True)

    name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    queue: str


SPECS = (
    DeploymentSpec(
        name="local",
        entrypoint="flows.translate_video.translate_video",
        description="Dub one video.",
        tags=("dubline",),
        queue="normal",
    ),
)


def load_flow(spec: DeploymentSpec) -> Flow[..., Any]:
    """The real flow behind an entrypoint; a broken import is an error here, not a placeholder."""
    return load_flow_from_entrypoint(spec.entrypoint, use_placeholder_flow=False)


def to_deployment(spec: DeploymentSpec) -> RunnerDeployment:
    """What is registered with the server."""
    return load_flow(spec).to_deployment(  # pyright: ignore[reportReturnType]
        name=spec.name,
        description=spec.description,
        tags=list(spec.tags),
        work_pool_name=POOL,
        work_queue_name=spec.queue,
        enforce_parameter_schema=True,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def declared() -> list[dict[str, Any]]:
    """The rows of `prefect.yaml`."""
    import yaml

    text = (Path(__file__).resolve().parents[1] / "prefect.yaml").read_text()
    return list(yaml.safe_load(text)["deployments"])
