"""Debian's Janus (package ``janus``) as a rival: its videoroom plugin over WebSockets, at its best setting.

One session has a handle for the publisher and one for each subscriber. Its messages are those of the Janus
documentation ("JANUS WebSockets interface", "VideoRoom plugin").
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.forwarding import descriptions
from tests.bench.forwarding.programs import Load

ADDRESS = "127.0.0.1"
EVENT_LOOPS = 2
"""Threads for all handles instead of one for each: measured as the cheapest on two cores."""
# ICE-lite, as ours is: the load is always the controlling agent, and Janus has less to do.
_ROOM = 1234
_START_S = 15.0
_ANSWER_S = 20.0
_NO_SUCH_FEED = 428
_FEED_S = 5.0
_LIBRARIES = Path("/usr/lib/x86_64-linux-gnu/janus")

_MAIN = """general: {{
    configs_folder = "{folder}"
    plugins_folder = "{libraries}/plugins"
    transports_folder = "{libraries}/transports"
    events_folder = "{libraries}/events"
    loggers_folder = "{libraries}/loggers"
    debug_level = 2
    event_loops = {loops}
}}
media: {{ }}
nat: {{ ice_lite = true }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
_WEBSOCKETS = """general: {{
    json = "compact"
    ws = true
    ws_port = {port}
    ws_ip = "127.0.0.1"
    wss = false
}}
admin: {{ admin_ws = false }}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A Janus that listens."""

    pid: int
    url: str


def why_not() -> str | None:
    """A reason where this machine has no Janus, else None."""
    if shutil.which("janus") is None or not _LIBRARIES.is_dir():
        return "Debian's package janus is not installed"
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


def _others(folder: str, wanted: str) -> str:
    return ",".join(path.name for path in (_LIBRARIES / folder).glob("*.so") if path.name != wanted)


@asynccontextmanager
async def server(*, loops: int = EVENT_LOOPS) -> AsyncIterator[Server]:
    """A fresh Janus with the videoroom plugin alone."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        main = _MAIN.format(
            folder=folder,
            libraries=_LIBRARIES,
            loops=loops,
            plugins=_others("plugins", "libjanus_videoroom.so"),
            transports=_others("transports", "libjanus_websockets.so"),
        )
        (folder / "janus.jcfg").write_text(main)
        (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port))
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
        with (folder / "log").open("wb") as log:
            command = ("janus", "--config", str(folder / "janus.jcfg"), "--configs-folder", name)
            process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=log, stderr=log)
            try:
                await _listening(port, folder / "log")
                yield Server(process.pid, f"ws://{ADDRESS}:{port}")
            finally:
                # It would wait for its handles one by one; nothing of it is needed any more.
                if process.returncode is None:
                    process.kill()
                    await process.wait()


async def _listening(port: int, log: Path) -> None:
    for _ in range(int(_START_S / 0.1)):
        try:
            _, writer = await asyncio.open_connection(ADDRESS, port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    said = await asyncio.to_thread(log.read_text)
    raise AssertionError(f"Janus did not start:\n{said[-4000:]}")


class RefusedError(RuntimeError):
    """An error that Janus answered, with its code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Session:
    """The one WebSocket; requests are asked one after another."""

    def __init__(self, web_socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = web_socket
        self._numbers = itertools.count(1)
        self._session: int | None = None

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its last answer. Raises RefusedError with the error of Janus."""
        transaction = str(next(self._numbers))
        message = request | {"transaction": transaction}
        if self._session is not None:
            message["session_id"] = self._session
        await self._socket.send_json(message)
        while True:
            answer: dict[str, Any] = await self._socket.receive_json(timeout=_ANSWER_S)
            if answer.get("transaction") != transaction or answer["janus"] == "ack":
                continue
            data = answer.get("plugindata", {}).get("data", {})
            if answer["janus"] == "error" or "error" in data:
                raise RefusedError(data.get("error_code", 0), f"Janus: {answer}")
            return answer

    async def begin(self) -> None:
        """Create the session."""
        self._session = (await self.ask({"janus": "create"}))["data"]["id"]

    async def attach(self) -> int:
        """A new handle of the videoroom plugin."""
        answer = await self.ask({"janus": "attach", "plugin": "janus.plugin.videoroom"})
        handle: int = answer["data"]["id"]
        return handle

    async def message(
        self, handle: int, body: dict[str, Any], jsep: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """A request to the plugin, with a description where there is one."""
        request: dict[str, Any] = {"janus": "message", "handle_id": handle, "body": body}
        return await self.ask(request | ({} if jsep is None else {"jsep": jsep}))


class Lesson:
    """A room with one publisher."""

    def __init__(self, session: Session, feed: int) -> None:
        self._session = session
        self._feed = feed

    async def receiver(self, load: Load) -> None:
        """One more subscriber to the publisher."""
        number, local = await load.open(ADDRESS)
        handle = await self._session.attach()
        join = {"request": "join", "room": _ROOM, "ptype": "subscriber", "streams": [{"feed": self._feed}]}
        offered = (await self._subscribe(handle, join))["jsep"]["sdp"]
        jsep = {"type": "answer", "sdp": descriptions.answer(local, offered), "trickle": False}
        await self._session.message(handle, {"request": "start"}, jsep)
        await load.connect(number, local, offered)

    async def _subscribe(self, handle: int, join: dict[str, Any]) -> dict[str, Any]:
        """Janus knows a publisher as a feed only some time after the publisher has its keys."""
        for _ in range(int(_FEED_S / 0.05)):
            try:
                return await self._session.message(handle, join)
            except RefusedError as refused:
                if refused.code != _NO_SUCH_FEED:
                    raise
            await asyncio.sleep(0.05)
        return await self._session.message(handle, join)


@asynccontextmanager
async def lesson(running: Server, teacher: Load) -> AsyncIterator[Lesson]:
    """A room whose publisher is an endpoint of ``teacher``."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        web_socket = await stack.enter_async_context(
            http.ws_connect(running.url, protocols=("janus-protocol",), max_msg_size=0)
        )
        session = Session(web_socket)
        await session.begin()
        handle = await session.attach()
        room = {"room": _ROOM, "publishers": 1, "audiocodec": "opus", "videocodec": "vp8", "bitrate": 0}
        await session.message(handle, {"request": "create", **room})
        number, local = await teacher.open(ADDRESS)
        jsep = {"type": "offer", "sdp": descriptions.offer(local, "sendonly", "active"), "trickle": False}
        join = {"request": "joinandconfigure", "room": _ROOM, "ptype": "publisher"}
        answered = await session.message(handle, join, jsep)
        await teacher.connect(number, local, answered["jsep"]["sdp"], publishes=True)
        yield Lesson(session, answered["plugindata"]["data"]["id"])
