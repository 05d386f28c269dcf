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
_SOUND_FRAME = 960


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
    """Frame ``n`` is captured at n / FRAMES_PER_SECOND and says so. ``size`` may be changed at any time."""

    kind = "video"

    def __init__(self, beat: Beat) -> None:
        super().__init__()
        self.size = (320, 180)
        self._beat = beat
        self._next = 0

    async def recv(self) -> av.VideoFrame:
        # A machine that is busy skips frames; a frame that is sent is sent in its time.
        self._next = max(self._next, int(self._beat.now_s * FRAMES_PER_SECOND))
        number, self._next = self._next, self._next + 1
        await self._beat.at(number / FRAMES_PER_SECOND)
        if self.readyState != "live":
            raise MediaStreamError
        frame = av.VideoFrame.from_ndarray(coded_picture(number, self.size), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
        return frame


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

    def __init__(self, video_codec: str = "video/VP8") -> None:
        self.beat = Beat()
        self.picture = CodedPicture(self.beat)
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        camera = self._peer.addTransceiver(self.picture, "sendonly")
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
