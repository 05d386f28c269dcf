"""From the payloads of one frame's packets to the frame: VP8 (RFC 7741), H.264 (RFC 6184), Opus (RFC 7587).

VP9 and AV1 are in ``depacketise_newer``. Payloads are foreign octets: whatever they hold, a function here
gives a frame or raises MalformedError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from media.recording.coded import Coded, MalformedError
from media.recording.depacketise_newer import av1, vp9
from media.recording.format import CodecName

_START_CODE = b"\x00\x00\x00\x01"
_VP8_KEY_FRAME_CODE = b"\x9d\x01\x2a"
_STAP_A, _FU_A = 24, 28
_IDR, _SPS, _PPS = 5, 7, 8


Depacketiser = Callable[[Sequence[bytes]], Coded]


def vp8(payloads: Sequence[bytes]) -> Coded:
    """A frame from all its payloads, in order. Raises MalformedError, also where its beginning is missing."""
    parts = []
    for number, payload in enumerate(payloads):
        length, begins = _vp8_descriptor(payload)
        if begins != (number == 0):
            raise MalformedError("VP8: a frame begins with its first partition and nowhere else")
        parts.append(payload[length:])
    data = b"".join(parts)
    if not data:
        raise MalformedError("VP8: an empty frame")
    if data[0] & 1:
        return Coded(data, is_key=False)
    if data[3:6] != _VP8_KEY_FRAME_CODE or len(data) < 10:
        raise MalformedError("VP8: a key frame without its start code")
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    if not (width and height):
        raise MalformedError("VP8: a key frame without a size")
    return Coded(data, is_key=True, size=(width, height))


def _vp8_descriptor(payload: bytes) -> tuple[int, bool]:
    """(length, whether a frame begins here), RFC 7741 section 4.2."""
    try:
        first = payload[0]
        length = 1
        if first & 0x80:
            present = payload[1]
            length = 2
            if present & 0x80:
                length += 2 if payload[2] & 0x80 else 1
            length += bool(present & 0x40) + bool(present & 0x30)
    except IndexError:
        raise MalformedError("VP8: shorter than its descriptor") from None
    if length > len(payload):
        raise MalformedError("VP8: shorter than its descriptor")
    return length, bool(first & 0x10) and first & 0x07 == 0


def h264(payloads: Sequence[bytes]) -> Coded:
    """An access unit in the byte stream format (H.264 Annex B) from all its payloads, in order.

    Single NAL units, STAP-A and FU-A: what packetization mode 1 has. A key frame is a picture that stands
    alone and brings its parameter sets along, as browsers send it; so one whose beginning is missing is
    none. Raises MalformedError.
    """
    units: list[bytes] = []
    fragments: list[bytes] | None = None
    for payload in payloads:
        if not payload:
            raise MalformedError("H.264: an empty payload")
        kind = payload[0] & 0x1F
        if (fragments is not None) != (kind == _FU_A and len(payload) > 1 and not payload[1] & 0x80):
            raise MalformedError("H.264: a fragmented unit is not whole")
        if kind == _FU_A:
            if len(payload) < 3:
                raise MalformedError("H.264: a fragment of nothing")
            if fragments is None:
                fragments = [bytes([payload[0] & 0xE0 | payload[1] & 0x1F])]
            fragments.append(payload[2:])
            if payload[1] & 0x40:
                units.append(b"".join(fragments))
                fragments = None
        elif kind == _STAP_A:
            units += _aggregated(payload)
        elif 1 <= kind <= 23:
            units.append(payload)
        else:
            raise MalformedError(f"H.264: packets of type {kind} are not negotiated")
    if fragments is not None or not units:
        raise MalformedError("H.264: a fragmented unit is not whole")
    data = b"".join(_START_CODE + unit for unit in units)
    kinds = {unit[0] & 0x1F for unit in units}
    return Coded(data, is_key={_SPS, _PPS, _IDR} <= kinds)


def _aggregated(payload: bytes) -> list[bytes]:
    """The units of a STAP-A, RFC 6184 section 5.7.1."""
    units = []
    at = 1
    while at < len(payload):
        length = int.from_bytes(payload[at : at + 2])
        unit = payload[at + 2 : at + 2 + length]
        if length == 0 or len(unit) < length:
            raise MalformedError("H.264: an aggregate that is shorter than it says")
        units.append(unit)
        at += 2 + length
    return units


def opus(payloads: Sequence[bytes]) -> Coded:
    """One packet is one frame. Raises MalformedError."""
    if len(payloads) != 1 or not payloads[0]:
        raise MalformedError("Opus: one packet with something in it")
    return Coded(payloads[0], is_key=True)


DEPACKETISERS: dict[CodecName, Depacketiser] = {
    "vp8": vp8,
    "h264": h264,
    "vp9": vp9,
    "av1": av1,
    "opus": opus,
}
