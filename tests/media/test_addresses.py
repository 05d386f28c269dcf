"""Which candidates an answer names for the sockets that are bound."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest

from media.addresses import (
    Announced,
    candidates,
    interface_addresses,
    parse_announced,
    without_missing_ipv6,
)

INTERFACES = ("192.0.2.7", "2001:db8::7", "127.0.0.1", "::1")


def test_a_socket_on_one_address_is_named_as_it_is() -> None:
    assert candidates([("192.0.2.1", 10000)], (), INTERFACES) == (("192.0.2.1", 10000),)


def test_a_wildcard_is_every_interface_of_its_ip_version() -> None:
    assert candidates([("0.0.0.0", 10000)], (), INTERFACES) == (("192.0.2.7", 10000), ("127.0.0.1", 10000))
    assert candidates([("::", 10001)], (), INTERFACES) == (("2001:db8::7", 10001), ("::1", 10001))


def test_both_wildcards_are_every_interface_with_loopback_last() -> None:
    assert candidates([("0.0.0.0", 10000), ("::", 10000)], (), INTERFACES) == (
        ("192.0.2.7", 10000),
        ("2001:db8::7", 10000),
        ("127.0.0.1", 10000),
        ("::1", 10000),
    )


def test_announced_addresses_replace_the_others_and_need_not_be_local() -> None:
    bound = [("0.0.0.0", 10000), ("192.0.2.7", 10000), ("::", 10001)]
    announce = (Announced("203.0.113.5"), Announced("2001:db8::5"))
    assert candidates(bound, announce, INTERFACES) == (("203.0.113.5", 10000), ("2001:db8::5", 10001))


def test_an_announced_port_is_named_as_it_is_and_once() -> None:
    bound = [("0.0.0.0", 10000), ("127.0.0.1", 10001)]
    announce = (Announced("203.0.113.5", 443), Announced("127.0.0.1"))
    assert candidates(bound, announce, INTERFACES) == (
        ("203.0.113.5", 443),
        ("127.0.0.1", 10000),
        ("127.0.0.1", 10001),
    )


@pytest.mark.parametrize("announced", [Announced("2001:db8::5"), Announced("2001:db8::5", 443)])
def test_nothing_to_announce(announced: Announced) -> None:
    with pytest.raises(ValueError, match="no address to announce"):
        candidates([("0.0.0.0", 10000)], (announced,), INTERFACES)


@pytest.mark.parametrize(
    ("text", "announced"),
    [
        ("192.0.2.1", Announced("192.0.2.1")),
        ("192.0.2.1:443", Announced("192.0.2.1", 443)),
        ("2001:DB8::1", Announced("2001:db8::1")),
        ("[2001:db8::1]", Announced("2001:db8::1")),
        ("[2001:db8::1]:65535", Announced("2001:db8::1", 65535)),
        # An address of 8 groups, not one of 7 with a port.
        ("2001:db8:0:0:0:0:0:443", Announced("2001:db8::443")),
    ],
)
def test_what_is_announced_is_an_address_with_or_without_a_port(text: str, announced: Announced) -> None:
    assert parse_announced(text) == announced


NO_ADDRESSES = (
    ["", "here", "here:443", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:443:443"],
    ["[192.0.2.1]:443", "[2001:db8::1", "[2001:db8::1]443", "[]:443", ":443", "192.0.2:443"],
    [
        "192.0.2.1:\u0661",
        "192.0.2.1:-1",
        "0.0.0.0",
        "[::]:443",
        "224.0.0.1",
        "fe80::1%eth0",
        "[fe80::1%1]:443",
    ],
)


@pytest.mark.parametrize("text", [text for texts in NO_ADDRESSES for text in texts])
def test_what_is_not_an_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address like") as refused:
        parse_announced(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("code", [None, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EMFILE])
def test_the_ipv6_wildcard_is_left_out_where_there_is_no_ipv6(
    code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket

    def without_ipv6(family: int = -1, *args: Any, **kwargs: Any) -> socket.socket:
        if code is not None and family == socket.AF_INET6:
            raise OSError(code, "refused")
        return real(family, *args, **kwargs)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    missing = code in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
    both = ("0.0.0.0:1", "[::]:1")
    assert without_missing_ipv6(both) == (both[:1] if missing else both)
    # Alone, or by name, it is what somebody wanted: the engine says that it can't be had.
    for wanted in (("[::]:1",), ("[2001:db8::1]:1", "0.0.0.0:1"), ("0.0.0.0:1",)):
        assert without_missing_ipv6(wanted) == wanted


def test_this_machine_has_loopback_last() -> None:
    found = interface_addresses()
    assert "127.0.0.1" in found
    assert len(set(found)) == len(found)
    loopback = [address.startswith("127.") or address == "::1" for address in found]
    assert loopback == sorted(loopback)
