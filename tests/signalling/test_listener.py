"""HTTP from a client that means no good: garbage, too much, too slow, too many. The server is a real one."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bridge.config import Address, Config, Limits
from bridge.program import Program, running
from bridge.values import Role
from signalling.http import FIELD_MAX, FIELDS_MAX, LINE_MAX, make_runner
from signalling.listener import Listener, guard_of
from signalling.metrics import Metrics
from tests.bridge.support import RecordingMediaService
from tests.signalling.client import bench_of

PATIENCE_S = 30.0
METHODS = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
ROUTES = ("/", "/kiosk", "/ws", "/healthz", "/readyz", "/metrics", "/api/statistics", "/assets/index.js")


@asynccontextmanager
async def serving(folder: Path, limits: Limits) -> AsyncIterator[Program]:
    config = Config(http=Address("127.0.0.1", 0), data=folder, limits=limits)
    async with running(config, RecordingMediaService()) as program:
        yield program


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    async with serving(tmp_path, Limits()) as made:
        yield made


class Raw:
    """A connection that sends what no well-behaved client would."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def status(self) -> int:
        """Of the next answer, whose body is left in the stream."""
        async with asyncio.timeout(PATIENCE_S):
            return int((await self.reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])

    async def send_for_good(self, data: bytes, pause_s: float) -> None:
        """Again and again. Raises ConnectionError when the server has had enough."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.writer.write(data)
                await self.writer.drain()
                await asyncio.sleep(pause_s)

    async def until_closed(self) -> bytes:
        """All that still comes."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def raw(program: Program) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection(program.http.host, program.http.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


async def lives(program: Program) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{program.base_url}/healthz") as response:
        return response.status == 200


async def test_no_route_takes_another_method(program: Program) -> None:
    async with aiohttp.ClientSession() as session:
        for path, method in itertools.product(ROUTES, METHODS):
            async with session.request(method, program.base_url + path) as response:
                assert response.status == 405, (method, path)
                assert response.headers["Allow"] == "GET,HEAD"
                if path.startswith("/api/"):
                    assert (await response.json())["error"]["code"] == "method-not-allowed"
        async with session.request("BREW", f"{program.base_url}/") as response:
            assert response.status == 400, "no method of HTTP"


@pytest.mark.parametrize("path", ["/", "/ws", "/healthz", "/metrics", "/api/statistics"])
async def test_no_route_takes_a_body(program: Program, path: str) -> None:
    for head in ("Content-Length: 5", "Content-Length: 99999999999", "Transfer-Encoding: chunked"):
        async with raw(program) as client:
            client.writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode())
            assert await client.status() == 413
            await client.until_closed()
    async with raw(program) as client:
        client.writer.write(
            f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n".encode()
        )
        assert await client.status() == 405


async def test_a_body_that_does_not_end_is_not_read_on(program: Program) -> None:
    async with raw(program) as client:
        client.writer.write(b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
        assert await client.status() == 405
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionError):
            await client.send_for_good(bytes(65536), 0.01)
        assert asyncio.get_running_loop().time() - began < PATIENCE_S / 2
    assert await lives(program)


@pytest.mark.parametrize(
    "head",
    [
        f"GET /{'a' * LINE_MAX} HTTP/1.1\r\nHost: a",
        f"GET / HTTP/1.1\r\nHost: a\r\nX: {'a' * (FIELD_MAX + 1)}",
        f"GET / HTTP/1.1\r\nHost: a\r\n{'x' * (FIELD_MAX + 1)}: a",
        "GET / HTTP/1.1\r\nHost: a\r\n" + "\r\n".join(f"X-{n}: a" for n in range(FIELDS_MAX)),
        "GET / HTTP/9.9\r\nHost: a",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon here",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \x00",
        "G\x01T / HTTP/1.1\r\nHost: a",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=lambda head: head[:24] + str(len(head)),
)
async def test_a_head_that_is_too_large_or_none_is_a_bad_request(
    program: Program, head: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw(program) as client:
        client.writer.write(f"{head}\r\n\r\n".encode("latin-1"))
        assert await client.status() == 400
        await client.until_closed()
    assert await lives(program)
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "WARNING"}]


async def test_garbage_is_counted_and_not_logged(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(14)
    for _ in range(50):
        async with raw(program) as client:
            client.writer.write(dice.randbytes(dice.randrange(1, 3000)) + b"\r\n\r\n")
            client.writer.write_eof()
            answer = await client.until_closed()
            assert not answer or answer.split(b" ", 2)[1] == b"400"
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "WARNING"}]
    async with aiohttp.ClientSession() as session, session.get(f"{program.base_url}/metrics") as response:
        assert 'luokkasilta_refused_total{reason="bad-request"}' in await response.text()


async def test_a_header_that_comes_an_octet_at_a_time_is_cut(tmp_path: Path) -> None:
    """Before the first request, and after one."""
    async with (
        serving(tmp_path, Limits(request_s=1.0)) as program,
        raw(program) as first,
        raw(program) as later,
    ):
        later.writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert await later.status() == 200
        for client in (first, later):
            client.writer.write(b"GET / HTTP/1.1\r\nX: ")
            with pytest.raises(ConnectionError):
                await client.send_for_good(b"a", 0.1)
        assert await lives(program)


async def test_a_connection_on_which_nothing_is_asked_is_closed(tmp_path: Path) -> None:
    async with serving(tmp_path, Limits(request_s=0.5)) as program, raw(program) as client:
        assert await client.until_closed() == b""


async def test_a_websocket_outlives_the_times_of_http(tmp_path: Path) -> None:
    limits = Limits(request_s=0.5, response_s=0.5)
    async with bench_of(tmp_path, limits) as bench, bench.known(Role.KIOSK) as kiosk:
        await asyncio.sleep(1.5)
        assert (await kiosk.ask("open"))["type"] == "done"


@asynccontextmanager
async def large_files(limits: Limits, file: Path) -> AsyncIterator[tuple[Listener, Address, list[str]]]:
    """A server of one file; the list is of the answers that have come to their end."""
    ended: list[str] = []

    async def give(request: web.Request) -> web.StreamResponse:
        if (guard := guard_of(request)) is not None:
            guard.expect_answer()
        response = web.FileResponse(file)
        try:
            await response.prepare(request)
            await response.write_eof()
        finally:
            ended.append(request.path)
        return response

    app = web.Application()
    app.router.add_get("/file", give)
    runner = make_runner(app, limits, Metrics())
    await runner.setup()
    assert runner.server is not None
    listener = Listener(limits, behind_proxy=False)
    try:
        yield listener, await listener.listen(runner.server, Address("127.0.0.1", 0), None), ended
    finally:
        listener.close()
        await runner.cleanup()


async def test_an_answer_that_is_not_read_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(64 * 1024 * 1024))
    limits = Limits(response_s=1.0, request_s=30.0)
    async with large_files(limits, file) as (listener, address, ended):
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, (address.host, address.port))
            await loop.sock_sendall(client, b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: listener.unread == 1 and not listener.open and bool(ended))
            assert ended == ["/file"], "the handler does not wait for good"
        # Small, so that a busy machine reads it in time.
        await asyncio.to_thread(file.write_bytes, bytes(1000))
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}/file") as response:
            assert len(await response.read()) == file.stat().st_size
        assert listener.unread == 1


async def test_connections_are_bounded_in_all_and_for_an_address(tmp_path: Path) -> None:
    limits = Limits(http_connections=4, http_connections_per_address=3)
    async with serving(tmp_path, limits) as program, AsyncExitStack() as held:
        for _ in range(3):
            client = await held.enter_async_context(raw(program))
            client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert await client.status() == 200
        async with raw(program) as fourth:
            assert await fourth.until_closed() == b""
        other = socket.socket()
        other.setblocking(False)
        other.bind(("127.0.0.2", 0))
        await asyncio.get_running_loop().sock_connect(other, (program.http.host, program.http.port))
        reader, writer = await asyncio.open_connection(sock=other)
        elsewhere = Raw(reader, writer)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert await elsewhere.status() == 200
        text = (await reader.readuntil(b"luokkasilta_engine_up")).decode()
        assert 'luokkasilta_refused_total{reason="http-connections-per-address"} 1.0' in text
        assert "luokkasilta_http_connections 4.0" in text
        async with raw(program) as fifth:
            assert await fifth.until_closed() == b""
        # When one goes there is room for another.
        writer.close()
        client.writer.close()
        async with asyncio.timeout(PATIENCE_S):
            while not await came_in(program):
                pass


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nothing tells when a number changes
            await asyncio.sleep(0.05)


async def came_in(program: Program) -> bool:
    async with raw(program) as client:
        client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return (await client.until_closed()).startswith(b"HTTP/1.1 200")
