"""Settings from the environment and `.env`; every field here is documented in `docs/reference.md`."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
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
        default="auto",
        description="`int8` as shipped, `products` in another order, `compiled` in part by a C compiler; "
        "`auto`: the fastest, measured once on the machine.",
    )
    engine_socket: Path | None = Field(
        default=None, description="Unix socket of the engine server; without one, engines load where they are used."
    )
    engine_queue: int = Field(default=64, ge=1, description="Calls that may wait in the engine server; more get 503.")
    engine_idle_s: float = Field(default=300.0, gt=0, description="The engine server unloads a model idle this long.")
    model_cache_enabled: bool = Field(default=True, description="Keep models loaded between calls.")
    preload_models: bool = Field(default=False, description="Load the default models when the service starts.")
    whisper_model: str = Field(default="base", description="Recognition model when a job names none.")
    hf_token: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("hf_token", "hugging_face_token"),
        description="Token for the Hugging Face hub (also HUGGING_FACE_TOKEN); used when ALLOW_HUB is on.",
    )
    database_url: str = Field(
        default="",
        description="`sqlite:///file.db`, `postgresql://…` or `:memory:`; the default is a file in the state folder.",
    )
    storage_url: str = Field(
        default="", description="`file:///folder` or `s3://bucket/prefix`; the default is a folder in the state folder."
    )
    s3_endpoint_url: str | None = Field(default=None, description="Endpoint of an S3-compatible store.")
    s3_deadline_s: float = Field(default=60.0, gt=0, description="Longest wait for one small S3 call.")
    redis_url: str | None = Field(default=None, description="Redis for live updates between several API processes.")
    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port the API listens on; 0 takes a free one.")
    auth: Literal["off"] = Field(default="off", description="`off`: one local user, on loopback only.")
    secret_key: SecretStr | None = Field(
        default=None, description="Kept for accounts (`AUTH` other than `off`); nothing is signed with it yet."
    )
    app_name: str = Field(default="Dubline", max_length=80, description="Name that the service gives itself.")
    environment: str = Field(default="production", max_length=40, description="Label shown by the health page.")
    debug: bool = Field(default=False, description="Log more; answers stay free of internals.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="INFO", description="Least level that is logged."
    )
    max_concurrent_jobs: int = Field(default=2, ge=1, le=64, description="Jobs that one worker runs at once.")
    max_outstanding_runs: int = Field(
        default=50, ge=1, le=1000, description="Jobs handed to Prefect at once; the others wait in the database."
    )
    job_timeout: float = Field(
        default=3600.0, gt=0, description="Seconds a job may run; media over 3 minutes get 20 times their length."
    )
    crash_retries: int = Field(default=3, ge=0, le=20, description="Times a job is taken up again after a crash.")
    queue_poll_interval: float = Field(
        default=1.0, gt=0, le=60, description="Seconds between looks at the queue when nothing wakes it."
    )
    worker_poll_interval: float = Field(
        default=1.0, gt=0, le=60, description="Seconds between a worker's looks at Prefect's queues when not woken."
    )
    retention_days: float = Field(default=30.0, gt=0, description="Days that ended jobs, files and caches are kept.")
    simulated_engines: bool = Field(
        default=False, description="Run every job on the simulated engines, for demonstration and load tests."
    )
    max_upload_bytes: int = Field(default=4 * 1024**3, ge=1, description="Largest source file.")
    max_duration_s: float = Field(default=6 * 3600.0, gt=0, description="Longest source.")
    max_pixels: int = Field(default=40_000_000, ge=1, description="Largest picture, width times height.")
    max_streams: int = Field(default=32, ge=1, description="Most streams in a source.")
    max_fps: float = Field(default=300.0, gt=0, description="Highest frame rate of a source.")
    simulated_delay_s: float = Field(default=0.0, ge=0, description="Delay of one call of the simulated engines.")
    simulated_log: Path | None = Field(
        default=None, description="File to which the simulated voice writes a line for each text it has spoken."
    )
    simulated_error_rate: float = Field(default=0.0, ge=0, le=1, description="Share of simulated calls that fail.")

    @field_validator("engine_socket", "models_dir", "simulated_log", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("kokoro_form")
    @classmethod
    def _known_form(cls, value: str) -> str:
        if value not in {"auto", "int8", "products", "compiled"}:
            raise ValueError("must be auto, int8, products or compiled")
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


def setting_problem(error: ValidationError) -> str:
    """One sentence that names the first wrong variable."""
    row = error.errors()[0]
    name = "_".join(str(p) for p in row["loc"]).upper()
    message = row["msg"].removeprefix("Value error, ")
    return f"The setting {name} is wrong: {message[0].lower()}{message[1:]}."
