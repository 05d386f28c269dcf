"""The database's many exceptions as one of ours, with a code that an operator can look up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError

from bridge.errors import SetupError


@contextmanager
def setup_errors() -> Iterator[None]:
    """Raise SetupError for what the database refuses: ``storage-unreachable`` when it can't be opened, read
    or written just now, ``storage-corrupt`` when it is not a database or its contents are damaged."""
    try:
        yield
    except OperationalError as error:
        raise SetupError("storage-unreachable", f"the database can't be used: {error.orig}") from error
    except DBAPIError as error:
        raise SetupError("storage-corrupt", f"the database is damaged: {error.orig}") from error
