"""VP9 and AV1 in packets, which aiortc has no encoders for: as its encoders, a frame in and payloads out."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

import av
from av.video.codeccontext import VideoCodecContext

PAYLOAD = 300
_DELIMITER = 2


class _Encoder:
    """One frame in, one out."""

    NAME: str
    OPTIONS: ClassVar[dict[str, str]]

    def __init__(self) -> None:
        self._codec: VideoCodecContext | None = None

    def encode(self, frame: av.VideoFrame, force_key: bool) -> tuple[list[bytes], int]:
        """(payloads, timestamp); only the first frame is a key frame."""
        if self._codec is None:
            codec = av.CodecContext.create(self.NAME, "w")
            assert isinstance(codec, VideoCodecContext)
            codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, "yuv420p"
            codec.time_base = frame.time_base or Fraction(1, 10)
            codec.bit_rate, codec.gop_size = 400_000, 9_999
            codec.options = self.OPTIONS
            self._codec = codec
        (packet,) = self._codec.encode(frame)
        assert packet.is_keyframe == force_key
        return list(self._payloads(bytes(packet), key=force_key)), packet.pts or 0

    def _payloads(self, frame: bytes, *, key: bool) -> Iterator[bytes]:
        raise NotImplementedError


class Vp9Encoder(_Encoder):
    """RFC 9628 section 4.2: picture id, levels, not the flexible mode, a structure on key frames."""

    NAME = "libvpx-vp9"
    OPTIONS: ClassVar = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}

    def _payloads(self, frame: bytes, *, key: bool) -> Iterator[bytes]:
        pieces = [frame[at : at + PAYLOAD] for at in range(0, len(frame), PAYLOAD)]
        for number, piece in enumerate(pieces):
            begins, ends = number == 0, number == len(pieces) - 1
            structured = key and begins
            first = 0xA0 | (not key) << 6 | begins << 3 | ends << 2 | structured << 1
            structure = b"\x18" + bytes(4) + b"\x02\x04\x01\x14\x01" if structured else b""
            yield bytes([first, 0x81, 0x02, 0x10, 0x05]) + structure + piece


class Av1Encoder(_Encoder):
    """AV1's RTP payload format: OBUs without sizes, small ones together, large ones in fragments."""

    NAME = "libsvtav1"
    OPTIONS: ClassVar = {"preset": "11", "svtav1-params": "pred-struct=1:lookahead=0:scd=0:lp=1:rc=2:rtc=1"}

    def _payloads(self, frame: bytes, *, key: bool) -> Iterator[bytes]:
        units = list(_obus(frame))
        small, large = units[:-1], units[-1]
        # All but the last with their sizes, and of the last what still fits.
        head = b"".join(_leb128(len(unit)) + unit for unit in small)
        count = len(units) if len(units) <= 3 else 0
        pieces = [large[at : at + PAYLOAD] for at in range(0, len(large), PAYLOAD)]
        for number, piece in enumerate(pieces):
            continues, goes_on = number > 0, number < len(pieces) - 1
            shape = continues << 7 | goes_on << 6
            if continues:
                yield bytes([shape | 1 << 4]) + piece
            elif count:
                yield bytes([shape | count << 4 | key << 3]) + head + piece
            else:
                yield bytes([shape | key << 3]) + head + _leb128(len(piece)) + piece


def _obus(frame: bytes) -> Iterator[bytes]:
    """Those of a temporal unit, without sizes and delimiters."""
    at = 0
    while at < len(frame):
        header, at = frame[at], at + 1
        assert header & 0x06 == 0x02, "a size and no extension"
        length = shift = 0
        while True:
            octet, at = frame[at], at + 1
            length |= (octet & 0x7F) << shift
            shift += 7
            if not octet & 0x80:
                break
        if header >> 3 != _DELIMITER:
            yield bytes([header & ~0x02]) + frame[at : at + length]
        at += length


def _leb128(value: int) -> bytes:
    octets = []
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])
