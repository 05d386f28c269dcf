"""The reader of raw recordings: what is whole is read, what is not ends it, and nothing is made up."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.recording.format import (
    LONGEST_ENTRY,
    Hole,
    NotARecordingError,
    Packet,
    RawRecording,
    TornHeadError,
)
from tests.media_recording.raw import END, FRONT, entry, head, hole, packet, raw_file

ONE = Packet(3, 2, True, True, 65_540, -7, -20_000, b"payload")

packets = st.builds(
    Packet,
    run=st.integers(0, 2**32 - 1),
    layer=st.integers(0, 255),
    marker=st.booleans(),
    begins_key_frame=st.booleans(),
    index=st.integers(0, 2**64 - 1),
    timestamp=st.integers(-(2**63), 2**63 - 1),
    captured_us=st.integers(-(2**63), 2**63 - 1),
    payload=st.binary(max_size=50),
)
holes = st.builds(Hole, st.integers(0, 2**64 - 1))


def read(content: bytes) -> tuple[RawRecording, list[Packet | Hole]]:
    with RawRecording(io.BytesIO(content), "file.part") as raw:
        return raw, list(raw.entries())


def written(entries: list[Packet | Hole]) -> list[bytes]:
    return [hole(each.dropped) if isinstance(each, Hole) else packet(each) for each in entries]


def test_a_whole_file() -> None:
    raw, entries = read(head("vp8", 1_790_000_000_000_000) + packet(ONE) + hole(9) + packet(ONE) + END)
    assert (raw.head.codec, raw.head.clock_rate, raw.head.kind) == ("vp8", 90_000, "camera")
    assert raw.head.zero_us == 1_790_000_000_000_000
    assert entries == [ONE, Hole(9), ONE]
    assert (raw.ended, raw.torn_octets) == (True, 0)


def test_an_entry_of_a_later_version_is_passed_over() -> None:
    _, entries = read(head("opus") + entry(77, b"what?") + packet(ONE))
    assert entries == [ONE]


@given(st.lists(packets | holes, max_size=5), st.data())
@settings(max_examples=200, derandomize=True, deadline=None)
def test_cut_anywhere_what_was_whole_is_read(entries: list[Packet | Hole], data: st.DataObject) -> None:
    parts = [head("vp8"), *written(entries)]
    content = b"".join(parts)
    cut = data.draw(st.integers(len(parts[0]), len(content)))
    whole, length = 0, len(parts[0])
    while whole < len(entries) and length + len(parts[whole + 1]) <= cut:
        length += len(parts[whole + 1])
        whole += 1
    raw, got = read(content[:cut])
    assert got == entries[:whole]
    assert raw.torn_octets == cut - length
    assert not raw.ended


@given(st.integers(0, len(packet(ONE)) * 8 - 1))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_one_wrong_bit_ends_it(bit: int) -> None:
    bad = bytearray(packet(ONE))
    bad[bit // 8] ^= 1 << bit % 8
    _, entries = read(head("vp8") + packet(ONE) + bytes(bad) + packet(ONE))
    assert entries == [ONE]


@given(st.binary(max_size=300))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_octets_are_read_or_refused(content: bytes) -> None:
    for front in (b"", FRONT, head("h264")):
        try:
            _, entries = read(front + content)
        except NotARecordingError:
            continue
        assert all(isinstance(each, Packet | Hole) for each in entries)


def test_a_length_beyond_all_measure_is_not_read_into_memory() -> None:
    class Counting(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1, /) -> bytes:
            Counting.most = max(Counting.most, size or 0)
            return super().read(size)

    file = Counting(head("vp8") + struct.pack(">II", 2**32 - 1, 0) + b"x" * 100)
    with RawRecording(file, "file.part") as raw:
        assert list(raw.entries()) == []
        assert raw.torn_octets == 108
    assert Counting.most <= LONGEST_ENTRY


@pytest.mark.parametrize("cut", range(len(head("vp8"))))
def test_a_file_that_ends_within_its_head_is_told_apart_from_a_foreign_one(cut: int) -> None:
    with pytest.raises(TornHeadError):
        read(head("vp8")[:cut])


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF and so on",
        b"LKSREC\n\x00\x01",
        b"LKSREC\r\n\x00\x02" + head("vp8")[10:],
        FRONT + packet(ONE),
        FRONT + entry(1, b"short"),
        FRONT + entry(1, struct.pack(">BIq", 9, 90_000, 0) + b"camera"),
        FRONT + entry(1, struct.pack(">BIq", 2, 0, 0) + b"camera"),
        FRONT + entry(1, struct.pack(">BIq", 2, 90_000, 0) + b"k" * 33),
        FRONT + entry(1, struct.pack(">BIq", 2, 90_000, 0) + b"\xff"),
    ],
)
def test_what_is_no_recording_is_refused(content: bytes) -> None:
    with pytest.raises(NotARecordingError) as refused:
        read(content)
    assert not isinstance(refused.value, TornHeadError)
    assert "file.part" in str(refused.value)


def test_the_kit_writes_what_it_is_told() -> None:
    _, entries = read(raw_file("opus", [ONE, replace(ONE, payload=b"")]))
    assert entries == [ONE, replace(ONE, payload=b"")]
