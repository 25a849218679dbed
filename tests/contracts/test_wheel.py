"""The wheel holds the core alone and works in a clean environment."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(_ROOT)],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_it_holds_dubline_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {n.split("/", 1)[0] for n in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"dubline"}


def test_it_installs_clean_and_helps(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(_ROOT / "constraints.txt"), str(wheel)], check=True, cwd=tmp_path)
    command = tmp_path / "env" / "bin" / "dubline"
    shown = subprocess.run([command, "--help"], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    for name in ("dub", "report", "engines", "doctor"):
        assert name in shown
    # A script that only asks the service brings nothing heavy along.
    heavy = "import sys, dubline.client; print(sorted({'numpy', 'typer', 'langcodes', 'av'} & set(sys.modules)))"
    assert subprocess.run([python, "-c", heavy], check=True, capture_output=True, text=True).stdout.strip() == "[]"
    (tmp_path / "talk.mp4").write_bytes(b"x")
    refused = subprocess.run(
        [command, "dub", "talk.mp4", "--to", "pt-BR", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert refused.returncode == 2
    assert "local_stack_missing" in refused.stdout
