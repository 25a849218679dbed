"""Settings from the environment and `.env`; every field here is documented in `docs/reference.md`."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import platformdirs
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are and how much may be used. A bad value stops the start with one sentence."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    dubline_home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("dubline")),
        description="State folder: artifacts, Prefect's database, prepared weights.",
    )
    models_dir: Path | None = Field(default=None, description="Folder searched first for weights.")
    allow_hub: bool = Field(default=False, description="Allow weights to be fetched from the Hugging Face hub.")
    cpu_threads: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=256, description="Threads that engines may use."
    )
    enable_gpu: bool = Field(default=False, description="Let engines use a GPU when one is there.")
    engine_memory_bytes: int = Field(
        default=1_400_000_000, ge=100_000_000, description="Memory that loaded models may hold; least used go first."
    )
    kokoro_form: str = Field(
        default="auto", description="`int8` as shipped, `float` dequantised, or `auto`: measured once on the machine."
    )
    max_upload_bytes: int = Field(default=4 * 1024**3, ge=1, description="Largest source file.")
    max_duration_s: float = Field(default=6 * 3600.0, gt=0, description="Longest source.")
    max_pixels: int = Field(default=40_000_000, ge=1, description="Largest picture, width times height.")
    max_streams: int = Field(default=32, ge=1, description="Most streams in a source.")
    max_fps: float = Field(default=300.0, gt=0, description="Highest frame rate of a source.")
    simulated_delay_s: float = Field(default=0.0, ge=0, description="Delay of one call of the simulated engines.")
    simulated_error_rate: float = Field(default=0.0, ge=0, le=1, description="Share of simulated calls that fail.")

    @field_validator("kokoro_form")
    @classmethod
    def _known_form(cls, value: str) -> str:
        if value not in {"auto", "int8", "float"}:
            raise ValueError("must be auto, int8 or float")
        return value

    @property
    def weights_dir(self) -> Path:
        """Where weights prepared from packages lie (joined, converted)."""
        return self.dubline_home / "models"

    @property
    def artifacts_dir(self) -> Path:
        return self.dubline_home / "artifacts"

    @property
    def work_dir(self) -> Path:
        """Work folders of running tasks."""
        return self.dubline_home / "work"

    @property
    def results_dir(self) -> Path:
        """Prefect's result records: private to the workers, apart from the artifacts."""
        return self.dubline_home / "results"

    @property
    def prefect_dir(self) -> Path:
        return self.dubline_home / "prefect"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
