"""What one render leaves for the next: only what changed is mixed, encoded, translated back (simulated engines)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dubline.media import aac
from dubline.media.finished import FinishedSound
from dubline.media.loudness import momentary
from dubline.media.probe import probe
from dubline.media.true_peak import Peaks
from dubline.models import (
    ArtifactRef,
    DubOptions,
    EngineChoice,
    Line,
    Lines,
    Placement,
    Span,
    Spoken,
    Timeline,
    Transcript,
    Utterance,
)
from dubline.settings import Settings
from dubline.stages import voice
from dubline.storage.local import LocalStore
from tasks import _earlier, _policies, build_report, extract_audio, judge_translation, mix_audio, mux_video
from tasks.build_report import ReportRequest
from tasks.judge_translation import JudgeRequest
from tasks.mix_audio import MixRequest
from tasks.mux_video import MuxRequest

RATE_HZ = 48_000
BED = ArtifactRef(uri="artifact:blobs/00/0", sha256="0" * 64, size_bytes=1, media_type="audio/wav")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    local = LocalStore(tmp_path / "artifacts")
    for module in (_earlier, _policies, build_report, extract_audio, judge_translation, mix_audio, mux_video):
        monkeypatch.setattr(module, "store", lambda: local)
    # Progress goes out as an event, for which Prefect would start a server.
    monkeypatch.setattr("tasks._progress.emit_event", lambda *_args, **_more: None)
    return local


def _wav(store: LocalStore, folder: Path, pcm: np.ndarray) -> ArtifactRef:
    path = folder / "sound.wav"
    soundfile.write(path, pcm, RATE_HZ)
    return store.put_file(path, "audio/wav")


def test_a_second_render_mixes_the_changed_parts_only(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made of an earlier sound is to the bit what is made without it: peaks, ducking and level as well.

    But for the voice's gain, which stays near what it was: else a softer line would change all others.
    """
    stretched: list[int] = []
    stretch = voice.stretch_many
    monkeypatch.setattr(
        voice, "stretch_many", lambda jobs, *rest, **named: (stretched.append(len(jobs)), stretch(jobs, *rest, **named))
    )
    rng = np.random.default_rng(7)
    count, line_s = 6, 4
    # A bed that swells: how far it is lowered differs everywhere, and it is loud enough for the limiter.
    swell = np.abs(np.sin(np.arange(60 * RATE_HZ) / RATE_HZ))[:, None]
    bed = _wav(store, tmp_path, 0.2 * swell * rng.standard_normal((60 * RATE_HZ, 2)))
    levels = extract_audio.put_levels(momentary(store.fetch(bed)))
    spans = tuple(Span(start_s=9.0 * n + 2, end_s=9.0 * n + 2 + line_s) for n in range(count))
    speech = Transcript(language="en", duration_s=60.0, speech=spans)
    placements = tuple(
        Placement(
            utterance_id=f"u{n}",
            start_sample=int(span.start_s * RATE_HZ),
            length_samples=line_s * RATE_HZ,
            stretch=1.25,
            slot_s=line_s,
            natural_s=5.0,
            onset_error_s=0.0,
            drift_s=0.0,
        )
        for n, span in enumerate(spans)
    )
    timeline = _policies.save(Timeline(sample_rate_hz=RATE_HZ, total_samples=60 * RATE_HZ, placements=placements))
    noises = [0.1 * rng.standard_normal((5 * RATE_HZ, 1)) for _ in range(count + 1)]
    sounds = [_wav(store, tmp_path, noise) for noise in (*noises, *(0.95 * n for n in noises), 0.5 * noises[6])]

    gains_db: list[float] = []

    def render(*chosen: int, language: str = "pt-BR", refresh: bool = False) -> tuple[int, str]:
        stretched.clear()
        done = mix_audio.mix_audio.fn(
            MixRequest(
                bed=bed,
                levels=levels,
                separated=None,
                separated_levels=None,
                transcript=_policies.save(speech),
                timeline=timeline,
                spoken=tuple(
                    Spoken(
                        utterance_id=f"u{n}",
                        audio=sounds[number],
                        samples=5 * RATE_HZ,
                        sample_rate_hz=RATE_HZ,
                        engine="e",
                        voice="v",
                    )
                    for n, number in enumerate(chosen)
                ),
                background="duck",
                target_language=language,
                refresh=refresh,
            )
        )
        assert done.facts.limited_share > 0
        gains_db.append(done.facts.voice_gain_db)
        return sum(stretched), done.audio.sha256

    whole, first = render(0, 1, 2, 3, 4, 5)
    assert whole == count
    made, changed = render(0, 1, 2, 6, 4, 5)
    assert made <= 2
    assert changed != first
    assert render(0, 1, 2, 6, 4, 5) == (0, changed)
    assert render(0, 1, 2, 3, 4, 5)[1] == first
    assert render(0, 1, 2, 6, 4, 5, refresh=True) == (count, changed)
    assert render(0, 1, 2, 6, 4, 5, language="es") == (count, changed)
    assert len(set(gains_db)) == 1
    for number in range(count):  # one line after the other becomes softer, by 0.45 dB each
        assert render(*(n + 7 if n <= number else n for n in range(count)))[0] <= 2
    assert len(set(gains_db)) == 1
    assert render(*range(7, 13), refresh=True)[0] == count
    kept_db, exact_db = gains_db[-2:]
    assert exact_db - kept_db == pytest.approx(0.5)  # where the steps of a gain made anew lie
    assert render(14, 14, 14, 14, 14, 14)[0] == count
    assert gains_db[-1] - kept_db > 4


def test_a_second_render_encodes_the_changed_parts_only(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    run = aac.run_ffmpeg
    monkeypatch.setattr(
        aac,
        "run_ffmpeg",
        lambda what, **named: (encoded.extend(w for w in what if w.endswith(".aac")), run(what, **named))[1],
    )
    at_s = np.arange(70 * RATE_HZ) / RATE_HZ
    pcm = 0.3 * np.sin(2 * np.pi * 440 * at_s)[:, None].repeat(2, axis=1)
    before = _wav(store, tmp_path, pcm)
    media = probe(store.fetch(before), Settings())
    empty = store.put_bytes(b"", "application/x-subrip")

    def render(audio: ArtifactRef, *, language: str = "pt-BR", refresh: bool = False) -> tuple[int, str]:
        encoded.clear()
        done = mux_video.mux_video.fn(
            MuxRequest(
                source=before,
                media=media,
                audio_index=0,
                audio=audio,
                target_srt=empty,
                source_srt=empty,
                source_language="en",
                target_language=language,
                subtitles="none",
                keep_original_audio=False,
                refresh=refresh,
            )
        )
        return len(encoded), done.video.sha256

    whole, _ = render(before)
    assert whole == 7
    pcm[40 * RATE_HZ : 41 * RATE_HZ] *= 0.5
    changed = _wav(store, tmp_path, pcm)
    made, video = render(changed)
    assert made == 1
    assert render(changed, refresh=True) == (whole, video)
    assert render(changed)[0] == 0
    assert render(changed, language="es")[0] == whole


def test_a_second_render_translates_only_new_lines_back(store: LocalStore) -> None:
    choice = EngineChoice(kind="mt", engine="simulated", model="", version="1", fingerprint="f")
    base = store.put_bytes(b"{}", "application/json")

    def judge(*texts: str, refresh: bool = False) -> tuple[bool, ArtifactRef]:
        rows = tuple(
            Line(utterance=Utterance(id=f"u{n}", start_s=n, end_s=n + 1, slot_end_s=n + 1, text="One."), text=text)
            for n, text in enumerate(texts)
        )
        lines = store.put_bytes(Lines(rows=rows).model_dump_json().encode(), "application/json")
        done = judge_translation.judge_translation.fn(
            JudgeRequest(
                base=base,
                lines=lines,
                source_language="en",
                target_language="pt-BR",
                glossary={},
                used=choice,
                refresh=refresh,
            )
        )
        return "mt:simulated" in done.stats.busy_s, done.translation

    is_translated, first = judge("Um.", "Dois.")
    assert is_translated
    assert judge("Um.", "Dois.") == (False, first)
    assert judge("Um.", "Três.")[0]
    assert judge("Um.", "Dois.", "Três.")[0] is False
    assert judge("Um.", "Dois.", refresh=True) == (True, first)
    (record,) = store.records("")
    store.put_record(record.name, b'{"rows": 1}')  # as another version may have left it
    assert judge("Um.", "Dois.") == (True, first)
    assert judge("Um.", "Dois.") == (False, first)


def test_a_render_leaves_its_sound_to_the_next(store: LocalStore, tmp_path: Path) -> None:
    stereo = tmp_path / "stereo.s16"
    stereo.write_bytes(bytes(range(40)))
    levels, peaks = np.array([-120.0, -23.00049]), [Peaks(0.5, 0, 10), Peaks(1.0, 2, 4)]
    sound = FinishedSound(stereo, stereo, 2, levels, ("a", "b"), None)

    def request(language: str = "es", *, refresh: bool = False) -> ReportRequest:
        options = DubOptions(target_language=language)
        return ReportRequest.model_construct(bed=BED, options=options, refresh=refresh)

    build_report._keep_sound(request(), sound, peaks)
    kept = build_report._kept_sound(request())
    assert kept is not None
    assert kept.stereo.read_bytes() == stereo.read_bytes()
    assert (kept.channels, kept.marks, kept.peaks) == (2, ("a", "b"), tuple(peaks))
    assert kept.momentary_lufs == pytest.approx(levels, abs=0.001)
    assert build_report._kept_sound(request("fr")) is None
    assert build_report._kept_sound(request(refresh=True)) is None
    kept.stereo.unlink()
    assert build_report._kept_sound(request()) is None
    build_report._keep_sound(request(), sound, peaks)
    assert build_report._kept_sound(request()) is not None
    store.put_record(build_report._sound_record(request()), b"{}")  # as another version may have left it
    assert build_report._kept_sound(request()) is None


def test_a_mechanical_voice_is_told_only_where_nobody_asked_for_it() -> None:
    espeak = EngineChoice(kind="tts", engine="espeak", model="", version="1", fingerprint="f", voice="de")

    def told(**options: str) -> str:
        asked = DubOptions.model_validate({"target_language": "de", **options})
        return build_report._last_resort(ReportRequest.model_construct(choices=(espeak,), options=asked))

    assert "espeak-ng" in told()
    assert told(tts_engine="espeak") == told(tts_voice="de") == ""
