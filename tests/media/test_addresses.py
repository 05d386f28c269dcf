"""Which candidates an answer names for the sockets that are bound."""

from __future__ import annotations

import pytest

from media.addresses import candidates, interface_addresses

INTERFACES = ("192.0.2.7", "2001:db8::7", "127.0.0.1", "::1")


def test_a_socket_on_one_address_is_named_as_it_is() -> None:
    assert candidates([("192.0.2.1", 10000)], (), INTERFACES) == (("192.0.2.1", 10000),)


def test_a_wildcard_is_every_interface_of_its_ip_version() -> None:
    assert candidates([("0.0.0.0", 10000)], (), INTERFACES) == (("192.0.2.7", 10000), ("127.0.0.1", 10000))
    assert candidates([("::", 10001)], (), INTERFACES) == (("2001:db8::7", 10001), ("::1", 10001))


def test_announced_addresses_replace_the_others_and_need_not_be_local() -> None:
    bound = [("0.0.0.0", 10000), ("192.0.2.7", 10000), ("::", 10001)]
    announce = ("203.0.113.5", "2001:db8::5")
    assert candidates(bound, announce, INTERFACES) == (("203.0.113.5", 10000), ("2001:db8::5", 10001))


def test_nothing_to_announce() -> None:
    with pytest.raises(ValueError, match="no address to announce"):
        candidates([("0.0.0.0", 10000)], ("2001:db8::5",), INTERFACES)


def test_this_machine_has_loopback_last() -> None:
    found = interface_addresses()
    assert "127.0.0.1" in found
    assert len(set(found)) == len(found)
    loopback = [address.startswith("127.") or address == "::1" for address in found]
    assert loopback == sorted(loopback)
