"""The daily sweep of the store."""

from __future__ import annotations

from prefect import flow
from pydantic import Field

from dubline.models import Frozen
from dubline.settings import get_settings
from dubline.storage.retention import Swept
from tasks.sweep_storage import sweep_stores


class SweepParams(Frozen):
    """The one parameter of `sweep_storage`."""

    retention_days: float | None = Field(default=None, gt=0, description="Instead of the setting RETENTION_DAYS.")


@flow(name="sweep_storage", retries=0, persist_result=False)
async def sweep_storage(params: SweepParams | None = None) -> Swept:
    """Remove results past their time and objects that no record names."""
    days = (params.retention_days if params else None) or get_settings().retention_days
    return sweep_stores(days * 24 * 3600.0)
