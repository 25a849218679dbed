"""The work pool and its queues. No Prefect here: the light supervisor reads it, too."""

from __future__ import annotations

POOL = "dubline"

QUEUES = {"high": 1, "normal": 5, "batch": 10}
"""Queue name -> priority; a lower number goes first, strictly."""
