"""What a run tells of its progress: never back, and no more than was done."""

from __future__ import annotations

import pytest

from dubline.contract import STAGE_WEIGHTS, Progress
from tasks import _progress
from tasks._progress import Tracker


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Progress]:
    monkeypatch.setattr(_progress, "emit_event", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(_progress, "_LOCAL_STEP_S", 0.0)
    return []


def _tracker(told: list[Progress]) -> Tracker:
    tracker = Tracker()
    tracker.listen(told.append)
    tracker.begin("job")
    return tracker


def test_what_is_made_ahead_counts_for_itself_alone(told: list[Progress]) -> None:
    tracker = _tracker(told)
    tracker.set("extract", 1.0, "Extracting the sound")
    tracker.add("transcribe", 0.25, "Recognising speech")
    before = told[-1].percentage
    with tracker.ahead():
        tracker.set("transcribe", 1.0, "Recognising speech")
        tracker.set("translate", 1.0, "Translating")
    tracker.add("synthesize", 0.1, "Speaking")
    assert told[-1].stage == "synthesize"
    whole = sum(STAGE_WEIGHTS.values())
    assert told[-1].percentage - before == pytest.approx(100 * 0.1 * STAGE_WEIGHTS["synthesize"] / whole, abs=0.1)
    tracker.add("transcribe", 0.25, "Recognising speech")
    assert (told[-1].stage, told[-1].message) == ("synthesize", "Speaking")  # what is seen does not go back
    tracker.set("transcribe", 1.0, "Recognising speech")
    tracker.reach("synthesize")
    tracker.add("synthesize", 0.9, "Speaking")
    percentages = [p.percentage for p in told]
    assert percentages == sorted(percentages)


def test_a_stage_has_those_before_behind_it_though_the_cache_told_nothing(told: list[Progress]) -> None:
    tracker, other = _tracker(told), []
    tracker.set("fit", 1.0, "Fitting the lines")
    late = _tracker(other)
    for stage in ("ingest", "extract", "diarize", "transcribe", "segment", "separate", "translate", "synthesize"):
        late.set(stage, 1.0, "")
    late.set("fit", 1.0, "")
    assert told[-1].percentage == other[-1].percentage > 84


def test_shares_of_several_threads_add_up_to_the_stage_and_no_more(told: list[Progress]) -> None:
    tracker = _tracker(told)
    tracker.set("translate", 1.0, "Translating")
    for _ in range(30):
        tracker.add("synthesize", 0.05, "Speaking")
    whole = told[-1].percentage
    tracker.set("synthesize", 1.0, "Speaking")
    assert told[-1].percentage == whole
