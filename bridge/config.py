"""The program's settings as one frozen value, with the embedded defaults that serve one machine as they are.

bridge/settings.py reads them from a file; the command line wins over the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from bridge.slots import LessonRules
from bridge.values import Contact, TurnConfig


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address (or a host's name) and a port; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return _with_port(self.host, self.port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """ "127.0.0.1:8080", "[::1]:8080", or "localhost:8080". Raises ValueError with one clear line."""
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not separator or not host or not _is_port(port) or (":" in host) is not bracketed:
        raise ValueError(f"{text!r} is not an address like 127.0.0.1:8080 or [::1]:8080")
    return Address(host, int(port))


def parse_media(text: str) -> Address:
    """Where media is heard: as parse_address, but with an IP address. Raises ValueError."""
    address = parse_address(text)
    try:
        return Address(str(ip_address(address.host)), address.port)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address and a port like 0.0.0.0:10000") from None


def parse_announced(text: str) -> str:
    """An IP address, with a port where that differs: "192.0.2.1", "192.0.2.1:443", "2001:db8::1",
    "[2001:db8::1]:443". Gives it in its shortest form. Raises ValueError with one clear line."""
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    try:
        address = parse_address(text)
        host = str(ip_address(address.host))
    except ValueError:
        address, host = Address("", 0), ""
    if address.port == 0:
        raise ValueError(f"{text!r} is not an IP address like 192.0.2.1 or 192.0.2.1:443")
    return _with_port(host, address.port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535


def _with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that protect the server; what happens at each is in PROTOCOL.md.

    A field's description is what ``serve --help`` says of it.
    """

    endpoints_per_lesson: Annotated[_Count, Meta(description="of one lesson; one more is refused")] = 1000
    connections: Annotated[_Count, Meta(description="WebSockets at once")] = 4000
    strangers: Annotated[
        _Count, Meta(description="WebSockets without a token yet; they cost little, and anyone can make them")
    ] = 256
    hello_timeout_s: Annotated[_Seconds, Meta(description="to show a token; a page does so at once")] = 5.0
    heartbeat_s: Annotated[
        _Seconds, Meta(description="between pings; two of them are what a dead line goes unseen")
    ] = 10.0
    messages_per_s: Annotated[
        _Seconds, Meta(description="of one WebSocket, on average; a page sends few")
    ] = 20.0
    message_burst: Annotated[
        _Count, Meta(description="messages at once; a page asks several at its join")
    ] = 60
    resumable_s: Annotated[
        _Seconds, Meta(description="for which the place of an endpoint is kept whose connection was cut")
    ] = 30.0
    closing_s: Annotated[
        _Seconds, Meta(description="for a client to read its last message; then it is cut")
    ] = 2.0
    http_connections: Annotated[
        _Count, Meta(description="TCP connections of pages and WebSockets together; one more is closed")
    ] = 6000
    http_connections_per_address: Annotated[
        _Count,
        Meta(description="of one client address; a whole school sits behind one, a proxy is not bound by it"),
    ] = 1500
    request_s: Annotated[
        _Seconds, Meta(description="for a request's line and headers, or with nothing asked; then it is cut")
    ] = 15.0
    response_s: Annotated[
        _Seconds, Meta(description="for a client to read an answer; enough for the pages on a slow line")
    ] = 120.0


@dataclass(frozen=True, slots=True)
class Tls:
    """The PEM files that the server shows its identity with."""

    certificate: Path
    key: Path


_PORT = 10000
_EVERY_INTERFACE = (Address("0.0.0.0", _PORT), Address("::", _PORT))  # noqa: S104 - media is for the network


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the program is told from outside."""

    http: Address = Address("127.0.0.1", 8080)
    tls: Tls | None = None
    """None: plain HTTP, on loopback or behind a reverse proxy."""
    behind_proxy: bool = False
    """A reverse proxy speaks TLS before the server: no client is on loopback, whatever its address says."""
    media: tuple[Address, ...] = _EVERY_INTERFACE
    """Where media is heard; a machine without IPv6 does without the second default."""
    announce: tuple[str, ...] = ()
    """"ADDR" or "ADDR:PORT" that the SDP answers name; empty: this machine's interfaces', loopback last."""
    data: Path = Path("data")
    """The folder of the database, the signing key and the recordings."""
    limits: Limits = field(default_factory=Limits)
    rules: LessonRules = field(default_factory=LessonRules)
    turn: TurnConfig | None = None
    contact: Contact | None = None
