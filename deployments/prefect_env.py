"""The environment every Prefect process of the local stack runs in. Set before Prefect is imported."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

import certifi

from dubline.settings import Settings

_TUNING = {
    # What the embedded SQLite server needs on a small machine; measured, see docs/adr.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_CLI_PROMPT": "false",
    "DO_NOT_TRACK": "1",
}


def auth_string(settings: Settings) -> str:
    """The server's password, made on first use, readable by this user alone."""
    path = settings.prefect_dir / "auth"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        text = f"dubline:{secrets.token_urlsafe(24)}"
        file.write(text)
    return text


def _database(home: Path) -> str:
    """SQLite in the state folder, or the PostgreSQL that the environment names."""
    url = os.environ.get("DUBLINE_PREFECT_DATABASE_URL", "")
    if not url:
        return f"sqlite+aiosqlite:///{home / 'prefect.db'}"
    scheme, separator, rest = url.partition("://")
    return f"postgresql+asyncpg://{rest}" if separator and scheme in {"postgres", "postgresql"} else url


def prefect_environment(settings: Settings, api_url: str | None = None) -> dict[str, str]:
    """Variables for a server (no `api_url`) or a client of it; foreign Prefect settings are kept out."""
    home: Path = settings.prefect_dir
    auth = auth_string(settings)
    values = {
        **_TUNING,
        "PREFECT_WORKER_QUERY_SECONDS": str(settings.worker_poll_interval),
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_API_DATABASE_CONNECTION_URL": _database(home),
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_API_AUTH_STRING": auth,
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(settings.results_dir),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    }
    if api_url is not None:
        values["PREFECT_API_URL"] = api_url
        if api_url.startswith("http://"):
            values["PREFECT_API_SSL_CERT_FILE"] = str(_one_certificate(home))
    return values


def _one_certificate(home: Path) -> Path:
    """A file of one certificate, for a server that shows none.

    Prefect's client, one for every task run, reads all certificates even for plain HTTP: 15 to 30 ms each time.
    """
    path = home / "unused-certificate.pem"
    if not path.is_file():
        every = Path(certifi.where()).read_text()
        first = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", every, re.DOTALL)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(first[0] if first else every)
        temporary.replace(path)
    return path


def enter(settings: Settings, api_url: str | None = None) -> None:
    """Make this process one of the local stack."""
    for name in [n for n in os.environ if n.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ.update(prefect_environment(settings, api_url))
