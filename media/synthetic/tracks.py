"""The scene and the speech as aiortc tracks, each on its own absolute schedule.

A track that waits one frame's length after each frame loses a little with every one; here frame ``n`` is
due at start + n / rate. A track that falls behind skips whole frames instead of sending them in a burst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from media.synthetic.picture import Scene

PICTURE_RATE = 12
"""Frames per second: enough for calm movement, and cheap on a teacher's laptop that also shows the demo."""
SPEECH_RATE = 48_000
SPEECH_FRAME = 960
"""Samples of 20 ms, what one Opus packet carries."""

_MOST_BEHIND_S = 0.2

Speech = NDArray[np.int16]
"""(samples,), 48 kHz, mono."""


class Schedule:
    """When frame ``n`` is due, and which frame comes next. ``now_s`` is any clock that never goes back."""

    def __init__(self, frames_per_second: Fraction) -> None:
        self._rate = frames_per_second
        self._start_s: float | None = None
        self._next = 0
        self.skipped = 0
        """Frames that were never made because the process was late."""

    def take(self, now_s: float) -> tuple[int, float]:
        """The next frame's number, and how many seconds to wait before it."""
        if self._start_s is None:
            self._start_s = now_s
        wait_s = self._start_s + float(self._next / self._rate) - now_s
        if wait_s < -_MOST_BEHIND_S:
            late = int(-wait_s * self._rate)
            self._next += late
            self.skipped += late
            wait_s += float(late / self._rate)
        number = self._next
        self._next += 1
        return number, max(0.0, wait_s)


class _ScheduledTrack(MediaStreamTrack):
    def __init__(self, frames_per_second: Fraction) -> None:
        super().__init__()
        self.schedule = Schedule(frames_per_second)

    async def _next_frame(self) -> int:
        """Wait until the next frame is due and give its number. Raises MediaStreamError once stopped."""
        number, wait_s = self.schedule.take(asyncio.get_running_loop().time())
        await asyncio.sleep(wait_s)
        if self.readyState != "live":
            raise MediaStreamError
        return number


class PictureTrack(_ScheduledTrack):
    """A scene at PICTURE_RATE, its clock showing what ``clock`` says."""

    kind = "video"

    def __init__(self, scene: Scene, clock: Callable[[], datetime]) -> None:
        super().__init__(Fraction(PICTURE_RATE))
        self._scene = scene
        self._clock = clock

    async def recv(self) -> av.VideoFrame:
        number = await self._next_frame()
        frame = await asyncio.to_thread(self._draw, number)
        frame.pts = number
        frame.time_base = Fraction(1, PICTURE_RATE)
        return frame

    def _draw(self, number: int) -> av.VideoFrame:
        picture = self._scene.draw(number / PICTURE_RATE, self._clock())
        planes: NDArray[np.uint8] = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).astype(np.uint8, copy=False)
        return av.VideoFrame.from_ndarray(planes, format="yuv420p")


class SpeechTrack(_ScheduledTrack):
    """``speech`` in a circle, 20 ms at a time."""

    kind = "audio"

    def __init__(self, speech: Speech) -> None:
        super().__init__(Fraction(SPEECH_RATE, SPEECH_FRAME))
        self._speech = speech

    async def recv(self) -> av.AudioFrame:
        number = await self._next_frame()
        first = number * SPEECH_FRAME
        samples = self._speech.take(range(first, first + SPEECH_FRAME), mode="wrap").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SPEECH_RATE
        frame.pts = first
        frame.time_base = Fraction(1, SPEECH_RATE)
        return frame


def read_speech() -> Speech:
    """Decode speech.ogg, which lies beside this file; it ends with a pause."""
    with av.open(str(Path(__file__).with_name("speech.ogg"))) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SPEECH_RATE)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16)
