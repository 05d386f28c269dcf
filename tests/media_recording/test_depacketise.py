"""Payloads to frames, for good payloads and for malformed twins of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.recording.coded import MalformedError
from media.recording.depacketise import DEPACKETISERS, h264, opus, vp8
from media.recording.format import CodecName

KEY = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00rest of the key frame"
DELTA = b"\x11delta frame"
SPS, PPS, IDR, SLICE = b"\x67sps", b"\x68pps", b"\x65idr slice", b"\x41slice"
START = b"\x00\x00\x00\x01"


def stap(*units: bytes) -> bytes:
    return b"\x78" + b"".join(len(unit).to_bytes(2) + unit for unit in units)


def fu(unit: bytes, cuts: int = 3) -> list[bytes]:
    """Fragments, RFC 6184 section 5.8."""
    body = unit[1:]
    size = -(-len(body) // cuts)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    last = len(pieces) - 1
    return [
        bytes([unit[0] & 0xE0 | 28, (at == 0) << 7 | (at == last) << 6 | unit[0] & 0x1F]) + piece
        for at, piece in enumerate(pieces)
    ]


@pytest.mark.parametrize(
    "descriptor",
    [b"\x10", b"\x90\x80\x11", b"\x90\x80\x81\x11", b"\x90\xc0\x81\x11\x05", b"\x90\xf0\x81\x11\x05\x20"],
    ids=["bare", "7-bit id", "15-bit id", "with TL0PICIDX", "with TID and KEYIDX"],
)
def test_vp8_of_each_descriptor(descriptor: bytes) -> None:
    rest = bytes([descriptor[0] & ~0x10]) + descriptor[1:]
    frame = vp8([descriptor + KEY[:12], rest + KEY[12:]])
    assert (frame.data, frame.is_key, frame.size) == (KEY, True, (320, 180))
    delta = vp8([descriptor + DELTA])
    assert (delta.data, delta.is_key, delta.size) == (DELTA, False, None)


def test_vp8_of_several_partitions() -> None:
    assert vp8([b"\x10" + KEY[:15], b"\x11" + KEY[15:]]).data == KEY


@pytest.mark.parametrize(
    "payloads",
    [
        [b""],
        [b"\x10"],
        [b"\x90"],
        [b"\x90\x80"],
        [b"\x90\xc0\x81\x11"],
        [b"\x00" + DELTA],
        [b"\x11" + DELTA],
        [b"\x10" + KEY, b"\x10" + DELTA],
        [b"\x10" + KEY[:9]],
        [b"\x10" + KEY[:3] + b"xxx" + KEY[6:]],
        [b"\x10" + KEY[:6] + bytes(4)],
    ],
)
def test_vp8_that_makes_no_frame(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        vp8(payloads)


def test_h264_of_all_kinds_of_packets() -> None:
    whole = b"".join(START + unit for unit in (SPS, PPS, IDR))
    for payloads in (
        [SPS, PPS, IDR],
        [stap(SPS, PPS), IDR],
        [stap(SPS, PPS), *fu(IDR)],
        [stap(SPS, PPS, IDR)],
    ):
        frame = h264(payloads)
        assert (frame.data, frame.is_key) == (whole, True)
    assert h264([SLICE, *fu(SLICE)]).data == START + SLICE + START + SLICE
    assert not h264([SLICE]).is_key


def test_h264_without_its_parameter_sets_is_no_key_frame() -> None:
    """The beginning may be missing, and a decoder could not begin here."""
    assert not h264([IDR]).is_key
    assert not h264([SPS, IDR]).is_key


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        fu(IDR)[:-1],
        fu(IDR)[1:],
        [*fu(IDR)[:1], *fu(IDR)[:1]],
        [fu(IDR)[0], SLICE, fu(IDR)[2]],
        [b"\x7c\x85"],
        [b"\x7c"],
        [stap(SPS)[:-1]],
        [b"\x78\x00\x00"],
        [b"\x78\x00"],
        [b"\x79\x00\x00\x41"],
        [b"\x00\x41"],
    ],
)
def test_h264_that_makes_no_frame(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        h264(payloads)


def test_opus_is_one_packet_a_frame() -> None:
    assert opus([b"\xf8\xff\xfe"]).is_key
    for payloads in ([], [b""], [b"\xf8", b"\xf8"]):
        with pytest.raises(MalformedError):
            opus(payloads)


@given(st.sampled_from(sorted(DEPACKETISERS)), st.lists(st.binary(max_size=24), max_size=4))
@settings(max_examples=500, derandomize=True, deadline=None)
def test_whatever_comes_it_is_a_frame_or_malformed(codec: CodecName, payloads: list[bytes]) -> None:
    try:
        frame = DEPACKETISERS[codec](payloads)
    except MalformedError:
        return
    assert frame.data
