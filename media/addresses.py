"""Which addresses an answer's candidates name: where the server hears UDP, as clients see it."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import ifaddr


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
    bound: Sequence[tuple[str, int]], announce: Sequence[str], interfaces: Sequence[str]
) -> tuple[tuple[str, int], ...]:
    """(address, port) pairs for the answer, the best first.

    ``bound``: the sockets' addresses. ``announce``: IP addresses to name instead, which need not be local
    (NAT); each is named with every bound port of its IP version. Without them a socket's own address is
    named, and for a wildcard every one of ``interfaces``. Raises ValueError if that comes to nothing.
    """
    found: list[tuple[str, int]] = []
    for host, port in bound:
        here = ip_address(host)
        named = announce or (interfaces if here.is_unspecified else (host,))
        found += [(address, port) for address in named if ip_address(address).version == here.version]
    if not found:
        raise ValueError("no address to announce: none of those given has the IP version of a bound socket")
    return tuple(dict.fromkeys(found))
