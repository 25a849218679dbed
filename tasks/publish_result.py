"""publish: the manifest, last."""

from __future__ import annotations

from dubline.contract import JobResult
from dubline.stages.publish import publish
from tasks._policies import StageRequest, StageResult, stage_task, store
from tasks._progress import TRACKER


class PublishRequest(StageRequest):
    result: JobResult
    attempt: int = 1

    def identity(self):
        return self.model_dump(mode="json", exclude={"result": {"stats"}})


class PublishResult(StageResult):
    result: JobResult


@stage_task("publish", 1, name="publish result")
def publish_result(request: PublishRequest) -> PublishResult:
    """Commit the result."""
    publish(request.result, store())
    TRACKER.set("publish", 1.0, "Done")
    return PublishResult(result=request.result)
