"""The composition: the one file of bridge that knows signalling and media, and who starts and stops whom.

start   storage -> media -> lessons -> HTTP
stop    HTTP stops listening -> every lesson's endpoints are told ``server-stopping`` and their Classrooms
        close -> the other connections are told -> media -> storage
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from aiohttp import web

from bridge.config import Address, Config
from bridge.errors import SetupError
from bridge.lessons import LessonStore
from bridge.ports import OpenMedia
from bridge.registry import LiveLessons
from bridge.storage import SqlLessonStore, open_database, sqlite_url
from signalling.connection import Services
from signalling.http import Door, make_application
from signalling.tokens import Tokens, load_key

log = logging.getLogger(__name__)


class Media(Protocol):
    """The media of the process, as the composition needs it."""

    async def stop(self) -> None: ...

    @property
    def open(self) -> OpenMedia: ...


@dataclass(frozen=True, slots=True)
class Program:
    """A running server."""

    http: Address
    """Where it listens, with the port that the kernel chose where 0 was asked for."""
    store: LessonStore
    tokens: Tokens
    lessons: LiveLessons

    @property
    def base_url(self) -> str:
        return f"http://{self.http}"

    @property
    def websocket_url(self) -> str:
        return f"ws://{self.http}/ws"


@asynccontextmanager
async def running(config: Config, media: Media | None = None) -> AsyncIterator[Program]:
    """Start the server, and stop it in order at the end of the block.

    ``media``, already started, stands in for the packet engine's; it is stopped with the rest.

    Raises SetupError: ``storage-unreachable``, ``storage-corrupt``, ``key-unreachable``, ``key-invalid``,
    ``media-unavailable``, ``http-unavailable``.
    """
    async with AsyncExitStack() as stack:
        tokens = await tokens_of(config.data)
        store = await stack.enter_async_context(lessons_in(config.data))
        started = await _start_media(config) if media is None else media
        stack.push_async_callback(started.stop)

        lessons = LiveLessons(
            store,
            started.open,
            rules=config.rules,
            endpoints_per_lesson=config.limits.endpoints_per_lesson,
            now=lambda: datetime.now(UTC),
            resumable_s=config.limits.resumable_s,
        )
        door = Door(Services(lessons, tokens, config.limits, time.time))
        runner = web.AppRunner(make_application(door), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(door.stop)
        stack.push_async_callback(lessons.stop)
        address = await _listen(runner, config.http)
        log.info("listening on http://%s", address)
        yield Program(address, store, tokens, lessons)
        log.info("stopping")
        for site in tuple(runner.sites):
            await site.stop()


@asynccontextmanager
async def lessons_in(data: Path) -> AsyncIterator[LessonStore]:
    """The store of a data folder. Raises SetupError: ``storage-unreachable``, ``storage-corrupt``."""
    database = await open_database(sqlite_url(data))
    try:
        yield SqlLessonStore(database.engine)
    finally:
        await database.close()


async def tokens_of(data: Path) -> Tokens:
    """What signs and checks for a data folder. Raises SetupError: ``key-unreachable``, ``key-invalid``."""
    return Tokens(await asyncio.to_thread(load_key, data))


async def _start_media(config: Config) -> Media:
    try:
        # Imported here, so that lessons and tokens can be made where the extension is not built.
        from media.engine import EngineUnavailableError  # noqa: PLC0415
        from media.service import MediaService  # noqa: PLC0415
    except ImportError as error:
        if "_engine" not in str(error):
            raise
        raise SetupError("media-unavailable", "the packet engine is not built; run: make build") from error
    try:
        started = MediaService([str(address) for address in config.media], config.announce)
        await started.start()
    except (EngineUnavailableError, ValueError) as error:
        raise SetupError("media-unavailable", f"media can't start: {error}") from error
    return started


async def _listen(runner: web.AppRunner, wanted: Address) -> Address:
    site = web.TCPSite(runner, wanted.host, wanted.port)
    try:
        await site.start()
    except OSError as error:
        raise SetupError(
            "http-unavailable", f"can't listen on {wanted}: {error.strerror or error}"
        ) from error
    return Address(wanted.host, runner.addresses[0][1])
