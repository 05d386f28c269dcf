"""Datagrams that mean harm: mutated, before or after they are encrypted with keys that are good."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

from aioice import stun
from pylibsrtp import Error as SrtpError
from pylibsrtp import Session

_LONGEST = 1300


def mutated(data: bytes, rng: random.Random) -> bytes:
    """``data`` with one to three harms done to it; never the same as before, never empty."""
    harmed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        _HARMS[rng.randrange(len(_HARMS))](harmed, rng)
    del harmed[_LONGEST:]
    if not harmed or bytes(harmed) == data:
        return bytes([data[0] ^ (1 << rng.randrange(6)), *data[1:]])
    return bytes(harmed)


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flip_early(data: bytearray, rng: random.Random) -> None:
    """In the header, where what it says is believed."""
    if data:
        data[rng.randrange(min(len(data), 20))] ^= 1 << rng.randrange(8)


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _grow(data: bytearray, rng: random.Random) -> None:
    data += rng.randbytes(rng.randint(1, 200))


def _repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = data[start : start + rng.randint(1, 64)]


def _extreme(data: bytearray, rng: random.Random) -> None:
    """A field of 16 bits at its least or its most."""
    if len(data) >= 2:
        at = rng.randrange(len(data) - 1)
        data[at : at + 2] = rng.choice((b"\0\0", b"\xff\xff", b"\x7f\xff", b"\x80\0"))


_HARMS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _flip_early,
    _flip_early,
    _truncate,
    _grow,
    _repeat,
    _extreme,
)


def rtp_packet(payload_type: int, ssrc: int, sequence: int, payload: bytes) -> bytes:
    """With a header extension of one element (RFC 8285)."""
    header = struct.pack("!BBHII", 0x90, payload_type, sequence & 0xFFFF, (sequence * 960) & 0xFFFFFFFF, ssrc)
    return header + b"\xbe\xde\x00\x01\x10\x7f\x00\x00" + payload


def rtcp_packets(own: int, other: int) -> list[bytes]:
    """One of each kind that there is, from ``own`` about ``other`` (SSRCs)."""

    def packet(count: int, kind: int, body: bytes) -> bytes:
        return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body

    two = struct.pack("!II", own, other)
    block = struct.pack("!IIIIII", other, 0x01000003, 70_000, 12, 0x11112222, 0x00010000)
    sender = struct.pack("!IIIIII", own, 0xE0000000, 0x80000000, 90_000, 100, 10_000)
    remb = two[:4] + bytes(4) + b"REMB" + bytes([1, 0x0B, 0xFF, 0xFF]) + two[4:]
    transport_wide = two + struct.pack("!HHIHH", 5, 7, 0x00000101, 0x2007, 0x0400)
    return [
        packet(1, 200, sender + block),
        packet(1, 201, two[:4] + block),
        packet(1, 202, two[:4] + b"\x01\x04name\0\0"),
        packet(1, 203, two[:4]),
        packet(1, 205, two + struct.pack("!HH", 1000, 0xFFFF) * 3),
        packet(15, 205, transport_wide),
        packet(1, 206, two),
        packet(4, 206, two[:4] + bytes(4) + struct.pack("!IBxxx", other, 7)),
        packet(15, 206, remb),
        packet(0, 204, two[:4] + b"name"),
    ]


def encrypted(session: Session, plain: bytes) -> bytes | None:
    """By the keys of ``session``; ``None`` for what libsrtp won't protect."""
    try:
        is_rtcp = len(plain) > 1 and 192 <= plain[1] <= 223
        return session.protect_rtcp(plain) if is_rtcp else session.protect(plain)
    except (SrtpError, ValueError):
        return None


def with_good_keys(
    session: Session, templates: list[Callable[[], bytes]], rng: random.Random
) -> Iterator[bytes]:
    """Mutated and then encrypted, without end."""
    while True:
        datagram = encrypted(session, mutated(rng.choice(templates)(), rng))
        if datagram is not None:
            yield datagram


def after_encryption(
    session: Session, templates: list[Callable[[], bytes]], rng: random.Random
) -> Iterator[bytes]:
    """Encrypted and then mutated, without end. None has become DTLS (RFC 7983), which is judged elsewhere."""
    while True:
        datagram = encrypted(session, rng.choice(templates)())
        if datagram is not None and not 20 <= (harmed := mutated(datagram, rng))[0] <= 63:
            yield harmed


def checks(ufrag: str, rng: random.Random) -> Iterator[bytes]:
    """Connectivity checks for a peer that is there, with a wrong password; every other one mutated."""
    while True:
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=rng.randbytes(12))
        message.attributes["USERNAME"] = f"{ufrag}:peer"
        message.attributes["PRIORITY"] = rng.getrandbits(31)
        message.attributes["ICE-CONTROLLING"] = rng.getrandbits(63)
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(b"not the password")
        yield bytes(message)
        yield mutated(bytes(message), rng)


def dtls_records(rng: random.Random) -> Iterator[bytes]:
    """Records (RFC 6347) of all kinds, their contents made up."""
    while True:
        body = rng.randbytes(rng.randint(0, 300))
        epoch = rng.choice((0, 0, 1, 1, 2, 0xFFFF))
        kind = rng.choice((20, 21, 22, 23, 24, 63))
        yield struct.pack("!BHHHIH", kind, 0xFEFD, epoch, 0, rng.randrange(2000), len(body)) + body


def noise(rng: random.Random) -> Iterator[bytes]:
    """Octets of no meaning."""
    while True:
        yield rng.randbytes(rng.randint(1, _LONGEST))
