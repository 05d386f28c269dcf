"""From the payloads of one frame's packets to the frame: VP9 (RFC 9628), AV1 (AV1's RTP payload format).

As in ``depacketise``: whatever the octets hold, a function here gives a frame or raises MalformedError.
Streams have one spatial layer, as negotiation has it; temporal levels are frames like others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from media.recording.coded import Coded, MalformedError

_VP9_SYNC_CODE = b"\x49\x83\x42"
_MOST_REFERENCES = 3
_SEQUENCE_HEADER, _TEMPORAL_DELIMITER, _FRAME_HEADER, _FRAME, _TILE_LIST = 1, 2, 3, 6, 8
_HAS_EXTENSION, _HAS_SIZE = 0x04, 0x02


def vp9(payloads: Sequence[bytes]) -> Coded:
    """A frame from all its payloads, in order. Raises MalformedError, also where its beginning is missing."""
    parts = []
    for number, payload in enumerate(payloads):
        length = _vp9_descriptor(payload)
        if bool(payload[0] & 0x08) != (number == 0):
            raise MalformedError("VP9: a frame begins with its first payload and nowhere else")
        parts.append(payload[length:])
    data = b"".join(parts)
    # frame_marker is 2; of profile 3 nothing is negotiated.
    if not data or data[0] >> 6 != 2 or data[0] & 0x30 == 0x30:
        raise MalformedError("VP9: no frame")
    if data[0] & 0x0C:
        return Coded(data, is_key=False)
    if data[1:4] != _VP9_SYNC_CODE or len(data) < 9:
        raise MalformedError("VP9: a key frame without its sync code")
    if data[0] & 0x30:
        return Coded(data, is_key=True)
    # Profile 0: color_space (3 bits) and color_range (1), then the sizes less one (VP9 section 6.2).
    bits = int.from_bytes(data[4:9])
    return Coded(data, is_key=True, size=((bits >> 20 & 0xFFFF) + 1, (bits >> 4 & 0xFFFF) + 1))


def _vp9_descriptor(payload: bytes) -> int:
    """Its length, RFC 9628 section 4.2."""
    try:
        first, at = payload[0], 1
        if first & 0x80:
            at += 2 if payload[1] & 0x80 else 1
        flexible = bool(first & 0x10)
        if first & 0x20:
            if payload[at] & 0x0E:
                raise MalformedError("VP9: a spatial layer")
            at += 1 if flexible else 2
        if flexible and first & 0x40:
            references = 1
            while payload[at] & 0x01:
                at, references = at + 1, references + 1
                if references > _MOST_REFERENCES:
                    raise MalformedError("VP9: more than three references")
            at += 1
        if first & 0x02:
            at = _vp9_structure(payload, at)
    except IndexError:
        raise MalformedError("VP9: shorter than its descriptor") from None
    if at > len(payload):
        raise MalformedError("VP9: shorter than its descriptor")
    return at


def _vp9_structure(payload: bytes, at: int) -> int:
    """Where the scalability structure that begins at ``at`` ends."""
    head = payload[at]
    at += 1
    if head & 0x10:
        at += 4 * ((head >> 5) + 1)
    if head & 0x08:
        pictures = payload[at]
        at += 1
        for _ in range(pictures):
            at += 1 + (payload[at] >> 2 & 0x03)
    return at


def av1(payloads: Sequence[bytes]) -> Coded:
    """A temporal unit in the low overhead format (AV1 section 5.2), without its delimiter as in Matroska.

    Raises MalformedError.
    """
    units = list(_units(payloads))
    kinds = [unit[0] >> 3 & 0x0F for unit in units]
    if any(unit[0] & 0x80 for unit in units):
        raise MalformedError("AV1: the forbidden bit is set")
    kept = [
        (kind, unit)
        for kind, unit in zip(kinds, units, strict=True)
        # Neither is sent over RTP (section 5 there).
        if kind not in {_TEMPORAL_DELIMITER, _TILE_LIST}
    ]
    pictures = [_body(unit) for kind, unit in kept if kind in {_FRAME_HEADER, _FRAME}]
    if not pictures or not pictures[0]:
        raise MalformedError("AV1: no frame")
    # show_existing_frame 0 and frame_type 0: a key frame (AV1 section 5.9.2), which brings its sequence
    # header along, or a decoder could not begin here.
    is_key = _SEQUENCE_HEADER in kinds and pictures[0][0] & 0xE0 == 0
    return Coded(b"".join(_with_size(unit) for _, unit in kept), is_key=is_key)


def _units(payloads: Sequence[bytes]) -> Iterator[bytes]:
    """The OBUs in order, those in fragments put together (section 4.4)."""
    fragment: bytes | None = None
    for payload in payloads:
        if not payload:
            raise MalformedError("AV1: an empty payload")
        continues, goes_on = payload[0] & 0x80, payload[0] & 0x40
        if (fragment is not None) != bool(continues):
            raise MalformedError("AV1: a fragment without the others")
        elements = list(_elements(payload))
        if fragment is not None:
            elements[0] = fragment + elements[0]
            fragment = None
        if goes_on:
            fragment = elements.pop()
        for element in elements:
            if not element:
                raise MalformedError("AV1: an empty OBU")
            yield element
    if fragment is not None:
        raise MalformedError("AV1: a fragment without the others")


def _elements(payload: bytes) -> Iterator[bytes]:
    """What the aggregation header counts; at least one."""
    count, at = payload[0] >> 4 & 0x03, 1
    number = 0
    while number < count if count else at < len(payload):
        number += 1
        if number == count:
            length = len(payload) - at
        else:
            length, at = _leb128(payload, at)
        if at + length > len(payload):
            raise MalformedError("AV1: an OBU that is longer than its packet")
        yield payload[at : at + length]
        at += length
    if number == 0:
        raise MalformedError("AV1: a packet without an OBU")


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends), AV1 section 4.10.5."""
    value = 0
    for shift in range(0, 56, 7):
        if at >= len(data):
            break
        octet = data[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if not octet & 0x80:
            return value, at
    raise MalformedError("AV1: a size that does not end")


def _body(unit: bytes) -> bytes:
    """What follows the header of an OBU and, where it is there, its size."""
    at = 2 if unit[0] & _HAS_EXTENSION else 1
    if unit[0] & _HAS_SIZE:
        length, at = _leb128(unit, at)
        if at + length > len(unit):
            raise MalformedError("AV1: an OBU that is shorter than it says")
        return unit[at : at + length]
    if at > len(unit):
        raise MalformedError("AV1: an OBU that is shorter than its header")
    return unit[at:]


def _with_size(unit: bytes) -> bytes:
    body = _body(unit)
    header = bytes([unit[0] | _HAS_SIZE]) + (unit[1:2] if unit[0] & _HAS_EXTENSION else b"")
    length, size = len(body), bytearray()
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    size.append(length)
    return header + bytes(size) + body
