"""Which addresses an answer's candidates name: where the server hears UDP and TCP, as clients see it."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import ifaddr

MAX_CANDIDATES = 16
"""(address, port) pairs of an answer, which has them on each of a kiosk's 31 m-lines, and a client checks
each: of a machine with dozens of virtual networks the first ones must do."""

_ANNOUNCED = re.compile(
    r"\[(?P<v6>[^\]]+)\](?::(?P<v6port>[0-9]{1,5}))?|(?P<v4>[^:]+)(?::(?P<v4port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Announced:
    """An address that clients are told, which need not be local (NAT); ``port`` None: that of the socket."""

    address: str
    port: int | None = None


def parse_announced(text: str) -> Announced:
    """ "ADDR", "ADDR:PORT", "[V6]:PORT", or "V6" alone. Raises ValueError with one clear line."""
    wrong = ValueError(f"{text!r} is not an IP address like 192.0.2.1, 192.0.2.1:443 or [2001:db8::1]:443")
    host, port = text, None
    if match := _ANNOUNCED.fullmatch(text):
        host, port = match["v6"] or match["v4"], match["v6port"] or match["v4port"]
    try:
        address = ip_address(host)
    except ValueError:
        raise wrong from None
    # An address within brackets is of version 6, and one of another machine's link says nothing here.
    link = address.version == 6 and address.scope_id is not None
    if link or address.is_unspecified or address.is_multicast or (text[0] == "[" and address.version == 4):
        raise wrong
    if port is not None and not 0 < int(port) < 1 << 16:
        raise wrong
    return Announced(str(address), None if port is None else int(port))


def interface_addresses() -> tuple[str, ...]:
    """The IP addresses of this machine's interfaces, without link-local ones, loopback last."""
    found: list[IPv4Address | IPv6Address] = []
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            address = ip_address(each.ip if isinstance(each.ip, str) else each.ip[0])
            if not address.is_link_local and not address.is_multicast:
                found.append(address)
    found.sort(key=lambda address: (address.is_loopback, address.version))
    return tuple(dict.fromkeys(str(address) for address in found))


def candidates(
    bound: Sequence[tuple[str, int]], announce: Sequence[Announced], interfaces: Sequence[str]
) -> tuple[tuple[str, int], ...]:
    """(address, port) pairs for the answer, the best first.

    ``bound``: the sockets' addresses. ``announce``: what to name instead; one without a port is named with
    every bound port of its IP version, one with a port as it is, if a socket of its version is bound at all.
    Without any, a socket's own address is named, and for a wildcard every one of ``interfaces``; those of all
    sockets are then ordered as ``interfaces`` are, loopback last. Raises ValueError if it comes to nothing.
    """
    found: list[tuple[str, int]] = []
    for host, port in bound:
        here = ip_address(host)
        own = [Announced(address) for address in (interfaces if here.is_unspecified else (host,))]
        found += [
            (named.address, port if named.port is None else named.port)
            for named in announce or own
            if ip_address(named.address).version == here.version
        ]
    if not found:
        raise ValueError("no address to announce: none of those given has the IP version of a bound socket")
    if not announce:
        found.sort(key=lambda pair: ip_address(pair[0]).is_loopback)
    return tuple(dict.fromkeys(found))


def without_missing_ipv6(bind: Sequence[str]) -> tuple[str, ...]:
    """``bind`` ("ADDR:PORT") without the wildcard [::] where the machine has no IPv6 and another remains.

    Only the wildcard: somebody who names an address wants it, and hears from the engine that it isn't there.
    Opens a socket, so it isn't for the event loop.
    """
    kept = tuple(each for each in bind if not each.startswith("[::]:"))
    if len(kept) in {0, len(bind)} or _has_ipv6():
        return tuple(bind)
    return kept


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError as exc:
        # What a kernel without IPv6 says. Anything else is not about IPv6, and the engine will meet it too.
        return exc.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
    return True
