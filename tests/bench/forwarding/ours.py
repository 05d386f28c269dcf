"""Our server as a rival: the real command, joined through its WebSocket protocol (signalling/PROTOCOL.md)."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from bridge.values import Role
from tests.bench.forwarding import descriptions
from tests.bench.forwarding.programs import Load
from tests.e2e.kit.server import SERVE, Server, running_server

ADDRESS = "127.0.0.1"
SHARDS = 2
SERVE_SHARDS = ("-m", "tests.bench.forwarding.serve_shards")
"""The server with SHARDS shards, which no command offers yet."""


class Member:
    """One WebSocket that has joined; news that comes between answers is thrown away."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer. Raises RuntimeError with the server's error."""
        await self._socket.send_str(json.dumps(message | {"id": 1}))
        while True:
            answer: dict[str, Any] = await self._socket.receive_json(timeout=20)
            if answer.get("re") == 1 or answer["type"] == "error":
                if answer["type"] == "error":
                    raise RuntimeError(f"{answer['code']}: {answer['text']}")
                return answer


@asynccontextmanager
async def server(program: tuple[str, ...] = SERVE) -> AsyncIterator[Server]:
    """A fresh server on ports that the kernel chose."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder), program, more=("--announce", ADDRESS)) as running:
            yield running


class Lesson:
    """A live lesson with one teacher who publishes."""

    def __init__(self, base_url: str, http: ClientSession, token: str) -> None:
        self._base_url = base_url
        self._http = http
        self._token = token

    async def receiver(self, load: Load) -> None:
        """One more home that watches the teacher."""
        number, local = await load.open(ADDRESS)
        slot = {"index": 0, "picture": "0", "voice": "1"}
        join = {
            "type": "join",
            "offer": descriptions.offer(local, "recvonly"),
            "sources": [],
            "slots": [slot],
        }
        member = await _hello(self._base_url, self._http, self._token)
        joined = await member.ask(join)
        await load.connect(number, local, joined["answer"])


@asynccontextmanager
async def lesson(running: Server, teacher: Load, *, shard: int | None = None) -> AsyncIterator[Lesson]:
    """Open a lesson whose teacher is an endpoint of ``teacher``; on ``shard``, where given, of SHARDS."""
    identifier = await running.new_lesson()
    while shard is not None and shard_of(identifier) != shard:
        identifier = await running.new_lesson()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession())
        kiosk = await _token(running, identifier, Role.KIOSK)
        member = await _hello(running.base_url, http, kiosk)
        await member.ask({"type": "open"})
        number, local = await teacher.open(ADDRESS)
        sources = [{"kind": "camera", "mid": "0"}, {"kind": "mic", "mid": "1"}]
        offer = descriptions.offer(local, "sendonly")
        joined = await member.ask({"type": "join", "offer": offer, "sources": sources, "slots": []})
        await teacher.connect(number, local, joined["answer"], publishes=True)
        yield Lesson(running.base_url, http, await _token(running, identifier, Role.HOME))


def shard_of(lesson: str) -> int:
    """Where the server puts a lesson: media.engine.PacketEngine.shard_of."""
    return int.from_bytes(hashlib.sha256(lesson.encode()).digest()[:8]) % SHARDS


async def _token(running: Server, identifier: str, role: Role) -> str:
    return (await running.link(identifier, role, role.value)).partition("#t=")[2]


async def _hello(base_url: str, http: ClientSession, token: str) -> Member:
    # No limit of size: the list of members of a large lesson is long.
    socket = await http.ws_connect(f"{base_url}/ws", max_msg_size=0)
    member = Member(socket)
    await socket.send_str(json.dumps({"type": "hello", "version": 1, "token": token}))
    welcome = await socket.receive_json(timeout=20)
    assert welcome["type"] == "welcome", welcome
    return member
