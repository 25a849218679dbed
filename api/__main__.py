"""`python -m api`: serve the API; `python -m api migrate`: bring the database up to date and leave."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import sys

import uvicorn
from pydantic import ValidationError

from api.app import create_app
from api.db import Database, database_url
from api.logs import configure_logging
from dubline.errors import DublineError
from dubline.settings import Settings, get_settings, setting_problem
from dubline.storage.open import open_store

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h


def main(arguments: list[str]) -> int:
    """Exit status 78 and one sentence when a setting is wrong."""
    try:
        settings = get_settings()
        configure_logging(settings)
        if not is_loopback(settings.host) and settings.auth == "off":
            print(
                "HOST is not a loopback address: without accounts the service may only be reached from this machine.",
                file=sys.stderr,
            )
            return EXIT_CONFIG
        if arguments == ["migrate"]:
            asyncio.run(_migrate(settings))
            return 0
        os.umask(0o077)
        from api.orchestrator import PrefectOrchestrator

        app = create_app(settings, open_store(settings), PrefectOrchestrator())
    except ValidationError as error:
        print(setting_problem(error), file=sys.stderr)
        return EXIT_CONFIG
    except DublineError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return EXIT_CONFIG
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        ws="websockets-sansio",
        ws_ping_interval=20.0,
        ws_per_message_deflate=False,  # small messages; a compressor for each connection would cost more than it saves
        ws_max_size=64 * 1024,
        server_header=False,
    )
    return 0


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is only reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _migrate(settings: Settings) -> None:
    db = Database(database_url(settings))
    try:
        await db.migrate()
    finally:
        await db.close()
    logging.getLogger("dubline.api").info("the database is up to date")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
