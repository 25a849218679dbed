"""A private folder for one ffmpeg run, in which every file has a generated name."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from dubline.errors import ArtifactMissing


class Scratch:
    """Links inputs in as `in0`, `in1`, … and hands outputs over when the run went well.

    Use as a context manager: the folder goes away with the block. Without a work folder, for runs that write
    nothing large, it lies among the system's temporary files.
    """

    def __init__(self, work_dir: Path | None) -> None:
        if work_dir is not None:
            work_dir.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix="media-", dir=work_dir)).resolve()
        self._inputs = 0

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def link(self, path: Path, suffix: str = "") -> str:
        """Generated name of an existing file.

        Raises:
            ArtifactMissing: it is not there or no regular file.
        """
        real = path.resolve()
        if not real.is_file():
            raise ArtifactMissing("A media file that this step needs is gone.", hint="Run the job again.")
        name = f"in{self._inputs}{suffix}"
        self._inputs += 1
        os.symlink(real, self.path / name)
        return name

    def move(self, name: str, target: Path) -> Path:
        """Hand an output over under its real name, replacing what is there."""
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self.path / name, target)
        return target
