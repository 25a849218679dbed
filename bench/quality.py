"""`make quality`: how good a dub is, from the finished files of real talks, with all of every dub listened to.

The dubs have the original sound muted, and the overlap with the source's speech is that of what Silero finds in the two
files. Everything else is what the report measured on the finished file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.__main__ import dub_into, new_home
from bench.speakers import CLIPS, measure, read_rttm
from dubline.engines.vad import speech_spans
from dubline.media.finished import decode_mono
from dubline.quality.der import diarization_error
from dubline.quality.sound import overlap_iou

_MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"


@dataclass(frozen=True)
class Clip:
    """A talk and what its dub should reach; shares are 0 … 1, chrF is that of a plain sequential dub of the clip."""

    path: str
    iou: float
    wer: float
    chrf: float


_CLIPS = (
    Clip("video/long/lj_lecture_3m51.mp4", iou=0.92, wer=0.07, chrf=79),
    Clip("video/compilation_real_3min.mp4", iou=0.85, wer=0.14, chrf=68),
    Clip("video/real_manifesto_88s.mp4", iou=0.85, wer=0.14, chrf=68),
)
_ONSET_S, _SHARE, _PACE, _DER = 0.30, 0.90, 1.25, 0.20
Row = tuple[str, str, str, bool]


def main() -> int:
    """Print the tables; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="make quality", description=__doc__)
    parser.add_argument("--media", type=Path, default=_MEDIA)
    parser.add_argument("--clip", help="only the clips whose name holds this")
    parser.add_argument("--keep", type=Path, help="folder for the dubs; default: one that goes away")
    arguments = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="dubline-quality-", ignore_cleanup_errors=True) as folder:
        home, out = new_home(Path(folder) / "home"), arguments.keep or Path(folder) / "out"
        for clip in _CLIPS:
            video = arguments.media / clip.path
            if arguments.clip and arguments.clip not in video.name:
                continue
            if not video.is_file():
                print(f"{video.name}: not there", file=sys.stderr)
                return 2
            done = dub_into(video, home, out, "--to", "pt-BR", "--background", "mute", "--listen", "all")
            report = json.loads(Path(done.json()["files"]["report"]).read_text())
            source, dub = (speech_spans(_sound(path)) for path in (video, Path(done.json()["files"]["video"])))
            iou = overlap_iou(source, dub, report["provenance"]["media_s"]) or 0.0
            good &= _print(f"{video.name}, {report['verdict']}", rows(report, clip, iou))
    if not arguments.clip:
        good &= _print(CLIPS[0], [_speakers(arguments.media)])
    return 0 if good else 1


def _sound(path: Path) -> NDArray[np.float32]:
    """16 kHz mono."""
    with tempfile.TemporaryDirectory() as folder:
        finished = decode_mono(path, work_dir=Path(folder), media_s=3600)
        return np.fromfile(finished, "<i2").astype(np.float32) / np.float32(32768)


def rows(report: dict[str, Any], clip: Clip, iou: float) -> list[Row]:
    """Name, value, target and whether it is met."""
    timing, voice = report["timing"], report["voice"]
    lines = timing["lines"]
    onset_s = float(np.percentile([abs(line["onset_error_s"]) for line in lines], 90))
    pace = max(line["stretch"] for line in lines)
    share, wer = timing["share_pace_le_1_2"], voice["wer"]
    chrf, drift_s = report["translation"]["back_translation_chrf"], lines[-1]["drift_s"]
    calls = sum(s["made"] for s in report["provenance"]["stages"] if s["stage"] == "synthesize") / len(lines)
    return [
        ("speech over the source's, IoU", f"{iou:.3f}", f">= {clip.iou}", iou >= clip.iou),
        ("onset error, p90", f"{onset_s:.2f} s", f"<= {_ONSET_S} s", onset_s <= _ONSET_S),
        ("lines at pace 1.2 or less", f"{100 * share:.0f} %", f">= {100 * _SHARE:.0f} %", share >= _SHARE),
        ("fastest line", f"{pace:.2f}", f"<= {_PACE}", pace <= _PACE + 1e-6),
        ("overlapping lines", f"{timing['overlap_s']:.3f} s", "0", timing["overlap_s"] == 0),
        ("drift at the end", f"{drift_s:.3f} s", "0", abs(drift_s) < 0.005),
        ("WER of the dub", f"{100 * wer:.1f} %", f"<= {100 * clip.wer:.0f} %", wer <= clip.wer),
        ("back-translation chrF", f"{chrf:.1f}", f">= {clip.chrf:.0f}", chrf >= clip.chrf),
        ("lines synthesized, a line", f"{calls:.2f}", "<= 1.05", calls <= 1.05),
    ]


def _speakers(media: Path) -> Row:
    clip = media / "speech" / f"{CLIPS[0]}.opus"
    found, _ = measure(clip)
    der = diarization_error(read_rttm(clip.with_suffix(".rttm")), found.turns).rate
    return ("diarization error", f"{100 * der:.1f} %", f"<= {100 * _DER:.0f} %", der <= _DER)


def _print(title: str, table: list[Row]) -> bool:
    print(title)
    for name, value, target, good in table:
        print(f"  {name:<30} {value:>9}  {target:<9} {'ok' if good else 'MISSED'}", flush=True)
    return all(good for *_, good in table)


if __name__ == "__main__":
    sys.exit(main())
