"""Copies a job's result out of the store, beside the source or into a folder."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dubline.contract import JobResult
from dubline.errors import StorageError
from dubline.storage.base import ArtifactStore

_NAME_BYTES = 255
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.ENOENT})
EXPORTED = frozenset(
    {
        "video",
        "subtitles_target_srt",
        "subtitles_target_vtt",
        "subtitles_source_srt",
        "subtitles_source_vtt",
        "subtitles_bilingual_srt",
        "report",
    }
)


def export(result: JobResult, run: dict[str, Any], store: ArtifactStore, folder: Path, source: Path) -> dict[str, str]:
    """Write every artifact as `<stem>.<suffix>`; the report also gets what this very run cost. Returns name -> path.

    Raises:
        StorageError: `output_folder`, when the folder cannot be written to.
    """
    out: dict[str, str] = {}
    with output_folder(folder):
        for artifact in result.artifacts:
            if artifact.name not in EXPORTED:
                continue
            target = target_of(folder, source, artifact.suffix)
            if artifact.name == "report":
                place(with_run(store.read_bytes(artifact.ref), run), target)
            else:
                place(store.fetch(artifact.ref), target)
            out[artifact.name] = str(target)
    return out


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Make the folder, and say in words that it cannot be written to.

    Raises:
        StorageError: `output_folder`.
    """
    try:
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o755)
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise StorageError(
            "The results cannot be written to the output folder.",
            code="output_folder",
            hint="Choose another folder with --out; nothing is made again.",
        ) from error


def check_folder(folder: Path) -> None:
    """See whether the folder can hold results before they are worked for, or could be made where it is to be.

    Raises:
        StorageError: `output_folder`.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    with output_folder(there), tempfile.TemporaryFile(dir=there):
        pass


def target_of(folder: Path, source: Path, suffix: str) -> Path:
    """Where a result goes.

    Raises:
        StorageError: `output_folder`, when that is the source itself.
    """
    target = folder / file_name(source.stem, suffix)
    if target.resolve() == source.resolve():
        raise StorageError("A result would overwrite the source.", code="output_folder")
    return target


def with_run(report: bytes, run: dict[str, Any]) -> bytes:
    """The report with what this very run cost."""
    return json.dumps({**json.loads(report), "run": run}, indent=1, ensure_ascii=False).encode()


def file_name(stem: str, suffix: str) -> str:
    """`talk` and `pt-BR.srt` give `talk.pt-BR.srt`, the stem cut to what a file system takes."""
    room = _NAME_BYTES - len(os.fsencode(suffix)) - 1
    encoded = os.fsencode(stem)[:room]
    return f"{os.fsdecode(encoded).rstrip(chr(0xFFFD))}.{suffix}"


def place(content: Path | bytes, target: Path) -> None:
    """Whole or not at all, readable like any file the user makes."""
    descriptor, name = tempfile.mkstemp(prefix=".dubline-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
