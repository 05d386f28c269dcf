"""A WebSocket client of the wire protocol, and a running server with recording media behind it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from bridge.config import Address, Config, Limits
from bridge.lessons import Lesson, new_lesson
from bridge.program import Program, running
from bridge.values import GRANTS, LessonId, Role
from tests.bridge.support import RecordingMedia, RecordingMediaService, make_offer

PATIENCE_S = 20.0
SITES = {Role.KIOSK: "Närpiö", Role.SCHOOL: "Iisalmi", Role.HOME: "Vieremä", Role.GUEST: "Varkaus"}


class Client:
    """One connection. Every request carries an id; ``answer`` waits for what carries it as ``re``."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._ids = itertools.count(1)

    async def next(self) -> dict[str, Any]:
        """The next message. Raises AssertionError when the connection closes instead."""
        frame = await self.socket.receive(PATIENCE_S)
        assert frame.type is aiohttp.WSMsgType.TEXT, frame
        message = frame.json()
        assert isinstance(message, dict)
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of this type; others are passed over."""
        while (message := await self.next())["type"] != kind:
            pass
        return message

    async def ask(self, kind: str, /, **fields: object) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        number = next(self._ids)
        await self.socket.send_json({"type": kind, "id": number, **fields})
        while (message := await self.next()).get("re") != number:
            pass
        return message

    async def close_code(self) -> int | None:
        """Read until the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame = await self.socket.receive()
                if frame.type in (
                    aiohttp.WSMsgType.CLOSE,
                    aiohttp.WSMsgType.CLOSED,
                    aiohttp.WSMsgType.CLOSING,
                ):
                    return self.socket.close_code


@dataclass
class Bench:
    program: Program
    media: RecordingMediaService
    lesson: Lesson
    session: aiohttp.ClientSession

    def token(
        self, role: Role, *, lesson: LessonId | None = None, ttl_s: float = 600.0, age_s: float = 0.0
    ) -> str:
        now = time.time() - age_s
        return self.program.tokens.sign(lesson or self.lesson.id, role, SITES[role], now=now, ttl_s=ttl_s)

    @asynccontextmanager
    async def stranger(self) -> AsyncIterator[Client]:
        async with self.session.ws_connect(self.program.websocket_url) as socket:
            yield Client(socket)

    @asynccontextmanager
    async def known(self, role: Role) -> AsyncIterator[Client]:
        async with self.stranger() as client:
            welcome = await client.ask("hello", version=1, token=self.token(role))
            assert welcome["type"] == "welcome", welcome
            yield client

    @asynccontextmanager
    async def joined(self, role: Role) -> AsyncIterator[Client]:
        async with self.known(role) as client:
            if GRANTS[role].may_open:
                assert (await client.ask("open"))["type"] == "done"
            assert (await client.ask("join", **join_of(role)))["type"] == "joined"
            yield client


def join_of(role: Role, sdp: str = "offer") -> dict[str, Any]:
    """The fields of a ``join`` with everything that the role's grant allows."""
    offer = make_offer(role, sdp)
    return {
        "offer": offer.sdp,
        "sources": [{"kind": source.kind, "mid": source.mid} for source in offer.sources],
        "slots": [{"index": s.index, "picture": s.picture, "voice": s.voice} for s in offer.slots],
    }


@asynccontextmanager
async def bench_of(
    folder: Path,
    limits: Limits | None = None,
    make_media: type[RecordingMedia] = RecordingMedia,
    config: Config | None = None,
) -> AsyncIterator[Bench]:
    """A server with one lesson that waits for its teacher."""
    media = RecordingMediaService(make_media)
    config = config or Config(http=Address("127.0.0.1", 0), data=folder, limits=limits or Limits())
    async with running(config, media) as program, aiohttp.ClientSession() as session:
        lesson = new_lesson("Nyheter och medier", "RUB14", datetime.now(UTC))
        await program.store.add(lesson)
        yield Bench(program, media, lesson, session)
