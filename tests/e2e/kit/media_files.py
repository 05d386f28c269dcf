"""What an endpoint's camera and microphone give in a test: files that Chromium plays as its devices."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.e2e.kit.picture_code import Code, Grey, draw_code
from tests.e2e.kit.tone_bursts import make_bursts

WIDTH, HEIGHT = 640, 360
FRAMES_PER_SECOND = 10
SOUND_RATE = 48_000

PITCHES_HZ = (700.0, 1150.0, 1850.0)
"""By source. None is near a multiple of another, so that a distorted one isn't taken for the next."""
_PHASE_S = 0.31
"""Between the bursts of neighbouring sources."""
_CHROMA = ((118, 122), (140, 116), (112, 134))
"""By source: (U, V) of its picture, so that a person who watches a test can tell them apart."""


@dataclass(frozen=True, slots=True)
class Devices:
    """The files behind the camera and the microphone of the endpoint with the code ``source``."""

    source: int
    pitch_hz: float
    video: Path
    sound: Path


def write_devices(folder: Path, source: int, seconds: float) -> Devices:
    """Write a Y4M and a WAV file of ``seconds``; a test is to be over before they start anew."""
    video, sound = folder / f"camera-{source}.y4m", folder / f"microphone-{source}.wav"
    _write_video(video, source, round(seconds * FRAMES_PER_SECOND))
    _write_sound(sound, source, seconds)
    return Devices(source, PITCHES_HZ[source], video, sound)


def luma(source: int, frame: int) -> Grey:
    """The brightness of frame ``frame``: the code over bars that wander."""
    across = np.arange(WIDTH)[None, :] + np.arange(HEIGHT)[:, None]
    bars = (across + 3 * frame) % 160 < 80
    picture = np.where(bars, np.uint8(96 + 8 * source), np.uint8(128 + 8 * source)).astype(np.uint8)
    draw_code(picture, Code(source, frame))
    return picture


def _write_video(path: Path, source: int, frames: int) -> None:
    chroma = b"".join(bytes([value]) * (WIDTH * HEIGHT // 4) for value in _CHROMA[source])
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAMES_PER_SECOND}:1 Ip A1:1 C420\n".encode())
        for frame in range(frames):
            file.write(b"FRAME\n" + luma(source, frame).tobytes() + chroma)


def _write_sound(path: Path, source: int, seconds: float) -> None:
    sound = make_bursts(seconds, SOUND_RATE, PITCHES_HZ[source], source * _PHASE_S)
    samples: NDArray[np.int16] = (sound * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes(samples.tobytes())
