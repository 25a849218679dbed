"""The sweep, as a task: never cached, since its answer is about now."""

from __future__ import annotations

from prefect import task

from dubline.settings import get_settings
from dubline.storage.retention import Swept, sweep
from tasks._policies import store


@task(name="sweep storage", persist_result=False)
def sweep_stores(retention_s: float) -> Swept:
    """Remove what is past its time and what nothing names."""
    settings = get_settings()
    return sweep(store(), settings.results_dir, settings.work_dir, retention_s=retention_s)
