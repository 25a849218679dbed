"""The deployments as the local stack registers them in Python; a test holds them equal to `prefect.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.types.entrypoint import EntrypointType
from pydantic import BaseModel, ConfigDict

from deployments.queues import POOL


class DeploymentSpec(BaseModel):
    """One row of the list."""

    model_config = ConfigDict(frozen=True)

    name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    queue: str
    cron: str | None = None
    """When it runs by itself (UTC); a run is dropped while another one is going on."""


_NAME = "service"

SPECS = (
    DeploymentSpec(
        name=_NAME,
        entrypoint="flows.translate_video.translate_video",
        description="Dub one video.",
        tags=("dubline",),
        queue="normal",
    ),
    DeploymentSpec(
        name=_NAME,
        entrypoint="flows.process_media.process_media",
        description="Extract the sound of one file, or write down what is said in it.",
        tags=("dubline",),
        queue="normal",
    ),
    DeploymentSpec(
        name=_NAME,
        entrypoint="flows.sweep.sweep_storage",
        description="Remove what is older than the retention allows.",
        tags=("dubline",),
        queue="batch",
        cron="20 3 * * *",
    ),
)


# Not ENQUEUE: that one looks again only every 30 seconds.
_ALONE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


def load_flow(spec: DeploymentSpec) -> Flow[..., Any]:
    """The real flow behind an entrypoint; a broken import is an error here, not a placeholder."""
    return load_flow_from_entrypoint(spec.entrypoint, use_placeholder_flow=False)


def to_deployment(spec: DeploymentSpec) -> RunnerDeployment:
    """What is registered with the server."""
    # Typed as a coroutine too, which it is only inside an event loop.
    return load_flow(spec).to_deployment(  # pyright: ignore[reportReturnType]
        name=spec.name,
        description=spec.description,
        tags=list(spec.tags),
        work_pool_name=POOL,
        work_queue_name=spec.queue,
        enforce_parameter_schema=True,
        cron=spec.cron,
        concurrency_limit=_ALONE if spec.cron else None,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def declared() -> list[dict[str, Any]]:
    """The rows of `prefect.yaml`."""
    import yaml

    text = (Path(__file__).resolve().parents[1] / "prefect.yaml").read_text()
    return list(yaml.safe_load(text)["deployments"])
