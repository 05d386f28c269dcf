"""The program's settings, with the embedded defaults that serve one machine as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from bridge.slots import LessonRules


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address and a port; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """ "127.0.0.1:8080", "[::1]:8080", or "localhost:8080". Raises ValueError with one clear line."""
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address like 127.0.0.1:8080")
    return Address(host, int(port))


def parse_ip(text: str) -> str:
    """An IP address without a port. Raises ValueError with one clear line."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address like 192.0.2.1") from None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that protect the server; what happens at each is in PROTOCOL.md."""

    endpoints_per_lesson: int = 1000
    connections: int = 4000
    strangers: int = 256
    """Connections that have not shown a token yet; they cost little, and anyone can make them."""
    hello_timeout_s: float = 5.0
    heartbeat_s: float = 10.0
    messages_per_s: float = 20.0
    message_burst: int = 60
    resumable_s: float = 30.0
    """How long the place of an endpoint is kept whose connection was cut, seconds."""
    closing_s: float = 2.0
    """How long a connection may take to read its last message and close."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the program is told from outside."""

    http: Address = Address("127.0.0.1", 8080)
    media: tuple[Address, ...] = (Address("0.0.0.0", 10000),)  # noqa: S104 - media is for the network
    announce: tuple[str, ...] = ()
    """IP addresses that the SDP answers name; empty: those of this machine's interfaces, loopback last."""
    data: Path = Path("data")
    """The folder of the database and the signing key."""
    limits: Limits = field(default_factory=Limits)
    rules: LessonRules = field(default_factory=LessonRules)
