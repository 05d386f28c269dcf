"""What stands between a browser and the server and can be disturbed: a TCP relay that cuts its connections,
and a UDP relay that behaves as a NAT whose bindings are lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

Address = tuple[str, int]
_PIECE = 65_536


class TcpRelay:
    """Forwards octets both ways until it is told to cut."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._refusing = False
        self.refused = 0

    @property
    def address(self) -> Address:
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def through(self, link: str) -> str:
        """The page of an http link, by this relay."""
        host, port = self.address
        parts = urlsplit(link)
        return f"http://{host}:{port}{parts.path}#{parts.fragment}"

    def cut(self) -> None:
        """Reset every connection, and each that is tried from now on."""
        self._refusing = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        """Take connections again."""
        self._refusing = False

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            self.refused += 1
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        both = {writer, far_writer}
        self._open |= both
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._open -= both
            for each in both:
                each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        if not writer.is_closing():
            writer.write_eof()


class NatRelay:
    """Forwards datagrams to ``target``, each client's from a port of its own, and the answers back.

    ``rebind`` closes these ports and takes others with the next datagram, as a NAT does that has forgotten
    its bindings: the target sees the same client come from another port, and what it sends to the old one
    is lost.
    """

    def __init__(self, target: Address) -> None:
        self._target = target
        self._near: asyncio.DatagramTransport | None = None
        self._far: dict[Address, asyncio.Task[asyncio.DatagramTransport]] = {}
        self.ports: list[int] = []
        """Every port that the target has seen, in order."""

    @property
    def address(self) -> Address:
        assert self._near is not None
        host, port = self._near.get_extra_info("sockname")[:2]
        return host, port

    def rebind(self) -> None:
        for task in self._far.values():
            _close_when_made(task)
        self._far.clear()

    async def start(self, address: str = "127.0.0.1") -> None:
        loop = asyncio.get_running_loop()
        self._near, _ = await loop.create_datagram_endpoint(lambda: _Near(self), local_addr=(address, 0))

    async def stop(self) -> None:
        self.rebind()
        assert self._near is not None
        self._near.close()
        await asyncio.sleep(0)

    def up(self, data: bytes, client: Address) -> None:
        """From a client; its port is made with its first datagram, which waits for it."""
        task = self._far.get(client)
        if task is None:
            task = self._far[client] = asyncio.get_running_loop().create_task(self._bind(client))
        if task.done():
            task.result().sendto(data)
        else:
            task.add_done_callback(lambda made: None if made.cancelled() else made.result().sendto(data))

    def down(self, data: bytes, client: Address) -> None:
        """From the target."""
        assert self._near is not None
        self._near.sendto(data, client)

    async def _bind(self, client: Address) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Far(self, client), remote_addr=self._target
        )
        self.ports.append(transport.get_extra_info("sockname")[1])
        return transport


def _close_when_made(task: asyncio.Task[asyncio.DatagramTransport]) -> None:
    if task.done():
        task.result().close()
    else:
        task.add_done_callback(lambda made: made.result().close())


class _Near(asyncio.DatagramProtocol):
    def __init__(self, relay: NatRelay) -> None:
        self._relay = relay

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._relay.up(data, (addr[0], addr[1]))


class _Far(asyncio.DatagramProtocol):
    def __init__(self, relay: NatRelay, client: Address) -> None:
        self._relay = relay
        self._client = client

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._relay.down(data, self._client)


@asynccontextmanager
async def tcp_relay(target: Address) -> AsyncIterator[TcpRelay]:
    relay = TcpRelay(target)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


@asynccontextmanager
async def nat_relay(target: Address) -> AsyncIterator[NatRelay]:
    """On loopback."""
    relay = NatRelay(target)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
