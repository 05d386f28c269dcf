"""The composition: the one file of bridge that knows signalling and media, and who starts and stops whom.

start   storage -> media -> recordings -> lessons -> HTTP
stop    no longer ready, HTTP stops listening -> every lesson's endpoints are told ``server-stopping`` and
        their Classrooms close -> the other connections are told -> recordings -> media -> storage
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bridge.config import Address, Config
from bridge.errors import SetupError
from bridge.lessons import LessonStore, LessonUnknownError
from bridge.ports import OpenMedia
from bridge.registry import LiveLessons
from bridge.storage import SqlLessonStore, open_database, sqlite_url
from bridge.values import LessonId, LessonState
from media.recording.layout import playable, raw_folder
from media.recording.service import RecordingService
from signalling.connection import Services
from signalling.http import Door, make_application, make_runner
from signalling.listener import Listener
from signalling.metrics import Metrics
from signalling.operations import Operations
from signalling.tokens import Tokens, load_key
from signalling.turn import TurnRest
from signalling.watch import Watch
from signalling.whip import Sessions

log = logging.getLogger(__name__)

RECORDINGS = "recordings"
"""The folder of recordings in the data folder."""


class Media(Protocol):
    """The media of the process, as the composition needs it."""

    async def stop(self) -> None: ...

    async def statistics(self) -> dict[str, Any]:
        """media.service.MediaService.statistics. Raises an exception when a shard does not answer."""

    async def sync_recordings(self) -> None:
        """Returns when what the engine gave to recordings is on disk."""

    @property
    def open(self) -> OpenMedia: ...


@dataclass(frozen=True, slots=True)
class Program:
    """A running server."""

    http: Address
    """Where it listens, with the port that the kernel chose where 0 was asked for."""
    data: Path
    store: LessonStore
    tokens: Tokens
    lessons: LiveLessons
    recordings: RecordingService
    secure: bool = False
    """Whether it speaks TLS itself."""

    @property
    def base_url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.http}"

    @property
    def websocket_url(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.http}/ws"


@asynccontextmanager
async def running(config: Config, media: Media | None = None) -> AsyncIterator[Program]:
    """Start the server, and stop it in order at the end of the block.

    ``media``, already started, stands in for the packet engine's; it is stopped with the rest.

    Raises SetupError: ``http-insecure``, ``certificate-unusable``, ``storage-unreachable``,
    ``storage-corrupt``, ``key-unreachable``, ``key-invalid``, ``media-unavailable``, ``http-unavailable``.
    """
    tls = await _tls_of(config)
    async with AsyncExitStack() as stack:
        tokens = await tokens_of(config.data)
        store = await stack.enter_async_context(lessons_in(config.data))
        started = await _start_media(config) if media is None else media
        stack.push_async_callback(started.stop)
        recordings = RecordingService(config.data / RECORDINGS, started.sync_recordings)
        stack.push_async_callback(recordings.stop)

        turn = TurnRest(config.turn)
        lessons = LiveLessons(
            store,
            started.open,
            rules=config.rules,
            endpoints_per_lesson=config.limits.endpoints_per_lesson,
            now=lambda: datetime.now(UTC),
            resumable_s=config.limits.resumable_s,
            ice_servers=turn,
            contact=config.contact,
            recordings=recordings,
        )
        metrics = Metrics()
        services = Services(lessons, tokens, config.limits, time.time, metrics)
        door = Door(services)
        listener = Listener(config.limits, behind_proxy=config.behind_proxy)
        watch = Watch(store, started.statistics, lessons, door, metrics=metrics, listener=listener)
        operations = Operations(tokens, time.time, config.behind_proxy, watch)
        runner = make_runner(
            make_application(door, operations, sessions=Sessions(services, turn)), config.limits, metrics
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(door.stop)
        stack.push_async_callback(lessons.stop)
        assert runner.server is not None, "made by setup"
        try:
            address = await listener.listen(runner.server, config.http, tls)
        except OSError as error:
            text = f"can't listen on {config.http}: {error.strerror or error}"
            raise SetupError("http-unavailable", text) from error
        stack.callback(listener.close)
        for lesson in await recordings.recover(lambda lesson: _is_over(store, lesson)):
            lessons.take_up(lesson)
        program = Program(address, config.data, store, tokens, lessons, recordings, secure=tls is not None)
        log.info("listening on %s", program.base_url)
        yield program
        log.info("stopping")
        watch.stopping = True


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


def recording_of(data: Path, lesson: LessonId) -> tuple[Path, Path]:
    """The folder of a lesson's raw recording, and the file to watch that is made of it."""
    return raw_folder(data / RECORDINGS, lesson), playable(data / RECORDINGS, lesson)


async def _is_over(store: LessonStore, lesson: LessonId) -> bool:
    """One that nobody knows any more does not go on either."""
    try:
        return (await store.get(lesson)).state is LessonState.ENDED
    except LessonUnknownError:
        return True


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
        started = MediaService(
            [str(address) for address in config.media], config.announce, recordings=config.data / RECORDINGS
        )
        await started.start()
    except (EngineUnavailableError, ValueError) as error:
        raise SetupError("media-unavailable", f"media can't start: {error}") from error
    return started


async def _tls_of(config: Config) -> ssl.SSLContext | None:
    """None for plain HTTP, which only this machine, or a proxy on it, is to speak.

    Raises SetupError: ``http-insecure``, ``certificate-unusable``.
    """
    if config.tls is None:
        if config.http.is_loopback or config.behind_proxy:
            return None
        raise SetupError(
            "http-insecure",
            f"{config.http} is not this machine alone, and browsers give a camera and a microphone only to "
            "https pages: give --certificate and --key, or --behind-proxy where a reverse proxy speaks TLS",
        )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate, key = config.tls.certificate, config.tls.key

    def no_password() -> str:
        # Without this OpenSSL asks on the terminal, and a server has nobody there.
        raise ValueError("the key has a password")

    try:
        await asyncio.to_thread(context.load_cert_chain, certificate, key, no_password)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        text = f"the certificate {certificate} with the key {key} can't be used: {reason}"
        raise SetupError("certificate-unusable", text) from error
    return context
