"""Payloads of VP9 and AV1 to frames: good ones, what Chromium made of VP9, and malformed twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.recording.coded import MalformedError
from media.recording.depacketise_newer import av1, vp9

RECORDED = Path(__file__).parents[2] / "media/rust/engine/tests/recorded"

# frame_marker 2, profile 0, a key frame; sync code; color_space and range 0; 320 and 180, each less one.
VP9_KEY = b"\x82\x49\x83\x42" + (319 << 20 | 179 << 4).to_bytes(5) + b"rest of it"
VP9_DELTA = b"\x86delta frame"
BEGIN, MIDDLE = b"\x08", b"\x00"


@pytest.mark.parametrize(
    "descriptor",
    [
        b"\x08",
        b"\x88\x11",
        b"\x88\x81\x11",
        b"\xa8\x81\x11\x10\x05",
        b"\xb8\x81\x11\x10",
        b"\xf8\x81\x11\x10\x03\x02",
        b"\x0a\x18\x01\x40\x00\xb4\x02\x04\x01\x14\x01",
        b"\x0a\x00",
    ],
    ids=["bare", "7-bit id", "15-bit id", "levels", "flexible", "references", "structure", "empty structure"],
)
def test_vp9_of_each_descriptor(descriptor: bytes) -> None:
    frame = vp9([descriptor + VP9_KEY[:12], MIDDLE + VP9_KEY[12:]])
    assert (frame.data, frame.is_key, frame.size) == (VP9_KEY, True, (320, 180))
    delta = vp9([descriptor + VP9_DELTA])
    assert (delta.data, delta.is_key, delta.size) == (VP9_DELTA, False, None)


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        [b"\x08"],
        [b"\x88"],
        [b"\x88\x81"],
        [b"\xa8\x81\x11\x10"],
        [b"\xf8\x81\x11\x10\x03"],
        [b"\xf8\x81\x11\x10\x03\x03\x03\x02" + VP9_KEY],
        [b"\x0a\x18\x01\x40"],
        [b"\xa8\x81\x11\x12\x05" + VP9_KEY],
        [MIDDLE + VP9_KEY],
        [BEGIN + VP9_KEY, BEGIN + VP9_KEY],
        [BEGIN + b"\x42" + VP9_KEY[1:]],
        [BEGIN + b"\xb2" + VP9_KEY[1:]],
        [BEGIN + VP9_KEY[:8]],
        [BEGIN + b"\x82xxx" + VP9_KEY[4:]],
    ],
)
def test_vp9_that_makes_no_frame(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        vp9(payloads)


def test_vp9_shown_again_and_between_is_no_key_frame() -> None:
    assert not vp9([BEGIN + b"\x88"]).is_key
    assert not vp9([BEGIN + VP9_DELTA]).is_key


# OBU headers: type in bits 3 to 6; neither an extension nor a size.
SEQUENCE, KEY, DELTA, PADDING = b"\x08seq", b"\x30\x10key frame", b"\x30\x30delta frame", b"\x78pad"
DELIMITER = b"\x10"
SIZED_SEQUENCE, SIZED_KEY = b"\x0a\x03seq", b"\x32\x0a\x10key frame"


def element(unit: bytes) -> bytes:
    return bytes([len(unit)]) + unit


@pytest.mark.parametrize(
    "payloads",
    [
        [b"\x28" + element(SEQUENCE) + KEY],
        [b"\x08" + element(SEQUENCE) + element(KEY)],
        [b"\x18" + SEQUENCE, b"\x10" + KEY],
        [b"\x68" + element(SEQUENCE) + KEY[:4], b"\x90" + KEY[4:]],
        [b"\x68" + element(SEQUENCE) + KEY[:4], b"\xd0" + KEY[4:7], b"\x90" + KEY[7:]],
        [b"\x48" + element(SEQUENCE) + element(KEY[:4]), b"\x80" + element(KEY[4:])],
        [b"\x58" + SEQUENCE[:2], b"\xa0" + element(SEQUENCE[2:]) + KEY],
        [b"\x38" + element(DELIMITER) + element(SEQUENCE) + KEY],
        [b"\x28" + element(SIZED_SEQUENCE) + SIZED_KEY],
    ],
    ids=[
        "counted",
        "sized",
        "two packets",
        "fragment",
        "three",
        "sized fragment",
        "cut early",
        "delimiter",
        "own",
    ],
)
def test_av1_in_every_shape(payloads: list[bytes]) -> None:
    frame = av1(payloads)
    assert (frame.data, frame.is_key) == (SIZED_SEQUENCE + SIZED_KEY, True)


def test_av1_sizes_of_several_octets_and_extensions() -> None:
    long = b"\x34\x40\x30" + bytes(200)
    frame = av1([b"\x10" + long])
    assert (frame.data, frame.is_key) == (b"\x36\x40\xc9\x01\x30" + bytes(200), False)


def test_av1_without_its_sequence_header_is_no_key_frame() -> None:
    """The beginning may be missing, and a decoder could not begin here."""
    assert not av1([b"\x10" + KEY]).is_key
    assert not av1([b"\x20" + element(SEQUENCE) + DELTA]).is_key


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        [b"\x00"],
        [b"\x10"],
        [b"\x18" + SEQUENCE],
        [b"\x10" + PADDING],
        [b"\x10\x30"],
        [b"\x10\xb0\x10key"],
        [b"\x20\x7f" + KEY],
        [b"\x00\x80\x80\x80\x80\x80\x80\x80\x80\x01"],
        [b"\x00\x80"],
        [b"\x00\x00"],
        [b"\x90" + KEY],
        [b"\x50" + KEY],
        [b"\x50" + KEY, b"\x10" + KEY],
        [b"\x10\x32\x20\x10short"],
        [b"\x10\x34"],
    ],
)
def test_av1_that_makes_no_frame(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        av1(payloads)


def _recorded(codec: str) -> list[tuple[int, bytes]]:
    """(timestamp, payload) of what Chromium sent, as it was cut."""
    found = []
    for line in (RECORDED / f"{codec}-l1t3.txt").read_text("ascii").split():
        packet = bytes.fromhex(line)
        at = 12
        if packet[0] & 0x10:
            at += 4 + 4 * int.from_bytes(packet[14:16])
        found.append((int.from_bytes(packet[4:8]), packet[at:]))
    return found


def test_vp9_of_chromium_begins_with_a_key_frame_and_goes_on_with_others() -> None:
    frames: dict[int, list[bytes]] = {}
    for timestamp, payload in _recorded("vp9"):
        frames.setdefault(timestamp, []).append(payload)
    coded = [vp9(payloads) for payloads in frames.values()]
    assert len(coded) > 10
    assert [each.is_key for each in coded] == [True] + [False] * (len(coded) - 1)
    assert coded[0].size == (320, 180)
