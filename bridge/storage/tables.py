"""The schema. A change here needs a migration; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Boolean, Column, DateTime, Dialect, MetaData, String, Table, false
from sqlalchemy.types import TypeDecorator

from bridge.lessons import COURSE_MAX, TITLE_MAX

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time, also where the database has no time zones (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses a naive time with ValueError: nobody can say which instant it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without its zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite gives back what was put in, without the zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


lessons = Table(
    "lessons",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("title", String(TITLE_MAX), nullable=False),
    Column("course", String(COURSE_MAX), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("opened_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("record", Boolean, nullable=False, server_default=false()),
)
