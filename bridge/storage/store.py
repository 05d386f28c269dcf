"""The LessonStore port on a database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.lessons import IllegalTransitionError, Lesson, LessonTakenError, LessonUnknownError
from bridge.storage.faults import setup_errors
from bridge.storage.tables import lessons as table
from bridge.values import LessonId, LessonState


class SqlLessonStore:
    """Lessons in the table of that name. Safe to use from several processes."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, lesson: Lesson) -> None:
        row = insert(table).values(
            id=lesson.id,
            title=lesson.title,
            course=lesson.course,
            state=lesson.state.value,
            created_at=lesson.created_at,
            opened_at=lesson.opened_at,
            ended_at=lesson.ended_at,
            record=lesson.record,
        )
        async with self._transaction() as connection:
            try:
                await connection.execute(row)
            except IntegrityError as error:
                # The id is the only thing that a row shares with no other.
                raise LessonTakenError(lesson.id) from error

    async def get(self, lesson: LessonId) -> Lesson:
        async with self._transaction() as connection:
            return await _get(connection, lesson)

    async def get_all(self, lessons: Collection[LessonId]) -> tuple[Lesson, ...]:
        async with self._transaction() as connection:
            rows = await connection.execute(select(table).where(table.c.id.in_(lessons)))
            return tuple(_lesson_of(row) for row in rows)

    async def list(self) -> tuple[Lesson, ...]:
        async with self._transaction() as connection:
            rows = await connection.execute(select(table).order_by(table.c.created_at, table.c.id))
            return tuple(_lesson_of(row) for row in rows)

    async def set_state(self, lesson: LessonId, state: LessonState, at: datetime) -> Lesson:
        async with self._transaction() as connection:
            before = await _get(connection, lesson)
            after = before.moved(state, at)
            result = await connection.execute(
                update(table)
                .where(table.c.id == lesson, table.c.state == before.state.value)
                .values(state=after.state.value, opened_at=after.opened_at, ended_at=after.ended_at)
            )
            # The condition on the old state makes it right without a lock on the row.
            if result.rowcount != 1:
                raise IllegalTransitionError(f"lesson {lesson}: changed by another meanwhile")
            return after

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with setup_errors():
            async with self._engine.begin() as connection:
                yield connection


async def _get(connection: AsyncConnection, lesson: LessonId) -> Lesson:
    row = (await connection.execute(select(table).where(table.c.id == lesson))).one_or_none()
    if row is None:
        raise LessonUnknownError(lesson)
    return _lesson_of(row)


def _lesson_of(row: Row[Any]) -> Lesson:
    return Lesson(
        id=LessonId(row.id),
        title=row.title,
        course=row.course,
        state=LessonState(row.state),
        created_at=row.created_at,
        opened_at=row.opened_at,
        ended_at=row.ended_at,
        record=row.record,
    )
