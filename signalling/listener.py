"""The way in: TCP and TLS connections, counted and bounded before HTTP sees them.

    socket -- Listener: too many? -- Guard -- aiohttp's protocol of one connection

A Guard stands between the transport and aiohttp. It counts its connection, and cuts it when its client does
not read an answer in ``response_s``. What comes too slowly is aiohttp's to end: a connection on which no
whole request came for ``request_s`` (also the first), and what is left of a body that nobody asked for. A
WebSocket has its own bounds (connection.py, outbox.py) and is let go by its Guard, but stays counted.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address

from aiohttp import web

from bridge.config import Address, Limits

HANDSHAKE_S = 10.0
"""For a TLS handshake; before its end a connection is not counted."""
_GOODBYE_S = 2.0
_BACKLOG = 512
"""A school's worth of pages that load in the same second."""


class Listener:
    """Takes connections and counts them."""

    def __init__(self, limits: Limits, *, behind_proxy: bool) -> None:
        """``behind_proxy``: all clients have the proxy's address, so that it can't be bounded."""
        self._limits = limits
        self._behind_proxy = behind_proxy
        self._by_address: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self.open = 0
        """Connections at this moment, WebSockets among them."""
        self.refused: Counter[str] = Counter()
        """Closed at once, by the limit that was reached."""
        self.unread = 0
        """Cut because the client did not read its answer."""

    async def listen(
        self, make: Callable[[], asyncio.Protocol], address: Address, tls: ssl.SSLContext | None
    ) -> Address:
        """Take connections for ``make``, which gives the protocol of one.

        Gives the address with the port that the kernel chose where 0 was asked for. Raises OSError.
        """
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Guard(self, make),
            address.host,
            address.port,
            backlog=_BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
            ssl_shutdown_timeout=None if tls is None else _GOODBYE_S,
        )
        return Address(address.host, self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Take no more; those that are open stay. Idempotent."""
        if self._server is not None:
            self._server.close()

    def take(self, client: str) -> bool:
        """For Guard: count a connection; False refuses it."""
        if self.open >= self._limits.http_connections:
            self.refused["http-connections"] += 1
            return False
        if not self._behind_proxy and self._by_address[client] >= self._limits.http_connections_per_address:
            self.refused["http-connections-per-address"] += 1
            return False
        self.open += 1
        self._by_address[client] += 1
        return True

    def give_back(self, client: str) -> None:
        """For Guard: its connection is gone."""
        self.open -= 1
        self._by_address[client] -= 1
        if not self._by_address[client]:
            del self._by_address[client]

    @property
    def response_s(self) -> float:
        return self._limits.response_s


class Guard(asyncio.Protocol):
    """One connection. Passes everything on to aiohttp's protocol."""

    def __init__(self, listener: Listener, make: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._make = make
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._client = ""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._client = _client(transport)
        if not self._listener.take(self._client):
            transport.abort()
            return
        self._inner, self._transport = self._make(), transport
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.let_go()
        inner, self._inner, self._transport = self._inner, None, None
        if inner is not None:
            self._listener.give_back(self._client)
            inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def expect_answer(self) -> None:
        """A request is answered from now on: the client has ``response_s`` to read all of it.

        Nothing takes the deadline back but the next request or the end of the connection: one that stays open
        with nothing asked ends sooner than that.
        """
        self.let_go()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._listener.response_s, self._cut)

    def let_go(self) -> None:
        """No deadline any more: it has become a WebSocket."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self) -> None:
        """At the socket: a transport that is aborted under ``sendfile`` leaves that waiting for good."""
        self._deadline = None
        if self._transport is not None:
            self._listener.unread += 1
            with suppress(OSError):
                self._transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def guard_of(request: web.BaseRequest) -> Guard | None:
    """That of a request's connection; None where another server than Listener took it (tests)."""
    protocol = None if request.transport is None else request.transport.get_protocol()
    return protocol if isinstance(protocol, Guard) else None


def _client(transport: asyncio.Transport) -> str:
    """Whom a connection is counted for: an address, for IPv6 the 64 bits that one household has."""
    peer = transport.get_extra_info("peername")
    # A connection may be gone before it is looked at.
    if not peer:
        return ""
    try:
        address = ip_address(peer[0].partition("%")[0])
    except ValueError:
        return str(peer[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return address.packed[:8].hex()
    return str(address)
