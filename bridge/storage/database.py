"""Opens the database: makes the folder, brings the schema up to date, gives an engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bridge.errors import SetupError
from bridge.storage.faults import setup_errors

DATABASE_FILE = "luokkasilta.sqlite3"

_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """An open database. ``engine`` is for the stores; ``close`` gives its connections back."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def close(self) -> None:
        await self.engine.dispose()


def sqlite_url(folder: Path) -> str:
    """The URL of the embedded database in a data folder."""
    return URL.create("sqlite+aiosqlite", database=str(folder / DATABASE_FILE)).render_as_string()


async def open_database(url: str) -> Database:
    """Open the database of an asyncio driver's URL and migrate it to the newest schema.

    Raises SetupError: ``storage-unreachable``, ``storage-corrupt``.
    """
    # Alembic is synchronous and reads its scripts from disk: a thread keeps it off the event loop, and
    # it uses the database's synchronous driver, which leaves no thread behind when the file is no database.
    await asyncio.to_thread(_prepare, url)
    return Database(_engine(url))


def _prepare(url: str) -> None:
    database = make_url(url).database
    if make_url(url).get_backend_name() == "sqlite" and database:
        folder = Path(database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            text = f"the data folder {folder} can't be made: {error.strerror}"
            raise SetupError("storage-unreachable", text) from error
    _migrate(url)


def _migrate(url: str) -> None:
    parsed = make_url(url)
    engine = create_engine(parsed.set(drivername=parsed.get_backend_name()))
    _tune(engine)
    try:
        with setup_errors(), engine.begin() as connection:
            _upgrade(connection)
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = AlembicConfig()
    # Alembic's configuration interpolates "%".
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url)
    _tune(engine.sync_engine)
    return engine


def _tune(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)


def _tune_sqlite(connection: Any, _record: object) -> None:
    """Write-ahead log: readers and the one writer don't wait for each other; other processes may look in."""
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
    except Exception:
        # The pool forgets a connection that fails here, and its thread would outlive the event loop.
        connection.close()
        raise
