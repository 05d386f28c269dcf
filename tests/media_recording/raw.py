"""Writes raw recordings as media/recording/FORMAT.md describes them: the reader is held to the page."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder

from media.recording.format import Packet
from tests.e2e.kit.tone_bursts import make_bursts
from tests.media_recording.newer_codecs import Av1Encoder, Vp9Encoder
from tests.media_recording.publisher import FRAMES_PER_SECOND, PITCH_HZ, SOUND_RATE, coded_picture

FRONT = b"LKSREC\r\n\x00\x01"
CODECS = {"opus": 1, "vp8": 2, "h264": 3, "vp9": 4, "av1": 5}
RATES = {"opus": 48_000} | dict.fromkeys(("vp8", "h264", "vp9", "av1"), 90_000)
FRAME_US = 1_000_000 // FRAMES_PER_SECOND
MTU = 300
"""Small, so that a frame has several packets."""


def entry(kind: int, body: bytes) -> bytes:
    content = bytes([kind]) + body
    length = struct.pack(">I", len(content))
    return length + struct.pack(">I", zlib.crc32(length + content)) + content


def head(codec: str, zero_us: int = 0, kind: str = "camera") -> bytes:
    return FRONT + entry(1, struct.pack(">BIq", CODECS[codec], RATES[codec], zero_us) + kind.encode())


def packet(each: Packet) -> bytes:
    flags = each.marker | each.begins_key_frame << 1
    numbers = (flags, each.layer, each.run, each.index, each.timestamp, each.captured_us)
    return entry(2, struct.pack(">BBIQqq", *numbers) + each.payload)


def hole(dropped: int) -> bytes:
    return entry(3, struct.pack(">Q", dropped))


END = entry(4, b"")


def raw_file(
    codec: str, packets: Sequence[Packet], *, zero_us: int = 0, kind: str = "camera", end: bytes = END
) -> bytes:
    return head(codec, zero_us, kind) + b"".join(map(packet, packets)) + end


def picture_packets(
    codec: str,
    numbers: Sequence[int],
    *,
    size: tuple[int, int] = (320, 180),
    first_index: int = 70_000,
    run: int = 0,
    start_us: int = 0,
) -> list[Packet]:
    """Coded frames as a publisher would send them; frame ``n`` is captured at ``start_us`` + n * FRAME_US."""
    encoder: Any = {"vp8": Vp8Encoder, "h264": H264Encoder, "vp9": Vp9Encoder, "av1": Av1Encoder}[codec]()
    packets: list[Packet] = []
    for position, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(coded_picture(number, size), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
        payloads, _ = encoder.encode(frame, position == 0)
        for at, payload in enumerate(payloads):
            packets.append(
                Packet(
                    run,
                    0,
                    at == len(payloads) - 1,
                    position == 0 and at == 0,
                    first_index + len(packets),
                    number * 90_000 // FRAMES_PER_SECOND + 12_345,
                    start_us + number * FRAME_US,
                    bytes(payload),
                )
            )
    return packets


def sound_packets(seconds: float, *, run: int = 0, start_us: int = 0) -> list[Packet]:
    """A burst at each whole second."""
    samples = (make_bursts(seconds, SOUND_RATE, PITCH_HZ, 0.0) * 32_767).astype(np.int16)
    encoder = OpusEncoder()
    packets: list[Packet] = []
    for number in range(int(seconds * 50)):
        piece = samples[number * 960 : (number + 1) * 960].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, number * 960, Fraction(1, SOUND_RATE)
        payloads, _ = encoder.encode(frame)
        for payload in payloads:
            packets.append(
                Packet(
                    run,
                    0,
                    False,
                    False,
                    70_000 + len(packets),
                    number * 960,
                    start_us + number * 20_000,
                    bytes(payload),
                )
            )
    return packets
