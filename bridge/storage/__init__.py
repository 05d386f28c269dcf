"""Lessons in a database: SQLAlchemy over any of its asyncio drivers, SQLite by default (D8).

tables.py      the schema as the program sees it
store.py       SqlLessonStore, the LessonStore port on it
database.py    opens the database: folder, migrations, engine
migrations/    how the schema came to be (Alembic); applied at every start
"""

from bridge.storage.database import DATABASE_FILE, Database, open_database, sqlite_url
from bridge.storage.store import SqlLessonStore

__all__ = ["DATABASE_FILE", "Database", "SqlLessonStore", "open_database", "sqlite_url"]
