"""A teacher for tests: an aiortc client with codes in its picture and bursts in its sound, on one clock."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from bridge.values import Offer, OfferedSource, SourceKind
from tests.e2e.kit.picture_code import Code, draw_code
from tests.e2e.kit.tone_bursts import make_bursts

FRAMES_PER_SECOND = 10
SOUND_RATE = 48_000
PITCH_HZ = 1_150.0
SOURCE = 5
MOST_FRAMES = 30 * FRAMES_PER_SECOND
SMALL, BIG = (320, 180), (640, 360)
_SOUND_FRAME = 960
_ENCODERS = {
    "video/VP8": (
        "libvpx",
        {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"},
    ),
    "video/H264": ("libx264", {"profile": "baseline", "preset": "ultrafast", "tune": "zerolatency"}),
}


class Beat:
    """The one clock of a publisher's tracks. Begins when the first of them is asked for something."""

    def __init__(self) -> None:
        self._start_s: float | None = None
        self._begun = asyncio.Event()

    @property
    def now_s(self) -> float:
        return 0.0 if self._start_s is None else asyncio.get_running_loop().time() - self._start_s

    async def reached(self, seconds: float) -> None:
        """Wait for that moment, for the beginning first."""
        await self._begun.wait()
        await self.at(seconds)

    async def at(self, seconds: float) -> None:
        """Wait for that moment."""
        if self._start_s is None:
            self._start_s = asyncio.get_running_loop().time()
            self._begun.set()
        await asyncio.sleep(seconds - self.now_s)


class CodedPicture(MediaStreamTrack):
    """Frame ``n`` is captured at n / FRAMES_PER_SECOND and says so; from frame ``grows_at`` on it is bigger.

    All is encoded before it begins: aiortc says in its sender reports when a frame left, not when it was
    captured, and on a busy machine an encoder in between would spoil the lip sync that a test is to measure.
    """

    kind = "video"

    def __init__(self, beat: Beat, codec: str, grows_at: int | None) -> None:
        super().__init__()
        self._beat = beat
        self._next = 0
        border = MOST_FRAMES if grows_at is None else grows_at
        self._packets = encoded(codec, range(border), SMALL) + encoded(codec, range(border, MOST_FRAMES), BIG)

    async def recv(self) -> av.Packet:
        number, self._next = self._next, self._next + 1
        await self._beat.at(number / FRAMES_PER_SECOND)
        if self.readyState != "live" or number >= MOST_FRAMES:
            raise MediaStreamError
        return self._packets[number]


def encoded(codec: str, numbers: range, size: tuple[int, int]) -> list[av.Packet]:
    """The frames of these numbers, a key frame each second."""
    if not numbers:
        return []
    encoder = av.CodecContext.create(_ENCODERS[codec][0], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.bit_rate, encoder.gop_size = "yuv420p", 400_000, FRAMES_PER_SECOND
    encoder.time_base = Fraction(1, FRAMES_PER_SECOND)
    encoder.options = _ENCODERS[codec][1]
    packets: list[av.Packet] = []
    for number in numbers:
        frame = av.VideoFrame.from_ndarray(coded_picture(number, size), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    assert [packet.pts for packet in packets] == list(numbers)
    for packet in packets:
        packet.time_base = Fraction(1, FRAMES_PER_SECOND)
    return packets


class Bursts(MediaStreamTrack):
    """A burst of PITCH_HZ at each whole second."""

    kind = "audio"

    def __init__(self, beat: Beat) -> None:
        super().__init__()
        self._beat = beat
        self._next = 0
        self._sound = (make_bursts(1.0, SOUND_RATE, PITCH_HZ, 0.0) * 32_767).astype(np.int16)

    async def recv(self) -> av.AudioFrame:
        number, self._next = self._next, self._next + 1
        await self._beat.at(number * _SOUND_FRAME / SOUND_RATE)
        if self.readyState != "live":
            raise MediaStreamError
        first = number * _SOUND_FRAME
        samples = self._sound.take(range(first, first + _SOUND_FRAME), mode="wrap").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, first, Fraction(1, SOUND_RATE)
        return frame


def coded_picture(number: int, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Frame ``number`` as planes of yuv420p, (height * 3 / 2, width)."""
    width, height = size
    across = np.arange(width)[None, :] + np.arange(height)[:, None]
    luma = np.where((across + 3 * number) % 80 < 40, 96, 136).astype(np.uint8)
    draw_code(luma, Code(SOURCE, number))
    return np.concatenate([luma, np.full((height // 2, width), 128, np.uint8)])


class Teacher:
    """An aiortc endpoint with a camera and a microphone."""

    def __init__(self, video_codec: str = "video/VP8", *, grows_at: int | None = None) -> None:
        self.beat = Beat()
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        camera = self._peer.addTransceiver(CodedPicture(self.beat, video_codec, grows_at), "sendonly")
        camera.setCodecPreferences(_only("video", video_codec))
        mic = self._peer.addTransceiver(Bursts(self.beat), "sendonly")
        self._transceivers = {SourceKind.CAMERA: camera, SourceKind.MIC: mic}

    async def offer(self) -> Offer:
        await self._peer.setLocalDescription(await self._peer.createOffer())
        sources = (OfferedSource(kind, str(each.mid)) for kind, each in self._transceivers.items())
        return Offer(self._peer.localDescription.sdp, tuple(sources), ())

    async def accept(self, answer: str) -> None:
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        await self._peer.close()


def _only(media: str, codec: str) -> list[RTCRtpCodecCapability]:
    codecs = RTCRtpSender.getCapabilities(media).codecs
    return [each for each in codecs if each.mimeType.lower() == codec.lower()]
