"""publish: the manifest, written last. No manifest, no result."""

from __future__ import annotations

from dubline.contract import JobResult, manifest_record
from dubline.errors import ArtifactMissing
from dubline.storage.base import ArtifactStore


def publish(result: JobResult, store: ArtifactStore) -> None:
    """Check that every artifact is whole, then commit the manifest.

    Raises:
        ArtifactMissing: an artifact that the manifest would name is not there.
    """
    for artifact in result.artifacts:
        if not store.holds(artifact.ref):
            raise ArtifactMissing(f"The artifact {artifact.name} is gone.", hint="Run the job again.", retryable=True)
    store.put_record(manifest_record(result.job_id), result.model_dump_json(indent=1).encode())
