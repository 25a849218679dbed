"""Kokoro's voices, out of the npm package kokoro-js: a packed archive or an unpacked folder."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dubline.engines import weights
from dubline.errors import EngineUnavailable
from dubline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGE = "kokoro-js@1.2.1"
FILE = "kokoro-voices-v1.0.npz"
_ARCHIVE = "kokoro-js-1.2.1.tgz"
_ARCHIVE_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
_PACK_DEADLINE_S = 600.0


def source(settings: Settings) -> Path | None:
    """The archive or the unpacked `voices` folder, where one is."""
    roots = [r for r in (settings.models_dir, settings.weights_dir) if r is not None]
    for root in roots:
        if (root / _ARCHIVE).is_file():
            return root / _ARCHIVE
    for root in (*roots, Path("node_modules")):
        folder = root / "kokoro-js" / "voices"
        if folder.is_dir() and any(folder.glob("*.bin")):
            return folder
    return None


def is_here(settings: Settings) -> bool:
    return weights.find(settings, FILE) is not None or source(settings) is not None


def command() -> str:
    """What fetches them on this machine."""
    return weights.SETUP if shutil.which("npm") else f"apt install npm && {weights.SETUP}"


def voices_file(settings: Settings) -> Path:
    """All voices as one npz, made on first use: name to float32 of shape (510, 1, 256), one style a text length.

    Raises:
        EngineUnavailable: `voices_missing`, or `weights_corrupt` when the archive is not the known one.
    """
    own = settings.models_dir / FILE if settings.models_dir else None
    if own is not None and own.is_file():
        return own
    made = weights.made_file(settings, FILE)
    if made is not None:
        return made
    found = source(settings)
    if found is None:
        raise EngineUnavailable(
            "Kokoro's voices are not here.", code="voices_missing", hint=f"Install npm, then run `{weights.SETUP}`."
        )
    if found.is_file():
        weights.verify(settings, found, _ARCHIVE_SHA256)
    target = settings.weights_dir / FILE
    with weights.locked(settings):
        _convert(found, target)
        weights.record_made(settings, target)
    return target


def _convert(found: Path, target: Path) -> None:
    import numpy as np

    voices = dict(_read(found))
    with weights.replacing(target) as temporary, temporary.open("wb") as out:
        np.savez(out, allow_pickle=False, **voices)


def _read(found: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    import numpy as np

    if found.is_dir():
        for path in sorted(found.glob("*.bin")):
            yield path.stem, np.fromfile(path, dtype="<f4").reshape(-1, 1, 256)
        return
    with tarfile.open(found) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith("package/voices/") and member.name.endswith(".bin"):
                file = tar.extractfile(member)
                assert file is not None
                yield Path(member.name).stem, np.frombuffer(file.read(), dtype="<f4").reshape(-1, 1, 256)


def fetch(settings: Settings) -> bool:
    """Pack the npm package into the state folder (npm checks its hash, and so do we). False when that fails."""
    npm = shutil.which("npm")
    if npm is None:
        return False
    settings.weights_dir.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            [npm, "pack", "--silent", PACKAGE],
            cwd=settings.weights_dir,
            capture_output=True,
            timeout=_PACK_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and source(settings) is not None


def mend(settings: Settings) -> None:
    """Put aside a packed archive that is damaged, so that `fetch` brings it anew."""
    archive = settings.weights_dir / _ARCHIVE
    if archive.is_file():
        try:
            weights.verify(settings, archive, _ARCHIVE_SHA256)
        except EngineUnavailable:
            archive.unlink(missing_ok=True)
