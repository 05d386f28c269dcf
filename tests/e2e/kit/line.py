"""The line between one page and the server: a TCP relay that can be cut, while media takes its own way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_CHUNK = 65_536


class Line:
    """Pages that were opened by ``through(link)`` reach the server by it."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: set[asyncio.StreamWriter] = set()
        self._down = False
        self.base_url = ""

    def through(self, link: str) -> str:
        """The same page of the same lesson, by this line."""
        parts = urlsplit(link)
        return f"{self.base_url}{parts.path}#{parts.fragment}"

    def cut(self) -> None:
        """Break every connection without a goodbye, and take no new one until ``mend``."""
        self._down = True
        for stream in self._streams:
            stream.transport.abort()

    def mend(self) -> None:
        self._down = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        self._streams |= {writer, far_writer}
        async with asyncio.TaskGroup() as both:
            both.create_task(self._relay(reader, far_writer))
            both.create_task(self._relay(far_reader, writer))
        self._streams -= {writer, far_writer}

    async def _relay(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                sink.write(chunk)
                await sink.drain()
        sink.close()


@asynccontextmanager
async def open_line(base_url: str) -> AsyncIterator[Line]:
    """A line to the server at ``base_url``."""
    parts = urlsplit(base_url)
    assert parts.hostname is not None
    assert parts.port is not None
    line = Line(parts.hostname, parts.port)
    listener = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.base_url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        line.cut()
        listener.close()
        await listener.wait_closed()
