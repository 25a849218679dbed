"""Edit, undo, render: every answer of the transcript's paths. Runs are pretended; what they leave is real."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.transcripts import Made, own_voices
from dubline.contract import revision_record
from dubline.engines.registry import choose_tts
from dubline.models import DubOptions
from dubline.stages.synthesize import line_key
from dubline.storage.retention import sweep
from tests.api.conftest import LINES, Harness, natural_s


@pytest.fixture
def job_id(harness: Harness) -> str:
    made = harness.upload(target_language="es", source_language="en")["job_id"]
    harness.complete(made)
    harness.until(made, status="completed")
    return made


def _read(harness: Harness, job_id: str) -> dict[str, Any]:
    answer = harness.client.get(f"/api/v1/jobs/{job_id}/transcript")
    assert answer.status_code == 200, answer.text
    return answer.json()


def _put(harness: Harness, job_id: str, revision: int, *edits: dict[str, Any], **fields: Any) -> Any:
    body = {"revision": revision, "edits": list(edits), **fields}
    return harness.client.put(f"/api/v1/jobs/{job_id}/transcript", json=body)


def _undo(harness: Harness, job_id: str, revision: int) -> Any:
    return harness.client.post(f"/api/v1/jobs/{job_id}/transcript/undo", json={"revision": revision})


def _render(harness: Harness, job_id: str, **body: Any) -> Any:
    return harness.client.post(f"/api/v1/jobs/{job_id}/render", json=body)


def _texts(body: dict[str, Any]) -> list[str]:
    return [s["text"] for s in body["segments"]]


def test_a_transcript_as_it_was_made(harness: Harness, job_id: str) -> None:
    body = _read(harness, job_id)
    assert (body["revision"], body["rendered_revision"]) == (0, 0)
    assert [r["revision"] for r in body["revisions"]] == [0]
    first = body["segments"][0]
    assert first["id"] == "u0"
    assert (first["source_text"], first["text"], first["speaker"]) == (LINES[0].utterance.text, LINES[0].text, "S1")
    assert (first["voice"], first["edited"], first["fits"]) == ("sim_es", False, True)
    assert (first["spoken_start_s"], first["slot_s"]) == (0.0, 1.92)
    assert first["estimated_s"] == pytest.approx(natural_s(first["text"]), abs=0.001)


def test_an_edit_is_kept_with_a_plan_and_nothing_is_made(harness: Harness, job_id: str) -> None:
    answer = _put(harness, job_id, 0, {"op": "change", "id": "u1", "text": "Una prueba."}, note="shorter")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert _texts(body) == [LINES[0].text, "Una prueba.", LINES[2].text, LINES[3].text]
    assert [s["edited"] for s in body["segments"]] == [False, True, False, False]
    assert (body["revision"], body["rendered_revision"]) == (1, 0)
    assert [(r["revision"], r["note"]) for r in body["revisions"]] == [(0, ""), (1, "shorter")]
    edited = body["segments"][1]
    assert (edited["spoken_start_s"], edited["estimated_s"]) == (
        None,
        pytest.approx(natural_s("Una prueba."), abs=0.01),
    )
    plan = body["plan"]
    assert plan["lines_again"] == ["u1"]
    assert plan["stages_again"] == ["synthesize", "fit", "mix", "subtitle", "mux", "preview", "report", "publish"]
    # Six stages of a second: all of two, a share of four, of which two are beside one another; and the eleventh part
    # or so of four lines' eight seconds.
    assert 2 + 3 * 0.3 < plan["seconds_expected"] < 2 + 3 * 0.45 + 8 / 6
    assert plan["warnings"] == []
    assert harness.job(job_id)["attempt"] == 1
    assert harness.job(job_id)["status"] == "completed"


def test_split_merge_delete_times_and_voice(harness: Harness, job_id: str) -> None:
    split = _put(
        harness, job_id, 0, {"op": "split", "id": "u0", "at_char": 11, "source_at_char": 5, "at_s": 0.7}
    ).json()
    assert _texts(split)[:2] == ["Hola a todo", "el mundo."]
    assert [s["source_text"] for s in split["segments"][:2]] == ["Hello", "to everybody."]
    assert split["segments"][0]["end_s"] == split["segments"][1]["start_s"] == 0.7
    first, second = (s["id"] for s in split["segments"][:2])
    assert split["plan"]["lines_again"] == [first, second]
    merged = _put(harness, job_id, 1, {"op": "merge", "id": first, "with_id": second}).json()
    assert merged["plan"]["lines_again"] == [], "its text is spoken already"
    deleted = _put(harness, job_id, 2, {"op": "delete", "id": "u3"}).json()
    assert (len(deleted["segments"]), deleted["segments"][-1]["slot_s"]) == (3, 4.0)
    moved = _put(harness, job_id, 3, {"op": "change", "id": "u2", "start_s": 4.5, "end_s": 6.5}).json()
    assert moved["plan"]["lines_again"] == []
    assert (moved["segments"][2]["start_s"], moved["segments"][2]["end_s"]) == (4.5, 6.5)
    corrected = _put(harness, job_id, 4, {"op": "change", "id": "u1", "source_text": "That is a test."}).json()
    assert corrected["segments"][1]["source_text"] == "That is a test."
    voiced = _put(harness, job_id, 5, {"op": "change", "id": "u1", "voice": "sim_es"}).json()
    assert voiced["segments"][1]["voice"] == "sim_es"


def test_only_the_source_text_leaves_the_sound(harness: Harness, job_id: str) -> None:
    plan = _put(harness, job_id, 0, {"op": "change", "id": "u1", "source_text": "That is a test."}).json()["plan"]
    assert plan["stages_again"] == ["fit", "subtitle", "mux", "preview", "report", "publish"]


def test_a_line_that_will_not_fit_is_told_with_a_shorter_wording(harness: Harness, job_id: str) -> None:
    long = "Esto que ustedes oyen ahora no es otra cosa que una prueba de las que se hacen siempre."
    plan = _put(harness, job_id, 0, {"op": "change", "id": "u1", "text": long}).json()["plan"]
    (warning,) = [w for w in plan["warnings"] if w["id"] == "u1"]
    assert "slot" in warning["message"] or "fast" in warning["message"]
    assert warning["proposal"] == LINES[1].text


def test_a_text_that_the_store_has_is_not_spoken_again(harness: Harness, job_id: str) -> None:
    choice = choose_tts(harness.service.settings, engine="simulated", language="es", voice=None)
    harness.store.put_record(f"utterances/{line_key('Una prueba.', 'es', choice)}.json", b"{}")
    plan = _put(harness, job_id, 0, {"op": "change", "id": "u1", "text": "Una prueba."}).json()["plan"]
    assert (plan["lines_again"], plan["stages_again"][0]) == ([], "fit")


def test_a_speakers_voice_is_that_of_most_lines_which_nobody_gave_another() -> None:
    lines = [line.model_copy(update={"voice": "asked" if n == 3 else ""}) for n, line in enumerate(LINES)]
    voices = dict(zip((line.utterance.id for line in LINES), ("fallback", "low", "low", "asked"), strict=True))
    rows: Any = {name: SimpleNamespace(voice=voice) for name, voice in voices.items()}
    result: Any = None
    assert own_voices(Made(result, DubOptions(target_language="es"), LINES, tuple(lines), rows)) == {"S1": "low"}


@pytest.mark.parametrize(
    ("edit", "field", "code"),
    [
        ({"op": "change", "id": "u9", "text": "x"}, "edits.0.id", "line_unknown"),
        ({"op": "change", "id": "u1", "text": "  "}, "edits.0.text", "edit_invalid"),
        ({"op": "change", "id": "u1", "start_s": 0.5}, "edits.0.start_s", "edit_invalid"),
        ({"op": "change", "id": "u3", "end_s": 99}, "edits.0.end_s", "edit_invalid"),
        ({"op": "change", "id": "u1", "voice": "nobody"}, "edits.0.voice", "voice_unknown"),
        ({"op": "merge", "id": "u0", "with_id": "u2"}, "edits.0.with_id", "line_unknown"),
        ({"op": "split", "id": "u2", "at_char": 500}, "edits.0.at_char", "edit_invalid"),
        ({"op": "sing", "id": "u2"}, "edits.0", "request_invalid"),
        ({"op": "change", "id": "u1", "text": "x" * 2001}, "edits.0.change.text", "request_invalid"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_with_its_field(
    harness: Harness, job_id: str, edit: dict[str, Any], field: str, code: str
) -> None:
    answer = _put(harness, job_id, 0, edit)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert [e["field"] for e in answer.json()["errors"]] == [field]
    assert _read(harness, job_id)["revision"] == 0


def test_edits_of_an_old_revision_are_refused(harness: Harness, job_id: str) -> None:
    edit = {"op": "change", "id": "u1", "text": "Una prueba."}
    assert _put(harness, job_id, 0, edit).status_code == 200
    for late in (_put(harness, job_id, 0, edit), _put(harness, job_id, 7, edit), _undo(harness, job_id, 0)):
        assert (late.status_code, late.json()["code"]) == (409, "transcript_changed")
        assert late.json()["details"] == {"revision": 1}


def test_undo_goes_back_step_by_step_and_keeps_the_history(harness: Harness, job_id: str) -> None:
    none = _undo(harness, job_id, 0)
    assert (none.status_code, none.json()["code"]) == (409, "nothing_to_undo")
    _put(harness, job_id, 0, {"op": "change", "id": "u1", "text": "Una."})
    _put(harness, job_id, 1, {"op": "change", "id": "u1", "text": "Dos."})
    once = _undo(harness, job_id, 2).json()
    assert (once["revision"], _texts(once)[1]) == (3, "Una.")
    twice = _undo(harness, job_id, 3).json()
    assert (twice["revision"], _texts(twice)) == (4, [line.text for line in LINES])
    assert twice["plan"]["stages_again"] == ["publish"]
    assert len(twice["revisions"]) == 5
    assert _undo(harness, job_id, 4).json()["code"] == "nothing_to_undo"
    again = _put(harness, job_id, 4, {"op": "change", "id": "u2", "text": "Tres."}).json()
    assert _texts(again)[1:3] == [LINES[1].text, "Tres."]


def test_render_begins_a_new_attempt_and_the_old_result_stays_until_it_is_done(harness: Harness, job_id: str) -> None:
    _put(harness, job_id, 0, {"op": "change", "id": "u1", "text": "Una prueba."})
    dry = _render(harness, job_id, dry_run=True)
    assert (dry.status_code, dry.json()["plan"]["lines_again"]) == (200, ["u1"])
    assert harness.job(job_id)["attempt"] == 1
    started = _render(harness, job_id)
    assert (started.status_code, started.json()["status"], started.json()["attempt"]) == (202, "queued", 2)
    run_id = harness.run_of(job_id)
    parameters = harness.orchestrator.runs[run_id]["parameters"]
    assert (parameters["revision"], parameters["attempt"]) == (1, 2)
    assert [(e["id"], e["text"]) for e in parameters["options"]["edits"]] == [("u1", "Una prueba.")]
    for busy in (_render(harness, job_id), _render(harness, job_id, dry_run=True)):
        assert (busy.status_code, busy.json()["code"]) == (409, "job_status")
    assert harness.client.get(f"/api/v1/jobs/{job_id}/download").content[:1] == b"0"
    assert _read(harness, job_id)["rendered_revision"] == 0
    assert _put(harness, job_id, 1, {"op": "delete", "id": "u3"}).status_code == 200, "edited while it is rendered"
    harness.complete(job_id)
    harness.until(job_id, status="completed", attempt=2)
    assert harness.client.get(f"/api/v1/jobs/{job_id}/download").content[:1] == b"1"
    body = _read(harness, job_id)
    assert (body["revision"], body["rendered_revision"], len(body["segments"])) == (2, 1, 3)
    assert body["segments"][1]["spoken_start_s"] == 2.0
    kinds = [e["type"] for e in harness.client.get(f"/api/v1/jobs/{job_id}/events").json()["events"]]
    assert kinds.count("rendered") == 1


def test_an_older_revision_is_rendered_when_it_is_named(harness: Harness, job_id: str) -> None:
    _put(harness, job_id, 0, {"op": "change", "id": "u1", "text": "Una prueba."})
    _render(harness, job_id)
    harness.complete(job_id)
    harness.until(job_id, status="completed", attempt=2)
    plan = _render(harness, job_id, revision=0, dry_run=True).json()["plan"]
    assert plan["stages_again"] == ["publish"], "it was rendered before"
    assert _render(harness, job_id, revision=0).status_code == 202
    run_id = harness.run_of(job_id)
    assert harness.orchestrator.runs[run_id]["parameters"]["options"]["edits"] == []
    harness.complete(job_id)
    harness.until(job_id, status="completed", attempt=3)
    assert _read(harness, job_id)["rendered_revision"] == 0
    unknown = _render(harness, job_id, revision=5)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "revision_unknown")


def test_a_render_that_fails_leaves_the_result_there_and_can_be_retried(harness: Harness, job_id: str) -> None:
    _put(harness, job_id, 0, {"op": "change", "id": "u1", "text": "Una prueba."})
    _render(harness, job_id)
    harness.fail(job_id)
    harness.until(job_id, status="failed")
    assert harness.client.get(f"/api/v1/jobs/{job_id}/download").content[:1] == b"0"
    assert harness.client.post(f"/api/v1/jobs/{job_id}/retry").status_code == 202
    harness.until(job_id, attempt=3)
    assert harness.client.get(f"/api/v1/jobs/{job_id}/download").status_code == 200
    assert harness.orchestrator.runs[harness.run_of(job_id)]["parameters"]["revision"] == 1
    harness.complete(job_id)
    harness.until(job_id, status="completed")
    assert _read(harness, job_id)["rendered_revision"] == 1


def test_before_there_is_a_result_and_where_nothing_is_dubbed(harness: Harness) -> None:
    waiting = harness.upload(target_language="es")["job_id"]
    for answer in (
        harness.client.get(f"/api/v1/jobs/{waiting}/transcript"),
        _put(harness, waiting, 0, {"op": "delete", "id": "u1"}),
        _undo(harness, waiting, 0),
        _render(harness, waiting),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "job_not_completed")
    assert _put(harness, "nothing", 0, {"op": "delete", "id": "u1"}).status_code == 404
    file_id = harness.upload()["file_id"]
    heard = harness.client.post("/api/v1/jobs", json={"file_id": file_id, "job_type": "transcription"}).json()["id"]
    run_id = harness.run_of(heard)
    harness.orchestrator.runs[run_id]["parameters"] = harness.orchestrator.runs[harness.run_of(waiting)]["parameters"]
    harness.complete(heard)
    harness.until(heard, status="completed")
    fixed = _put(harness, heard, 0, {"op": "delete", "id": "u1"})
    assert (fixed.status_code, fixed.json()["code"]) == (409, "transcript_fixed")


def test_a_result_of_an_older_version_is_read_and_not_edited(harness: Harness, job_id: str) -> None:
    async def forget() -> None:
        from api.tables import Job

        async with harness.service.db.begin() as session:
            job = await session.get(Job, job_id)
            assert job is not None
            assert job.result is not None
            artifacts = [a for a in job.result["artifacts"] if a["name"] != "lines_json"]
            job.result = {**job.result, "artifacts": artifacts}
            session.add(job)

    harness.soon(forget)
    assert _texts(_read(harness, job_id)) == [line.text for line in LINES]
    for answer in (
        _put(harness, job_id, 0, {"op": "delete", "id": "u1"}),
        _render(harness, job_id, dry_run=True),
        _render(harness, job_id),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "transcript_not_kept")


def test_the_sweep_keeps_what_a_kept_revision_names_and_deleting_the_job_takes_it_all(
    harness: Harness, job_id: str, tmp_path: Path
) -> None:
    first = harness.client.get(f"/api/v1/jobs/{job_id}/artifacts").json()["artifacts"]
    _put(harness, job_id, 0, {"op": "change", "id": "u1", "text": "Una prueba."})
    _render(harness, job_id)
    harness.complete(job_id)
    harness.until(job_id, status="completed", attempt=2)
    second = harness.client.get(f"/api/v1/jobs/{job_id}/artifacts").json()["artifacts"]
    old = {a["sha256"] for a in first} - {a["sha256"] for a in second}
    assert old
    days_s = 24 * 3600.0
    sweep(
        harness.store, tmp_path / "results", tmp_path / "work", retention_s=30 * days_s, now_s=time.time() + 2 * days_s
    )
    there = {b.sha256 for b in harness.store.blobs()}
    assert {a["sha256"] for a in (*first, *second)} <= there
    record = json.loads(harness.store.get_record(revision_record(job_id, 0)) or b"{}")
    assert record["revision"] == 0
    assert harness.client.delete(f"/api/v1/jobs/{job_id}").status_code == 200
    assert not list(harness.store.records("jobs"))
    assert not {a["sha256"] for a in (*first, *second)} & {b.sha256 for b in harness.store.blobs()}
