"""A UDP relay between one client and the server that loses packets by a rule, and can move to another port.

    client  <-->  relay  <-->  server

To the server the relay's address is the client's, so ``rebind`` is what a NAT does when its mapping changes.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

Direction = Literal["up", "down"]


class _Side(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self._received(data, (str(addr[0]), int(addr[1])))


class Relay:
    """On the server's own address. ``loses`` says of each datagram whether it is lost, by its direction: "up"
    is towards the server."""

    def __init__(self, server: tuple[str, int], loses: Callable[[Direction, bytes], bool]) -> None:
        self.server = server
        self.lost: Counter[Direction] = Counter()
        self._loses = loses
        self._client: tuple[str, int] | None = None
        self._near: asyncio.DatagramTransport | None = None
        self._far: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        self._near = await self._open(self._from_client)
        self._far = await self._open(self._from_server)

    def stop(self) -> None:
        for side in (self._near, self._far):
            if side is not None:
                side.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where the client sends."""
        assert self._near is not None
        address: tuple[str, int] = self._near.get_extra_info("sockname")[:2]
        return address

    async def rebind(self) -> None:
        """Speak to the server from another port from now on; the old one hears nothing any more."""
        assert self._far is not None
        old = self._far
        self._far = await self._open(self._from_server)
        old.close()

    def put_into(self, answer: str) -> str:
        """The answer with the relay's address as its one candidate on each m-line."""
        host, port = self.address
        answer = re.sub(r"a=candidate:.*\r\n", "", answer)
        candidate = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"
        return answer.replace("a=end-of-candidates\r\n", f"{candidate}a=end-of-candidates\r\n")

    async def _open(self, received: Callable[[bytes, tuple[str, int]], None]) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Side(received), local_addr=(self.server[0], 0)
        )
        return transport

    def _from_client(self, data: bytes, sender: tuple[str, int]) -> None:
        self._client = sender
        assert self._far is not None
        if self._keeps("up", data):
            self._far.sendto(data, self.server)

    def _from_server(self, data: bytes, _sender: tuple[str, int]) -> None:
        assert self._near is not None
        if self._client is not None and self._keeps("down", data):
            self._near.sendto(data, self._client)

    def _keeps(self, direction: Direction, data: bytes) -> bool:
        if self._loses(direction, data):
            self.lost[direction] += 1
            return False
        return True


@asynccontextmanager
async def relay_to(
    server: tuple[str, int], loses: Callable[[Direction, bytes], bool] = lambda direction, data: False
) -> AsyncIterator[Relay]:
    """A running relay."""
    relay = Relay(server, loses)
    await relay.start()
    try:
        yield relay
    finally:
        relay.stop()


def is_rtp(data: bytes, payload_type: int | None = None) -> bool:
    """SRTP of that payload type (or any), not SRTCP, DTLS or STUN (RFC 7983, RFC 5761)."""
    if len(data) < 12 or not 128 <= data[0] <= 191 or 192 <= data[1] <= 223:
        return False
    return payload_type is None or data[1] & 0x7F == payload_type
