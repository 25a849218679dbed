"""`python -m bench.sound FILE …`: what the ways of treating the original sound do to a dub.

Every file is dubbed with each way; the result is decoded, and a recogniser hears every line. With `--mixture` and
`--clean` (the same speech with and without a background, to the sample) both are known, so what separation leaves of
either is told apart exactly; the background is laid wide (left and right 0.7 s apart), the speech in the middle.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubline.engines.pool import acquire
from dubline.engines.registry import choose_separator, choose_stt
from dubline.engines.vad import speech_spans
from dubline.media.finished import RATE_HZ, decode_mono, decode_stereo
from dubline.media.resample import resample_file
from dubline.models import Span
from dubline.quality.leak import Leak, measure_leak
from dubline.quality.listen import SpokenLine, listen
from dubline.quality.sound import read_pcm
from dubline.settings import Settings, get_settings
from dubline.stages.separate import pause_level_db, separate

_BED_HZ = 48_000
_FLAT_DB = -18.0
_WAYS = ("mute", "duck", "separate")


def main() -> int:
    """Print a row a measurement."""
    parser = argparse.ArgumentParser(prog="python -m bench.sound", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="videos or sound files that speak English")
    parser.add_argument("--to", default="pt-BR")
    parser.add_argument("--mixture", type=Path, help="speech over a background")
    parser.add_argument("--clean", type=Path, help="the same speech alone")
    parser.add_argument(
        "--snr", type=float, nargs="*", default=[0.0, 6.0, 12.0, 18.0], help="speech over background, dB"
    )
    arguments = parser.parse_args()
    settings = get_settings()
    with tempfile.TemporaryDirectory(prefix="dubline-sound-") as folder:
        for file in arguments.files:
            _dubs(file, arguments.to, settings, Path(folder))
        if arguments.mixture and arguments.clean:
            for snr_db in arguments.snr:
                _separation(arguments.mixture, arguments.clean, snr_db, settings, Path(folder))
    return 0


def _dubs(file: Path, target: str, settings: Settings, work: Path) -> None:
    reports: dict[str, dict[str, Any]] = {}
    outputs: dict[str, Path] = {}
    for way in _WAYS:
        out = work / f"{file.stem}-{way}"
        command = [sys.executable, "-m", "dubline", "dub", str(file), "--from", "en", "--to", target, "--json"]
        done = subprocess.run(
            [*command, "--background", way, "--listen", "off", "--out", str(out)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ,
        )
        if done.returncode:
            print(f"{file.name} {way}: {done.stdout.strip()[-300:]}")
            return
        files = json.loads(done.stdout)["files"]
        outputs[way] = Path(files["video"])
        reports[way] = json.loads(Path(files["report"]).read_text())
    rows = reports["mute"]["timing"]["lines"]
    lines = [
        SpokenLine(r["utterance_id"], Span(start_s=r["start_s"], end_s=r["end_s"]), r["target_text"], r["stretch"])
        for r in rows
    ]
    choice = choose_stt(settings, engine="auto", model="base", language=target)
    with acquire(choice, settings) as stt:
        for way in (*_WAYS, "flat"):
            path = outputs[way] if way != "flat" else _flat(file, outputs["mute"], work)
            sound = decode_mono(path, work_dir=work, media_s=3600)
            heard = listen(
                lambda spans, pcm=sound: [read_pcm(pcm, span) for span in spans],
                lines,
                stt,
                language=target,
                mode="all",
                budget_s=0.0,
            )
            mix = reports[way]["mix"] if way != "flat" else {"bed": "flat -18 dB"}
            stages = reports[way]["provenance"]["stages"] if way != "flat" else []
            seconds = sum(s["seconds"] for s in stages if s["stage"] == "separate")
            print(
                f"| {file.name} | {way} ({mix['bed']}) | WER {_percent(heard.wer)} | original voice "
                f"{mix.get('original_voice_db')} dB | {reports[way]['verdict'] if way != 'flat' else ''} | "
                f"separated in {seconds:.1f} s |",
                flush=True,
            )


def _flat(source: Path, dry: Path, work: Path) -> Path:
    """The dry dub over the original, lowered by the same everywhere."""
    both = [decode_stereo(p, work / f"{n}.raw", work_dir=work, media_s=3600) for n, p in enumerate((source, dry))]
    original, dub = (np.fromfile(p, "<i2").reshape(-1, 2).astype(np.float32) / 32768 for p in both)
    count = min(len(original), len(dub))
    out = work / "flat.wav"
    soundfile.write(out, dub[:count] + np.float32(10 ** (_FLAT_DB / 20)) * original[:count], RATE_HZ, subtype="FLOAT")
    return out


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _separation(mixture: Path, clean: Path, snr_db: float, settings: Settings, work: Path) -> None:
    both, alone = _mono(mixture, work), _mono(clean, work)
    count = min(len(both), len(alone))
    rest = both[:count] - alone[:count]
    speech = np.stack([alone[:count]] * 2, axis=1)
    background = np.stack([rest, np.roll(rest, int(0.7 * _BED_HZ))], axis=1)
    spans = speech_spans(np.ascontiguousarray(alone[:count:3]))
    spoken = np.zeros(count, bool)
    for span in spans:
        spoken[int(span.start_s * _BED_HZ) : int(span.end_s * _BED_HZ)] = True
    power = np.mean(speech[spoken] ** 2) / max(1e-12, float(np.mean(background**2)))
    background *= np.float32(np.sqrt(power) * 10 ** (-snr_db / 20))
    loud = max(1.0, float(np.abs(speech + background).max()) / 0.99)
    parts = {"speech": speech / loud, "background": background / loud, "bed": (speech + background) / loud}
    raws: dict[str, Path] = {}
    for name, samples in parts.items():
        soundfile.write(work / f"{name}.wav", samples, _BED_HZ)
    level_db = pause_level_db(np.ascontiguousarray(parts["bed"].mean(axis=1)[::3]), RATE_HZ, spans)
    with acquire(choose_separator(settings), settings) as engine:
        began_s = time.monotonic()
        separate(work / "bed.wav", spans, engine, output=work / "out.wav", work=work)
        spent_s = time.monotonic() - began_s
    for name in (*parts, "out"):
        raws[name] = decode_stereo(work / f"{name}.wav", work / f"{name}.s16", work_dir=work, media_s=3600)
    voice: Leak = measure_leak(raws["out"], raws["speech"], None, spans, [])
    kept: Leak = measure_leak(raws["out"], raws["background"], None, spans, [])
    out, _ = soundfile.read(work / "out.wav", dtype="float32", always_2d=True)
    pauses = 10 * np.log10(np.mean(out[~spoken] ** 2) / np.mean(parts["background"][~spoken] ** 2))
    print(
        f"| {mixture.name} | {snr_db:+.0f} dB | pauses {level_db} dB | voice {voice.whole_db} dB | "
        f"background {kept.whole_db} dB | in pauses {pauses:+.1f} dB | RTF {spent_s * _BED_HZ / len(speech):.3f} |",
        flush=True,
    )


def _mono(path: Path, work: Path) -> NDArray[np.float32]:
    """The sum of the channels at the bed's rate."""
    resample_file(path, work / "read.wav", _BED_HZ, work_dir=work)
    samples, _ = soundfile.read(work / "read.wav", dtype="float32", always_2d=True)
    return np.asarray(samples.sum(axis=1), np.float32)


if __name__ == "__main__":
    sys.exit(main())
