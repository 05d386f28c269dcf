"""A client that stops reading, over a real socket with small buffers: it alone pays for it (D6)."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from bridge.config import Limits
from bridge.registry import LiveLessons
from bridge.slots import LessonRules
from bridge.values import Role
from signalling.connection import Services
from signalling.http import Door, make_application
from signalling.outbox import OUTBOX_LIMIT
from signalling.tokens import Tokens
from tests.bridge.support import LESSON, MemoryStore, RecordingMediaService
from tests.signalling.client import SITES, Client, join_of

SMALL = 4096
"""Bytes that the kernel holds for each end; it can't be made much smaller."""
ENOUGH = 1500
"""Changes, about 1 KB each, that fill every buffer on the way and both of the outbox's chances after them."""


def small_socket(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Accepted sockets inherit the buffer of the one that listens."""
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    made.bind((host, port))
    return made


def small_client_socket(address: Sequence[Any]) -> socket.socket:
    made = socket.socket(address[0], address[1], address[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    return made


class Slow:
    """A server of one lesson, and how to come into it."""

    def __init__(self, server: TestServer, tokens: Tokens) -> None:
        self._url = server.make_url("/ws")
        self._tokens = tokens

    @asynccontextmanager
    async def joined(self, role: Role) -> AsyncIterator[Client]:
        """Joined, and from then on read only by the test."""
        connector = aiohttp.TCPConnector(socket_factory=small_client_socket)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.ws_connect(self._url) as made,
        ):
            client = Client(made)
            token = self._tokens.sign(LESSON.id, role, SITES[role], now=time.time())
            await client.ask("hello", version=1, token=token)
            if role is Role.KIOSK:
                await client.ask("open")
            assert (await client.ask("join", **join_of(role)))["type"] == "joined"
            yield client


@asynccontextmanager
async def slow_line(closing_s: float) -> AsyncIterator[Slow]:
    lessons = LiveLessons(
        MemoryStore({LESSON.id: LESSON}),
        RecordingMediaService().open,
        rules=LessonRules(),
        endpoints_per_lesson=10,
        now=lambda: datetime.now(UTC),
    )
    tokens = Tokens(bytes(32))
    limits = Limits(closing_s=closing_s, messages_per_s=1e6, message_burst=10**6)
    door = Door(Services(lessons, tokens, limits, time.time))
    server = TestServer(make_application(door), socket_factory=small_socket)
    async with server:
        yield Slow(server, tokens)
        await lessons.stop()
        await door.stop()


async def change(teacher: Client, times: int) -> list[str]:
    """Switch a camera off and on, and read what comes of it. Gives the endpoints that were cut meanwhile."""
    away: list[str] = []
    for turn in range(times):
        await teacher.socket.send_json({"type": "source", "id": turn, "kind": "camera", "on": turn % 2 == 1})
        while (message := await teacher.next()).get("re") != turn:
            away += away_in(message)
        assert message["type"] == "done"
    return away


def away_in(message: dict[str, Any]) -> list[str]:
    return [member["endpoint"] for member in message.get("changed", []) if member["away"]]


async def test_a_client_that_does_not_read_is_cut_and_the_others_go_on() -> None:
    async with (
        slow_line(closing_s=0.05) as line,
        line.joined(Role.KIOSK) as teacher,
        line.joined(Role.SCHOOL) as slow,
    ):
        endpoint = (await teacher.until("members"))["changed"][0]["endpoint"]
        away = await change(teacher, ENOUGH)
        while endpoint not in away:
            away += away_in(await teacher.until("members"))
        assert (await teacher.ask("source", kind="mic", on=False))["type"] == "done"
        assert await slow.close_code() == 1006, "its transport was cut, in the middle of a message"


async def test_a_client_that_reads_on_in_time_is_told_why() -> None:
    async with (
        slow_line(closing_s=20.0) as line,
        line.joined(Role.KIOSK) as teacher,
        line.joined(Role.SCHOOL) as slow,
    ):
        await change(teacher, ENOUGH)
        error = await slow.until("error")
        assert (error["code"], error["fatal"]) == ("too-slow", True)
        assert await slow.close_code() == 4000


async def test_a_short_pause_costs_nothing() -> None:
    pause = OUTBOX_LIMIT // 4
    async with (
        slow_line(closing_s=2.0) as line,
        line.joined(Role.KIOSK) as teacher,
        line.joined(Role.SCHOOL) as slow,
    ):
        await change(teacher, pause)
        revisions = [(await slow.until("slots"))["revision"] for _ in range(pause)]
        assert revisions == list(range(revisions[0], revisions[0] + pause))
