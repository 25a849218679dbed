"""One line edited and rendered again on the whole running service: what is made anew, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.stack import Stack

pytestmark = pytest.mark.timeout(300)


def _artifacts(stack: Stack, job_id: str) -> dict[str, str]:
    rows = stack.call("GET", f"/api/v1/jobs/{job_id}/artifacts").json()["artifacts"]
    return {row["name"]: row["sha256"] for row in rows}


def _text(stack: Stack, job_id: str, name: str) -> str:
    return stack.call("GET", f"/api/v1/jobs/{job_id}/artifacts/{name}").text


def _render(stack: Stack, job_id: str, **body: Any) -> dict[str, Any]:
    started = stack.call("POST", f"/api/v1/jobs/{job_id}/render", json=body)
    assert started.status_code == 202, started.text
    job = stack.wait([job_id], 120)[job_id]
    assert job["status"] == "completed", job["error"]
    return job


def test_an_edited_line_is_the_one_that_is_spoken_again(stack: Stack) -> None:
    job_id = stack.submit()
    assert stack.wait([job_id], 120)[job_id]["status"] == "completed"
    first, spoken = _artifacts(stack, job_id), stack.spoken()
    at = f"/api/v1/jobs/{job_id}/transcript"
    before = stack.call("GET", at).json()
    assert len(before["segments"]) > 1
    line = before["segments"][0]
    assert line["fits"] is not None
    edit = {"op": "change", "id": line["id"], "text": "Buenos días.", "source_text": "Good morning."}
    kept = stack.call("PUT", at, json={"revision": 0, "edits": [edit]}).json()
    assert kept["plan"]["lines_again"] == [line["id"]]
    assert stack.spoken() == spoken

    job = _render(stack, job_id)
    assert job["attempt"] == 2
    assert stack.spoken() - spoken == {"Buenos días.": 1}
    second = _artifacts(stack, job_id)
    changed = {name for name in first if first[name] != second[name]}
    assert changed >= {"video", "audio_dubbed", "translation_json", "subtitles_target_srt", "transcript_txt", "report"}
    assert not changed & {"audio_source", "transcript_json", "lines_json"}
    assert "Buenos días." in _text(stack, job_id, "subtitles_target_srt")
    assert "Good morning." in _text(stack, job_id, "subtitles_source_srt")
    rows = json.loads(_text(stack, job_id, "translation_json"))["rows"]
    assert [r["id"] for r in rows] == [s["id"] for s in before["segments"]]
    assert [r["text"] for r in rows[1:]] == [s["text"] for s in before["segments"][1:]]
    after = stack.call("GET", at).json()
    assert (after["revision"], after["rendered_revision"]) == (1, 1)
    natural_s = rows[0]["natural_s"]
    assert kept["segments"][0]["estimated_s"] == pytest.approx(natural_s, abs=0.3)
    assert after["segments"][0]["spoken_start_s"] == rows[0]["spoken_start_s"]

    undone = stack.call("POST", f"{at}/undo", json={"revision": 1}).json()
    assert undone["plan"]["stages_again"] == ["publish"]
    _render(stack, job_id)
    assert _artifacts(stack, job_id) == first
    assert stack.spoken() - spoken == {"Buenos días.": 1}


@pytest.mark.slow  # tests/web/test_edit.py does the same by hand
def test_lines_split_deleted_and_given_a_voice_are_rendered_so(stack: Stack) -> None:
    job_id = stack.submit()
    assert stack.wait([job_id], 120)[job_id]["status"] == "completed"
    spoken = stack.spoken()
    at = f"/api/v1/jobs/{job_id}/transcript"
    lines = stack.call("GET", at).json()["segments"]
    cut = lines[0]["text"].index(" ")
    edits = [
        {"op": "split", "id": lines[0]["id"], "at_char": cut},
        {"op": "delete", "id": lines[1]["id"]},
    ]
    kept = stack.call("PUT", at, json={"revision": 0, "edits": edits}).json()
    halves = kept["segments"][:2]
    voice = {"op": "change", "id": halves[1]["id"], "voice": "sim_es"}
    assert stack.call("PUT", at, json={"revision": 1, "edits": [voice]}).status_code == 200
    _render(stack, job_id)
    assert set(stack.spoken() - spoken) == {h["text"] for h in halves}
    rows = json.loads(_text(stack, job_id, "translation_json"))["rows"]
    assert [r["text"] for r in rows] == [h["text"] for h in halves] + [s["text"] for s in lines[2:]]
    assert rows[1]["voice"] == "sim_es"
    assert rows[0]["end_s"] == rows[1]["start_s"]
