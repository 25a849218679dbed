"""The database: address, engine, sessions, migrations. SQLite with a write-ahead log, or PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool
from sqlmodel.ext.asyncio.session import AsyncSession

from dubline.errors import DublineError, InputError
from dubline.settings import Settings

_BUSY_MS = 10_000
_WAL_WAIT_S = 0.02
_CACHE_KB = 512  # for each connection; the system keeps the file's pages, too
_MIGRATIONS = Path(__file__).with_name("migrations")


class DatabaseUnavailable(DublineError):
    """The database does not answer now; the same request may succeed later."""

    code = "database_unavailable"
    retryable = True


def database_url(settings: Settings) -> str:
    """SQLAlchemy's address with an async driver, from what people write in `DATABASE_URL`.

    Raises:
        InputError: `database_url`, when it is no address of SQLite or PostgreSQL.
    """
    given = settings.database_url.strip()
    if given in (":memory:", "sqlite://", "sqlite:///:memory:"):
        return "sqlite+aiosqlite://"
    if not given:
        return f"sqlite+aiosqlite:///{settings.dubline_home / 'dubline.db'}"
    try:
        url = make_url(given)
    except ArgumentError as error:
        raise _bad_url() from error
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    driver = drivers.get(url.drivername.split("+")[0])
    if driver is None:
        raise _bad_url()
    return url.set(drivername=driver).render_as_string(hide_password=False)


def _bad_url() -> InputError:
    return InputError(
        "DATABASE_URL is not the address of an SQLite or PostgreSQL database.",
        code="database_url",
        hint="Write sqlite:///file.db, postgresql://user:password@host/name or :memory:.",
    )


class Database:
    """Sessions on one engine. A transaction is short and never spans a call to Prefect or the store."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {"pool_pre_ping": True}
        self._lost: tuple[type[Exception], ...] = ()
        if url == "sqlite+aiosqlite://":
            options = {"poolclass": StaticPool}
        elif self.is_sqlite:
            Path(make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
            options |= {"pool_size": 5, "max_overflow": 5}  # each connection is a thread with a cache of its own
        else:
            from asyncpg import exceptions

            # SQLAlchemy hands what the driver raises while it connects through as it is.
            self._lost = (exceptions.OperatorInterventionError, exceptions.PostgresConnectionError)
            options |= {"pool_size": 10, "max_overflow": 10, "pool_timeout": 10}
        self.engine: AsyncEngine = create_async_engine(url, **options)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _tune_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A transaction, committed when the block ends well.

        Raises:
            DatabaseUnavailable: the connection was lost or could not be made.
        """
        async with self._session({}) as session:
            yield session
            await session.commit()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads; with SQLite it waits for no writer.

        Raises:
            DatabaseUnavailable: as `begin`.
        """
        async with self._session({"dubline_reads": True}) as session:
            yield session

    @asynccontextmanager
    async def _session(self, options: dict[str, Any]) -> AsyncIterator[AsyncSession]:
        try:
            async with AsyncSession(self.engine, expire_on_commit=False) as session:
                await session.connection(execution_options=options)
                yield session
        except (DBAPIError, OSError, PoolTimeout, *self._lost) as error:
            if isinstance(error, DBAPIError) and not _is_connection_fault(error):
                raise
            raise DatabaseUnavailable("The database does not answer.", hint="Try again in a moment.") from error

    async def check(self) -> None:
        """Raise `DatabaseUnavailable` unless the database answers."""
        try:
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError, *self._lost) as error:
            raise DatabaseUnavailable("The database does not answer.", hint="Look at its log.") from error

    async def migrate(self) -> None:
        """Bring the schema up to date."""
        async with self.engine.begin() as connection:
            if not self.is_sqlite:
                # Two processes that start at once must not both migrate.
                await connection.execute(text("SELECT pg_advisory_xact_lock(7120417)"))
            await connection.run_sync(_upgrade)

    async def close(self) -> None:
        await self.engine.dispose()


def _tune_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")  # first: the others may have to wait, too
    _to_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
    cursor.close()


def _to_wal(cursor: Any) -> None:
    """Switch to a write-ahead log. Where another connection is switching too, SQLite gives up whatever the timeout."""
    deadline_s = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline_s:
                raise
            time.sleep(_WAL_WAIT_S)
        else:
            return


def _begin_sqlite(connection: Any) -> None:
    # IMMEDIATE: a read that later writes would fail with "database is locked", whatever the busy timeout.
    reads = connection.get_execution_options().get("dubline_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _is_connection_fault(error: DBAPIError) -> bool:
    words = str(error.orig).lower()
    return error.connection_invalidated or any(
        w in words for w in ("locked", "connection", "shutting down", "starting up", "terminating", "refused")
    )


def _is_current(connection: Any) -> bool:
    """Whether the newest migration has been applied; files are named by their revision."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    newest = max(p.name.split("_")[0] for p in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == newest


def _upgrade(connection: Any) -> None:
    if _is_current(connection):
        return
    # Not at the top: what has nothing to migrate need not hold it in memory.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
