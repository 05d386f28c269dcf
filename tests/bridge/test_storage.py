"""Lessons on disk: what survives a restart, what is refused, and that migrations make the schema."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from bridge import storage
from bridge.errors import SetupError
from bridge.lessons import IllegalTransitionError, LessonUnknownError, new_lesson
from bridge.storage import DATABASE_FILE, SqlLessonStore, open_database, sqlite_url
from bridge.storage.tables import metadata
from bridge.values import LessonId, LessonState
from tests.bridge.support import NOON

LATER = NOON + timedelta(minutes=75)


async def test_a_restart_keeps_the_lessons(tmp_path: Path) -> None:
    first, second = new_lesson("Ääni", "RUB14", NOON), new_lesson("Kuva", "FI2", LATER)
    database = await open_database(sqlite_url(tmp_path))
    store = SqlLessonStore(database.engine)
    await store.add(second)
    await store.add(first)
    live = await store.set_state(first.id, LessonState.LIVE, LATER)
    assert live == first.moved(LessonState.LIVE, LATER)
    await database.close()

    database = await open_database(sqlite_url(tmp_path))
    store = SqlLessonStore(database.engine)
    assert await store.list() == (live, second)
    assert await store.get(first.id) == live
    assert live.opened_at is not None
    assert live.opened_at.tzinfo is UTC
    await database.close()


async def test_several_lessons_by_one_question(tmp_path: Path) -> None:
    database = await open_database(sqlite_url(tmp_path))
    store = SqlLessonStore(database.engine)
    recorded, live, other = (
        new_lesson("a", "b", NOON, record=True),
        new_lesson("c", "d", NOON, live=True),
        new_lesson("e", "f", NOON),
    )
    for lesson in (recorded, live, other):
        await store.add(lesson)
    found = await store.get_all([recorded.id, live.id, LessonId("nope")])
    assert {lesson.id: lesson for lesson in found} == {recorded.id: recorded, live.id: live}
    assert await store.get_all([]) == ()
    await database.close()


async def test_a_lesson_of_an_older_server_is_not_recorded(tmp_path: Path) -> None:
    database = await open_database(sqlite_url(tmp_path))

    def go_back(connection: Connection) -> None:
        config = AlembicConfig()
        config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")

    async with database.engine.begin() as connection:
        await connection.run_sync(go_back)
        await connection.execute(
            text(
                "INSERT INTO lessons (id, title, course, state, created_at) "
                "VALUES ('old', 'a', 'b', 'live', :at)"
            ),
            {"at": NOON},
        )
    await database.close()

    database = await open_database(sqlite_url(tmp_path))
    lesson = await SqlLessonStore(database.engine).get(LessonId("old"))
    assert (lesson.state, lesson.record, lesson.created_at) == (LessonState.LIVE, False, NOON)
    await database.close()


async def test_a_lesson_never_goes_back_in_the_store(tmp_path: Path) -> None:
    database = await open_database(sqlite_url(tmp_path))
    store = SqlLessonStore(database.engine)
    lesson = new_lesson("a", "b", NOON)
    await store.add(lesson)
    await store.set_state(lesson.id, LessonState.ENDED, LATER)
    with pytest.raises(IllegalTransitionError):
        await store.set_state(lesson.id, LessonState.LIVE, LATER)
    with pytest.raises(LessonUnknownError):
        await store.get(LessonId("nope"))
    with pytest.raises(LessonUnknownError):
        await store.set_state(LessonId("nope"), LessonState.LIVE, LATER)
    await database.close()


async def test_of_two_that_open_a_lesson_at_once_one_does(tmp_path: Path) -> None:
    database = await open_database(sqlite_url(tmp_path))
    store = SqlLessonStore(database.engine)
    lesson = new_lesson("a", "b", NOON)
    await store.add(lesson)
    results = await asyncio.gather(
        *(store.set_state(lesson.id, LessonState.LIVE, LATER) for _ in range(4)), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    await database.close()


async def test_times_are_utc_whatever_their_zone(tmp_path: Path) -> None:
    database = await open_database(sqlite_url(tmp_path))
    store = SqlLessonStore(database.engine)
    helsinki = datetime(2026, 11, 24, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    lesson = new_lesson("a", "b", helsinki)
    await store.add(lesson)
    kept = await store.get(lesson.id)
    assert (kept.created_at, kept.created_at.tzinfo) == (NOON, UTC)
    await database.close()


async def test_migrations_make_the_schema_of_the_tables_from_nothing(tmp_path: Path) -> None:
    database = await open_database(sqlite_url(tmp_path / "a folder % that is not there"))

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_readers_do_not_wait_for_the_writer(tmp_path: Path) -> None:
    database = await open_database(sqlite_url(tmp_path))
    async with database.engine.connect() as connection:
        mode = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one()
    await database.close()
    assert mode == "wal"


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_bytes(b"Not a database at all. " * 400)
    with pytest.raises(SetupError) as caught:
        await open_database(sqlite_url(tmp_path))
    assert caught.value.code == "storage-corrupt"
    assert "\n" not in caught.value.text


async def test_a_damaged_page(tmp_path: Path) -> None:
    database = await open_database(sqlite_url(tmp_path))
    store = SqlLessonStore(database.engine)
    for number in range(200):
        await store.add(new_lesson(f"lesson {number}", "c" * 30, NOON))
    await database.close()
    path = tmp_path / DATABASE_FILE
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    contents = bytearray(path.read_bytes())
    contents[8192:] = b"\xff" * (len(contents) - 8192)
    path.write_bytes(contents)
    database = await open_database(sqlite_url(tmp_path))
    with pytest.raises(SetupError) as caught:
        await SqlLessonStore(database.engine).list()
    await database.close()
    assert caught.value.code == "storage-corrupt"


async def test_a_folder_that_can_t_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError) as caught:
        await open_database(sqlite_url(tmp_path / "file" / "data"))
    assert caught.value.code == "storage-unreachable"


async def test_a_database_that_can_t_be_opened(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).mkdir()
    with pytest.raises(SetupError) as caught:
        await open_database(sqlite_url(tmp_path))
    assert caught.value.code == "storage-unreachable"
