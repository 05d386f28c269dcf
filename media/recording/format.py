"""The raw file that the packet engine writes, entry by entry: FORMAT.md. Reads what a crash left behind."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Self

MAGIC = b"LKSREC\r\n"
VERSION = 1
LONGEST_ENTRY = 66_000
"""Octets of type and body: a datagram's payload and the numbers before it. A longer one is no entry."""

CodecName = Literal["opus", "vp8", "h264", "vp9", "av1"]

_CODECS: dict[int, CodecName] = {1: "opus", 2: "vp8", 3: "h264", 4: "vp9", 5: "av1"}
_ENTRY = struct.Struct(">II")
_HEAD = struct.Struct(">BIq")
_PACKET = struct.Struct(">BBIQqq")
_HOLE = struct.Struct(">Q")
_HEAD_TYPE, _PACKET_TYPE, _HOLE_TYPE, _END_TYPE = 1, 2, 3, 4
_LONGEST_KIND = 32
_LONGEST_HEAD = _ENTRY.size + 1 + _HEAD.size + _LONGEST_KIND
_MARKER, _BEGINS_KEY_FRAME = 1, 2


class NotARecordingError(Exception):
    """The file is none of ours, of another version, or broken before its first packet."""


class TornHeadError(NotARecordingError):
    """A crash cut the file within its head: nothing was recorded in it."""


@dataclass(frozen=True, slots=True)
class Head:
    codec: CodecName
    clock_rate: int
    """Ticks per second."""
    zero_us: int
    """The server clock's zero, microseconds since 1970."""
    kind: str


@dataclass(frozen=True, slots=True)
class Packet:
    """An RTP packet as it came; an empty payload was padding only."""

    run: int
    layer: int
    marker: bool
    begins_key_frame: bool
    index: int
    timestamp: int
    captured_us: int
    """On the server clock."""
    payload: bytes


@dataclass(frozen=True, slots=True)
class Hole:
    """``dropped`` packets were left out here."""

    dropped: int


class RawRecording:
    """One raw file, open for one reading. A context manager.

    ``entries`` gives packets and holes; afterwards ``ended`` says whether the recording ended in order, and
    ``torn_octets`` how much behind the last good entry could not be read.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Raises NotARecordingError. Takes the file over."""
        self.name = name
        self.ended = False
        self.torn_octets = 0
        self._file = file
        try:
            self.head = self._read_head()
        except BaseException:
            file.close()
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotARecordingError, OSError."""
        return cls(path.open("rb"), path.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def entries(self) -> Iterator[Packet | Hole]:
        """All that can be read, once. Unknown types of entries are passed over: later ones may have more."""
        while True:
            start = self._file.tell()
            entry = self._read_entry()
            if entry is None:
                self._file.seek(0, 2)
                self.torn_octets = self._file.tell() - start
                return
            kind, body = entry
            if kind == _PACKET_TYPE and len(body) >= _PACKET.size:
                flags, layer, run, index, timestamp, captured_us = _PACKET.unpack_from(body)
                yield Packet(
                    run,
                    layer,
                    bool(flags & _MARKER),
                    bool(flags & _BEGINS_KEY_FRAME),
                    index,
                    timestamp,
                    captured_us,
                    body[_PACKET.size :],
                )
            elif kind == _HOLE_TYPE and len(body) == _HOLE.size:
                yield Hole(_HOLE.unpack(body)[0])
            elif kind == _END_TYPE:
                self.ended = True

    def _read_head(self) -> Head:
        front = self._file.read(len(MAGIC) + 2)
        if not front.startswith(MAGIC) and not MAGIC.startswith(front):
            raise NotARecordingError(f"{self.name}: not a raw recording")
        if len(front) < len(MAGIC) + 2:
            raise TornHeadError(f"{self.name}: ends within its head")
        version = int.from_bytes(front[len(MAGIC) :])
        if version != VERSION:
            raise NotARecordingError(f"{self.name}: version {version} is not known")
        start = self._file.tell()
        entry = self._read_entry()
        if entry is None and self._file.seek(0, 2) - start < _LONGEST_HEAD:
            raise TornHeadError(f"{self.name}: ends within its head")
        if entry is None or entry[0] != _HEAD_TYPE or len(entry[1]) < _HEAD.size:
            raise NotARecordingError(f"{self.name}: has no head")
        codec, clock_rate, zero_us = _HEAD.unpack_from(entry[1])
        kind = entry[1][_HEAD.size :]
        if codec not in _CODECS or clock_rate == 0 or len(kind) > _LONGEST_KIND or not kind.isascii():
            raise NotARecordingError(f"{self.name}: its head makes no sense")
        return Head(_CODECS[codec], clock_rate, zero_us, kind.decode("ascii"))

    def _read_entry(self) -> tuple[int, bytes] | None:
        """(type, body), or None where no whole and good entry follows."""
        front = self._file.read(_ENTRY.size)
        if len(front) < _ENTRY.size:
            return None
        length, crc = _ENTRY.unpack(front)
        if not 1 <= length <= LONGEST_ENTRY:
            return None
        content = self._file.read(length)
        if len(content) < length or zlib.crc32(content, zlib.crc32(front[:4])) != crc:
            return None
        return content[0], content[1:]
