"""The raw files of one lesson into one Matroska file, without encoding anything anew.

    file --scan--> Segment --arrange--> Lane (segments one after another) --write--> .mkv --verify

Every file is read twice, because Matroska wants to know its streams before the first frame. Memory is bounded
by what ``frames`` and ``timeline`` let wait. Segments lie on one timeline by wall time: what was not
recorded, between a crash and the coming back, stays a gap.
"""

from __future__ import annotations

import heapq
import io
import itertools
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from bridge.values import SourceKind
from media.recording.format import CodecName, Hole, NotARecordingError, Packet, RawRecording, TornHeadError
from media.recording.frames import LeftOut, frames
from media.recording.layout import PARTIAL_SUFFIX, RAW_SUFFIX
from media.recording.timeline import Placed, placed

_OGG_FIRST, _OGG_LAST = 2, 4
_TEMPLATE_FORMAT: dict[CodecName, str] = {"opus": "ogg", "h264": "h264", "av1": "obu"}
_AV1_DELIMITER = b"\x12\x00"
"""The temporal delimiter that a stream of OBUs begins with (AV1 section 7.5)."""
_MILLISECOND = Fraction(1, 1000)
_ORDER = [kind.value for kind in SourceKind]


class RemuxError(Exception):
    """No playable file came of it; the text is one line."""


class NothingRecordedError(RemuxError):
    """There is not one packet in the folder."""


@dataclass(slots=True)
class Segment:
    """What a first reading says of one file; ``frames`` is 0 where nothing in it can be decoded."""

    path: Path
    kind: str
    codec: CodecName
    clock_rate: int
    packets: int = 0
    frames: int = 0
    start_us: int = 0
    """Of the first frame, microseconds since 1970; ``end_us`` likewise of the last."""
    end_us: int = 0
    size: tuple[int, int] | None = None
    first: bytes = b""
    left_out: LeftOut = field(default_factory=LeftOut)
    ended: bool = False
    torn_octets: int = 0


@dataclass(slots=True)
class Lane:
    """One stream of the output."""

    kind: str
    codec: CodecName
    segments: list[Segment]

    @property
    def frames(self) -> int:
        return sum(segment.frames for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it."""

    streams: int
    frames: int
    seconds: float
    left_out: LeftOut
    torn: int
    """Files that a crash ended."""

    def __str__(self) -> str:
        left = self.left_out
        return (
            f"{self.streams} streams, {self.seconds:.1f} s, {self.frames} frames; "
            f"left out: {left.dropped} packets not written, {left.missing} not received, "
            f"{left.frames} frames not whole; {self.torn} files ended by a crash"
        )


def remux(folder: Path, out: Path) -> Report:
    """Make ``out`` of the raw files in ``folder``, or raise RemuxError and leave no trace.

    ``out`` appears complete, synced and counted again, or not at all; one that is there is replaced.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == RAW_SUFFIX)
        segments = [segment for path in paths if (segment := scan(path)) is not None]
    except (OSError, NotARecordingError) as exc:
        raise RemuxError(str(exc)) from exc
    if not any(segment.packets for segment in segments):
        raise NothingRecordedError(f"{folder}: nothing was recorded")
    lanes = arrange(segment for segment in segments if segment.frames)
    if not lanes:
        raise RemuxError(f"{folder}: packets, but not one frame that can be decoded")
    partial = out.with_name(f"{out.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        _write(lanes, partial)
        _verify(lanes, partial)
        _sync(partial)
        partial.replace(out)
        _sync(out.parent)
    except (OSError, av.FFmpegError, NotARecordingError) as exc:
        raise RemuxError(f"{out}: {exc}") from exc
    finally:
        partial.unlink(missing_ok=True)
    return _report(lanes, segments)


def scan(path: Path) -> Segment | None:
    """Read a file through; None where a crash cut it within its head. Raises NotARecordingError, OSError."""
    try:
        raw = RawRecording.open(path)
    except TornHeadError:
        return None
    with raw:
        head = raw.head
        segment = Segment(path, head.kind, head.codec, head.clock_rate)
        for each in placed(frames(head.codec, _counted(raw, segment), segment.left_out), head):
            if segment.frames == 0:
                segment.start_us = segment.end_us = each.at_us
                segment.size, segment.first = each.frame.size, each.frame.data
            segment.frames += 1
            segment.start_us = min(segment.start_us, each.at_us)
            segment.end_us = max(segment.end_us, each.at_us)
        segment.ended, segment.torn_octets = raw.ended, raw.torn_octets
    return segment


def _counted(raw: RawRecording, segment: Segment) -> Iterator[Packet | Hole]:
    for entry in raw.entries():
        segment.packets += isinstance(entry, Packet)
        yield entry


def arrange(segments: Iterator[Segment]) -> list[Lane]:
    """Segments of one kind and codec that don't overlap share a stream; the order is that of the kinds."""
    lanes: list[Lane] = []
    for segment in sorted(segments, key=lambda each: each.start_us):
        for lane in lanes:
            if (lane.kind, lane.codec) == (segment.kind, segment.codec) and lane.segments[
                -1
            ].end_us < segment.start_us:
                lane.segments.append(segment)
                break
        else:
            lanes.append(Lane(segment.kind, segment.codec, [segment]))
    return sorted(lanes, key=lambda lane: _ORDER.index(lane.kind) if lane.kind in _ORDER else len(_ORDER))


def _play(number: int, lane: Lane) -> Iterator[tuple[int, int, Placed]]:
    """(capture time, number of the lane, frame), in order."""
    for segment in lane.segments:
        with RawRecording.open(segment.path) as raw:
            # No more than were counted: the lesson may go on, and the file with it.
            play = placed(frames(raw.head.codec, raw.entries(), LeftOut()), raw.head)
            for each in itertools.islice(play, segment.frames):
                yield each.at_us, number, each


def _write(lanes: Sequence[Lane], path: Path) -> None:
    origin_us = min(segment.start_us for lane in lanes for segment in lane.segments)
    with av.open(str(path), "w", format="matroska") as container:
        container.metadata["creation_time"] = datetime.fromtimestamp(origin_us / 1e6, UTC).isoformat()
        streams = [_add_stream(container, lane) for lane in lanes]
        last = [-1] * len(lanes)
        lines = [_play(number, lane) for number, lane in enumerate(lanes)]
        for at_us, number, each in heapq.merge(*lines, key=lambda entry: entry[0]):
            packet = av.Packet(each.frame.data)
            packet.stream = streams[number]
            packet.time_base = _MILLISECOND
            # Matroska counts milliseconds, and no two frames of a stream may share one.
            last[number] = max(round((at_us - origin_us) / 1000), last[number] + 1)
            packet.pts = packet.dts = last[number]
            packet.is_keyframe = each.frame.is_key
            container.mux(packet)


def _add_stream(container: OutputContainer, lane: Lane) -> Stream:
    first = lane.segments[0]
    if lane.codec in {"vp8", "vp9"}:
        width, height = first.size or (0, 0)
        stream = container.add_mux_stream(lane.codec, width=width, height=height)
    else:
        # Only through a template does PyAV let a stream have the codec's own header.
        template = _opus_head(first.clock_rate) if lane.codec == "opus" else first.first
        if lane.codec == "av1":
            template = _AV1_DELIMITER + template
        with av.open(io.BytesIO(template), format=_TEMPLATE_FORMAT[lane.codec]) as source:
            assert isinstance(source, InputContainer)
            stream = container.add_stream_from_template(source.streams[0], opaque=True)
    stream.metadata["title"] = lane.kind
    return stream


def _opus_head(clock_rate: int) -> bytes:
    """An Ogg file (RFC 7845) of one silent frame: Opus, two channels, nothing to skip at the beginning."""
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 2, 0, clock_rate, 0, 0)
    tags = struct.pack("<8sI11sI", b"OpusTags", 11, b"luokkasilta", 0)
    silence = b"\xf8\xff\xfe"
    pages = ((head, _OGG_FIRST, 0), (tags, 0, 0), (silence, _OGG_LAST, 960))
    return b"".join(_ogg_page(packet, number, *rest) for number, (packet, *rest) in enumerate(pages))


def _ogg_page(packet: bytes, number: int, flags: int, granule: int) -> bytes:
    """RFC 3533 section 6: one packet, shorter than 255 octets, in one page."""
    page = struct.pack("<4sBBqIIIBB", b"OggS", 0, flags, granule, 1, number, 0, 1, len(packet)) + packet
    crc = 0
    for octet in page:
        crc ^= octet << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return page[:22] + crc.to_bytes(4, "little") + page[26:]


def _verify(lanes: Sequence[Lane], path: Path) -> None:
    """Open the file and count its frames again. Raises RemuxError."""
    counts = [0] * len(lanes)
    with av.open(str(path)) as container:
        assert isinstance(container, InputContainer)
        if len(container.streams) != len(lanes):
            raise RemuxError(f"{path}: {len(container.streams)} streams instead of {len(lanes)}")
        for packet in container.demux():
            if packet.size:
                counts[packet.stream.index] += 1
    expected = [lane.frames for lane in lanes]
    if counts != expected:
        raise RemuxError(f"{path}: {counts} frames instead of {expected}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _report(lanes: Sequence[Lane], segments: Sequence[Segment]) -> Report:
    used = [segment for lane in lanes for segment in lane.segments]
    length_us = max(segment.end_us for segment in used) - min(segment.start_us for segment in used)
    left_out = LeftOut(
        sum(segment.left_out.dropped for segment in segments),
        sum(segment.left_out.missing for segment in segments),
        sum(segment.left_out.frames for segment in segments),
    )
    torn = sum(not segment.ended for segment in segments)
    return Report(len(lanes), sum(lane.frames for lane in lanes), length_us / 1e6, left_out, torn)
