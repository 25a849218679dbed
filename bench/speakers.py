"""Diarization error on clips with a reference: `python -m bench.speakers [FOLDER]` (default: DUBLINE_TEST_MEDIA).

Scored in steps of 10 ms against the RTTM file beside each clip, speech of several at once included; speech is found by
Dubline's own voice activity detection. The number of speakers is not given, but for the column that says so.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import soundfile

from dubline.engines.pool import acquire
from dubline.engines.registry import choose_diarizer
from dubline.engines.vad import speech_spans
from dubline.models import Speakers, SpeakerTurn
from dubline.quality.der import diarization_error
from dubline.settings import get_settings
from dubline.stages.diarize import find_speakers

CLIPS = ("turns_real_4spk_public", "dialogue_espeak_A", "ami_dev01", "ami_trn01", "lj_printing_3m30")
_RATE_HZ = 16_000
_ERRORS = ("missed", "false alarm", "confused")
_HEAD = ("clip", "speakers, found", "DER", "DER, 0.25 s collar", *_ERRORS, "DER, number given", "pitches, Hz", "s")


def read_rttm(path: Path) -> list[SpeakerTurn]:
    """Turns of an RTTM file: the fourth field is the onset, the fifth the length, in seconds, the eighth the name."""
    rows = [line.split() for line in path.read_text().splitlines() if line.startswith("SPEAKER")]
    return [SpeakerTurn(start_s=float(r[3]), end_s=float(r[3]) + float(r[4]), speaker=r[7]) for r in rows]


def measure(clip: Path, speakers: int | None = None) -> tuple[Speakers, float]:
    """Who speaks in a clip, and the seconds that it took once the weights were loaded."""
    settings = get_settings()
    audio, rate_hz = soundfile.read(clip, dtype="float32", always_2d=True)
    mono = audio.mean(axis=1)[:: max(1, rate_hz // _RATE_HZ)]  # 48 kHz of speech: nothing above 8 kHz to fold back
    with tempfile.TemporaryDirectory() as folder, acquire(choose_diarizer(settings), settings) as engine:
        file = Path(folder) / "clip.wav"
        soundfile.write(file, mono, _RATE_HZ)
        speech = speech_spans(mono)
        began_s = time.perf_counter()
        return find_speakers(file, speech, engine, speakers=speakers), time.perf_counter() - began_s


def main() -> int:
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("DUBLINE_TEST_MEDIA", "../shared/media")
    folder = Path(given) / "speech"
    print(f"| {' | '.join(_HEAD)} |\n{'|---' * len(_HEAD)}|")
    for name in CLIPS:
        clip = next((p for p in sorted(folder.glob(f"{name}.*")) if p.suffix in {".opus", ".flac", ".wav"}), None)
        if clip is None:
            continue
        reference = read_rttm(clip.with_suffix(".rttm"))
        found, seconds = measure(clip)
        told, _ = measure(clip, len({t.speaker for t in reference}))
        given_rate = f"{diarization_error(reference, told.turns).rate:.1%}"
        error, kind = (
            diarization_error(reference, found.turns),
            diarization_error(reference, found.turns, collar_s=0.25),
        )
        shares = [f"{v / error.speech_s:.1%}" for v in (error.missed_s, error.false_alarm_s, error.confused_s)]
        pitches = " ".join("-" if s.pitch_hz is None else f"{s.pitch_hz:.0f}" for s in found.speakers)
        many = f"{len({t.speaker for t in reference})}, {len(found.speakers)}"
        row = [
            name,
            many,
            f"{error.rate:.1%}",
            f"{kind.rate:.1%}",
            *shares,
            given_rate,
            pitches,
            f"{seconds:.1f}",
        ]
        print(f"| {' | '.join(row)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
