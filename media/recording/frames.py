"""From packets, in the order in which they came, to frames.

    entries --> in_order (by number; a late one is waited for) --> frames (whole ones; from a key frame on)

What is waited for is bounded in packets and in time on the server clock, so memory is as well.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from media.recording.coded import MalformedError
from media.recording.depacketise import DEPACKETISERS
from media.recording.format import CodecName, Hole, Packet

LONGEST_WAIT_US = 2_000_000
"""A repaired packet comes within about a second; later it would not have been played live either."""
MOST_WAITING = 4_096
LONGEST_FRAME = 16_384
"""Packets of one frame; more is no frame."""


@dataclass(frozen=True, slots=True)
class InOrder:
    """A packet at its place."""

    packet: Packet
    after_hole: bool
    """Something between it and the one before is missing."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One coded frame. Frames of a run come in the order of their numbers."""

    run: int
    timestamp: int
    captured_us: int
    """Of its first packet, on the server clock."""
    data: bytes
    is_key: bool
    size: tuple[int, int] | None


@dataclass(slots=True)
class LeftOut:
    """What didn't become part of a frame."""

    dropped: int = 0
    """Packets that the engine left out."""
    missing: int = 0
    """Packets that never came, or too late."""
    frames: int = 0
    """Frames with a hole, and those after it up to the next key frame."""


@dataclass(slots=True)
class _Window:
    """The packets of one run that wait for an earlier one."""

    next_index: int | None = None
    waiting: list[tuple[int, int, Packet]] = field(default_factory=list)
    newest_us: int = 0

    def add(self, packet: Packet, order: int) -> None:
        self.newest_us = max(self.newest_us, packet.captured_us)
        heapq.heappush(self.waiting, (packet.index, order, packet))

    def ready(self) -> bool:
        """Whether the first that waits need wait no longer."""
        if not self.waiting:
            return False
        index, _, packet = self.waiting[0]
        return (
            (self.next_index is not None and index <= self.next_index)
            or self.newest_us - packet.captured_us > LONGEST_WAIT_US
            or len(self.waiting) > MOST_WAITING
        )


def in_order(entries: Iterable[Packet | Hole], left_out: LeftOut) -> Iterator[InOrder]:
    """Every packet once, by number within its run. Runs and holes are borders that nothing crosses."""
    window, run = _Window(), None
    after_hole = False

    def release(*, everything: bool) -> Iterator[InOrder]:
        nonlocal after_hole
        while window.waiting and (everything or window.ready()):
            index, _, packet = heapq.heappop(window.waiting)
            if window.next_index is not None and index < window.next_index:
                continue  # Came twice, or later than it was waited for.
            if window.next_index is not None and index > window.next_index:
                left_out.missing += index - window.next_index
                after_hole = True
            window.next_index = index + 1
            yield InOrder(packet, after_hole)
            after_hole = False

    for order, entry in enumerate(entries):
        if isinstance(entry, Hole) or entry.run != run:
            yield from release(everything=True)
            window = _Window()
            after_hole = after_hole or isinstance(entry, Hole) or run is not None
        if isinstance(entry, Hole):
            left_out.dropped += entry.dropped
            run = None
            continue
        run = entry.run
        window.add(entry, order)
        yield from release(everything=False)
    yield from release(everything=True)


def frames(codec: CodecName, entries: Iterable[Packet | Hole], left_out: LeftOut) -> Iterator[Frame]:
    """The frames that can be decoded: each run begins with a key frame, and so does what follows a hole.

    A voice's frames stand alone, so there only the missing are missing.
    """
    assembler = _Assembler(codec, left_out)
    for each in in_order(entries, left_out):
        yield from assembler.take(each)


class _Assembler:
    """Gathers the packets of one frame. ``take`` gives the frames that a packet completes."""

    def __init__(self, codec: CodecName, left_out: LeftOut) -> None:
        self._depacketise = DEPACKETISERS[codec]
        self._is_voice = codec == "opus"
        self._left_out = left_out
        self._packets: list[Packet] = []
        self._needs_key = True
        self._run: int | None = None

    def take(self, each: InOrder) -> Iterator[Frame]:
        packet = each.packet
        if each.after_hole or packet.run != self._run:
            # A frame under way ends in nothing, and this may be the middle of another: depacketisers take
            # no frame for a key frame whose beginning is missing.
            self._abandon()
            self._needs_key = True
            self._run = packet.run
        if not packet.payload:
            return
        if self._packets and self._packets[0].timestamp != packet.timestamp:
            # Its last packet has no marker: senders that do so end a frame by beginning the next.
            yield from self._finish()
        if len(self._packets) == LONGEST_FRAME:
            self._abandon()
            self._needs_key = True
        self._packets.append(packet)
        if packet.marker or self._is_voice:
            yield from self._finish()

    def _abandon(self) -> None:
        if self._packets:
            self._left_out.frames += 1
        self._packets.clear()

    def _finish(self) -> Iterator[Frame]:
        first = self._packets[0]
        payloads = [packet.payload for packet in self._packets]
        self._packets.clear()
        try:
            coded = self._depacketise(payloads)
        except MalformedError:
            self._left_out.frames += 1
            self._needs_key = True
            return
        if self._needs_key and not coded.is_key:
            self._left_out.frames += 1
            return
        self._needs_key = False
        yield Frame(first.run, first.timestamp, first.captured_us, coded.data, coded.is_key, coded.size)
