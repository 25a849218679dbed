"""Jobs that do not dub, with the simulated recogniser on a spoken clip, against a real Prefect server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pysubs2
import pytest
import soundfile
from numpy.typing import NDArray

from dubline.contract import JobResult, failure_record, manifest_record
from dubline.engines.pool import acquire
from dubline.engines.registry import choose_tts
from dubline.errors import InputError
from dubline.media import argv
from dubline.media.extract import extract_speech
from dubline.media.picture import make_clip
from dubline.media.probe import probe
from dubline.media.runner import run_ffmpeg
from dubline.models import ArtifactRef
from dubline.settings import Settings, get_settings
from dubline.stages.ingest import locate
from dubline.storage.local import LocalStore

_ROOT = Path(__file__).resolve().parents[2]
_MEDIA = "flows.process_media.process_media"
_DUB = "flows.translate_video.translate_video"
_SILENCE_S = 0.8
_SIMULATED = {"stt_engine": "simulated", "source_language": "en"}


@pytest.fixture(scope="module")
def home(new_home: Callable[[], Path]) -> Path:
    return new_home()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds in which a voice really speaks, so that the real voice activity model finds it."""
    folder = tmp_path_factory.mktemp("in")
    settings = get_settings()
    choice = choose_tts(settings, engine="espeak", language="en", voice=None)
    with acquire(choice, settings) as voice:
        rate_hz = int(voice.sample_rate_hz)
        quiet = np.zeros(int(_SILENCE_S * rate_hz), np.float32)
        said = [
            voice.synthesize(text, voice=choice.voice, language="en").samples
            for text in ("Every language has a music of its own.", "A good dub lets you hear it in the other one.")
        ]
    sound = np.concatenate([quiet, said[0], quiet, said[1], quiet])
    soundfile.write(folder / "speech.wav", sound, rate_hz)
    make_clip(folder / "speech.wav", len(sound) / rate_hz, folder / "talk.mp4", work_dir=folder)
    return folder / "talk.mp4"


@pytest.fixture(scope="module")
def store(home: Path) -> LocalStore:
    return LocalStore(home / "artifacts")


@pytest.fixture(scope="module")
def stored(clip: Path, store: LocalStore) -> str:
    """The clip as the API keeps it."""
    ref = store.put_file(clip, "application/octet-stream")
    return f"{ref.uri}?size={ref.size_bytes}"


def _run(home: Path, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("flow_driver.py"))],
        input=json.dumps(requests),
        env={**os.environ, "DUBLINE_HOME": str(home), "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def _media(job_id: str, source_uri: str, job_type: str, **options: Any) -> dict[str, Any]:
    params = {"job_id": job_id, "source_uri": source_uri, "job_type": job_type, "options": options}
    return {"flow": _MEDIA, "params": params}


def _read(store: LocalStore, result: JobResult, name: str) -> str:
    return store.read_bytes(result.artifact(name).ref).decode()


def _level_db(samples: NDArray[Any]) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-9))


@pytest.fixture(scope="module")
def runs(home: Path, clip: Path, stored: str) -> list[dict[str, Any]]:
    dub = {
        "source_language": "en",
        "target_language": "es",
        "stt_engine": "simulated",
        "translation_engine": "simulated",
        "tts_engine": "simulated",
        "listen": "off",
    }
    return _run(
        home,
        _media("written", stored, "transcription", **_SIMULATED),
        {"flow": _DUB, "params": {"job_id": "dubbed", "source_uri": f"file://{clip}", "options": dub}},
        _media("again", f"file://{clip}", "transcription", **_SIMULATED),
    )


def test_a_transcription_has_times_words_and_subtitles(runs: list[dict[str, Any]], store: LocalStore) -> None:
    assert runs[0]["error"] is None
    result = JobResult.model_validate(runs[0]["result"])
    assert (result.source_language, result.target_language, result.verdict) == ("en", "", "done")
    assert store.get_record(manifest_record("written")) is not None
    assert [(a.name, a.suffix) for a in result.artifacts] == [
        ("transcript_json", "en.transcript.json"),
        ("transcript_txt", "en.transcript.txt"),
        ("subtitles_source_srt", "en.srt"),
        ("subtitles_source_vtt", "en.vtt"),
    ]
    document = json.loads(_read(store, result, "transcript_json"))
    words = [w for s in document["segments"] for w in s["words"]]
    assert len(words) > 6
    assert _SILENCE_S - 0.3 < words[0]["start_s"] < _SILENCE_S + 0.5
    assert [w["start_s"] for w in words] == sorted(w["start_s"] for w in words)
    assert words[-1]["end_s"] <= document["duration_s"] == pytest.approx(result.media_s, abs=0.01)
    assert [w.strip() for w in _read(store, result, "transcript_txt").split()] == [w["text"].strip() for w in words]
    for name, kind in (("subtitles_source_srt", "srt"), ("subtitles_source_vtt", "vtt")):
        cues = pysubs2.SSAFile.from_string(_read(store, result, name), format_=kind)
        assert " ".join(c.plaintext.replace("\n", " ") for c in cues).split() == [w["text"].strip() for w in words]
    assert runs[0]["progress"][-1] > 99


def test_a_dub_and_a_transcription_of_one_video_share_their_cache(runs: list[dict[str, Any]]) -> None:
    """Though one source is a stored object and the other a file."""
    first, dub, again = runs
    assert first["cached"] == 0
    assert dub["error"] is None
    assert dub["cached"] == first["tasks"] - 1  # all but the publishing of another job
    assert (again["tasks"], again["cached"]) == (first["tasks"], first["tasks"] - 1)
    assert again["progress"][-1] > 99
    for run in runs:
        assert run["progress"] == sorted(run["progress"])


def test_the_extracted_sound_is_the_videos(home: Path, clip: Path, store: LocalStore, tmp_path: Path) -> None:
    formats = ("wav", "mp3", "flac")
    uri = f"file://{clip}"
    answers = _run(home, *(_media(f"sound-{f}", uri, "audio_extraction", audio_format=f) for f in formats))
    info = probe(clip, Settings())
    extract_speech(clip, info, info.audio[0].index, tmp_path / "stt.wav", work_dir=tmp_path)
    expected_db = _level_db(soundfile.read(tmp_path / "stt.wav")[0])
    for audio_format, answer in zip(formats, answers, strict=True):
        result = JobResult.model_validate(answer["result"])
        (artifact,) = result.artifacts
        assert (artifact.name, artifact.suffix) == ("audio", f"audio.{audio_format}")
        made = probe(store.fetch(artifact.ref), Settings())
        assert made.audio[0].codec == {"wav": "pcm_s16le", "mp3": "mp3", "flac": "flac"}[audio_format]
        assert made.audio[0].sample_rate_hz == info.audio[0].sample_rate_hz
        assert made.audio[0].channels == info.audio[0].channels
        assert made.duration_s == pytest.approx(info.duration_s, abs=0.1 if audio_format == "mp3" else 0.001)
        pcm, rate_hz = soundfile.read(store.fetch(artifact.ref))
        assert _level_db(pcm) == pytest.approx(expected_db, abs=1.0)
        assert _level_db(pcm[: int(0.7 * _SILENCE_S * rate_hz)]) < expected_db - 20
        assert answer["progress"][-1] > 99


def test_a_failure_leaves_its_reason_and_the_next_start_takes_it_away(
    home: Path, stored: str, store: LocalStore
) -> None:
    gone = f"artifact:blobs/00/{'0' * 64}?size=5"
    (failed,) = _run(home, _media("lost", gone, "audio_extraction"))
    assert failed["error"] == "source_missing"
    reason = json.loads(store.get_record(failure_record("lost")) or b"{}")
    assert (reason["code"], reason["retryable"]) == ("source_missing", False)
    assert store.get_record(manifest_record("lost")) is None
    (done,) = _run(home, _media("lost", stored, "audio_extraction"))
    assert done["error"] is None
    assert store.get_record(failure_record("lost")) is None


def test_an_accident_is_told_without_its_inside(home: Path, stored: str, store: LocalStore) -> None:
    request = _media("accident", stored, "audio_extraction")
    request["params"]["refresh"] = True
    work = home / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.write_text("no folder can be made here")
    try:
        (failed,) = _run(home, request)
    finally:
        work.unlink()
    assert failed["error"] == "FileExistsError"
    assert json.loads(store.get_record(failure_record("accident")) or b"{}") == {
        "code": "internal_error",
        "message": "The job failed for an internal reason.",
        "hint": "Try again; the Prefect run has the details.",
        "retryable": True,
        "details": {},
    }


def test_a_cancelled_job_has_not_failed(home: Path, stored: str, store: LocalStore) -> None:
    request = _media("stopped", stored, "transcription", stt_engine="simulated", source_language="de")
    request["params"]["refresh"] = True
    (stopped,) = _run(home, {**request, "stop_at_stage": "extract"})
    assert stopped["error"] == "cancelled"
    assert store.get_record(failure_record("stopped")) is None
    assert store.get_record(manifest_record("stopped")) is None


@pytest.mark.parametrize("job_type", ["audio_extraction", "transcription"])
def test_a_silent_film_is_refused(job_type: str, home: Path, store: LocalStore, tmp_path: Path) -> None:
    frames = argv.pattern("color=size=64x64:rate=10:duration=1")
    run_ffmpeg(argv.arguments(argv.sink([frames], "out0.mp4", "mp4")), deadline_s=30, cwd=tmp_path)
    (refused,) = _run(home, _media(f"film-{job_type}", f"file://{tmp_path}/out0.mp4", job_type, stt_engine="simulated"))
    assert refused["error"] == "no_audio_track"
    reason = json.loads(store.get_record(failure_record(f"film-{job_type}")) or b"{}")
    assert reason["code"] == "no_audio_track"


def test_a_source_uri_names_a_file_or_a_stored_object(tmp_path: Path) -> None:
    sha256 = "ab" + "1" * 62
    assert locate(f"artifact:blobs/ab/{sha256}?size=7") == ArtifactRef(
        uri=f"artifact:blobs/ab/{sha256}", sha256=sha256, size_bytes=7, media_type="application/octet-stream"
    )
    for uri in (
        f"artifact:blobs/aa/{sha256}?size=7",
        f"artifact:blobs/ab/{sha256}",
        f"artifact:blobs/ab/../ab/{sha256}?size=7",
        "http://example.org/talk.mp4",
        f"file://example.org{tmp_path}",
        str(tmp_path),
    ):
        with pytest.raises(InputError) as caught:
            locate(uri)
        assert caught.value.code == "source_scheme"


def test_a_second_attempt_writes_the_manifest_again(home: Path, stored: str, store: LocalStore) -> None:
    request = _media("twice", stored, "audio_extraction")
    _run(home, request)
    store.delete_record(manifest_record("twice"))
    request["params"]["attempt"] = 2
    _run(home, request)
    assert store.get_record(manifest_record("twice")) is not None
