"""What media/dtls.py relies on in aiortc beyond its documented interface, for the version that is pinned."""

from __future__ import annotations

import asyncio
import inspect
import re

import aiortc
import pytest
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, rtcdtlstransport
from aiortc.rtcdtlstransport import State

PINNED = "1.16.0"


class _Silent:
    """An ICE transport on which one datagram comes, and nothing after it."""

    role = "controlled"

    def __init__(self, *datagrams: bytes) -> None:
        self._datagrams = list(datagrams)
        self.sent: list[bytes] = []

    async def _recv(self) -> bytes:
        if self._datagrams:
            return self._datagrams.pop(0)
        raise ConnectionError

    async def _send(self, data: bytes) -> None:
        self.sent.append(data)


def _transport(ice: _Silent) -> RTCDtlsTransport:
    return RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])  # type: ignore[arg-type]


def test_version() -> None:
    assert aiortc.__version__ == PINNED, "read rtcdtlstransport.py again before the pin moves"


def test_methods_that_are_overridden_or_called() -> None:
    for name in ("_setup_srtp", "_write_ssl", "start", "stop"):
        method = getattr(RTCDtlsTransport, name)
        assert list(inspect.signature(method).parameters) in (["self"], ["self", "remoteParameters"])
        assert inspect.iscoroutinefunction(method) == (name != "_setup_srtp")
    assert list(inspect.signature(RTCDtlsTransport._set_role).parameters) == ["self", "role"]
    assert list(inspect.signature(RTCDtlsTransport._set_state).parameters) == ["self", "state"]


def test_attributes_that_are_read_or_set() -> None:
    transport = _transport(_Silent())
    assert transport._ssl is None
    assert transport._task is None
    assert transport.encrypted is False
    assert transport._srtp_profiles is rtcdtlstransport.SRTP_PROFILES
    assert transport._state is State.NEW
    assert State["FAILED"] is State.FAILED
    profile = rtcdtlstransport.SRTP_AEAD_AES_128_GCM
    assert (profile.openssl_profile, profile.key_length, profile.salt_length) == (
        b"SRTP_AEAD_AES_128_GCM",
        16,
        12,
    )
    profile = rtcdtlstransport.SRTP_AES128_CM_SHA1_80
    assert (profile.openssl_profile, profile.key_length, profile.salt_length) == (
        b"SRTP_AES128_CM_SHA1_80",
        16,
        14,
    )


def test_nothing_else_of_the_ice_transport_is_touched() -> None:
    source = inspect.getsource(RTCDtlsTransport)
    assert set(re.findall(r"self\._?transport\.(\w+)", source)) == {"_recv", "_send", "role"}
    assert len(re.findall(r"self\._?transport\b(?!\.)", source)) == 2, "handed on to somewhere else"


async def test_srtp_is_set_up_once_before_the_state_says_connected() -> None:
    source = inspect.getsource(RTCDtlsTransport.start)
    assert source.index("_setup_srtp()") < source.index("State.CONNECTED")
    assert source.index("_validate_peer_identity(") < source.index("_setup_srtp()")


async def test_an_empty_datagram_still_breaks_the_original() -> None:
    """The reason for filtering them; when this passes no more, the filter can go."""
    transport = _transport(_Silent(b""))
    transport._set_role("server")
    with pytest.raises(IndexError):
        await transport.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", "00")]))


async def test_the_original_leaves_the_end_of_a_long_flight_behind() -> None:
    """The reason for overriding ``_write_ssl``: it reads 1500 bytes once, of a buffer without boundaries."""
    ice = _Silent()
    transport = _transport(ice)
    transport._ssl = type("Long", (), {"bio_read": lambda self, size: bytes(size)})()
    await transport._write_ssl()
    assert [len(data) for data in ice.sent] == [1500]


async def test_the_connection_error_of_recv_fails_a_handshake_and_stop_may_follow() -> None:
    transport = _transport(_Silent())
    transport._set_role("server")
    await transport.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", "00")]))
    assert transport.state == "failed"
    await asyncio.wait_for(transport.stop(), 1)
