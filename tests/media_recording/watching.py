"""Watching and hearing a finished recording: which coded frame is seen when, which burst is heard when."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.e2e.kit.picture_code import read_code
from tests.e2e.kit.tone_bursts import find_bursts
from tests.media_recording.publisher import PITCH_HZ, SOUND_RATE, SOURCE

Seen = list[tuple[float, int]]
"""(seconds from the recording's beginning, frame number)."""


def see(path: Path, stream: int = 0) -> Seen:
    """Decode every frame of a video stream and read its code; one that can't be decoded or read fails."""
    seen: Seen = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=stream):
            code = read_code(frame.to_ndarray(format="gray").astype(np.uint8, copy=False))
            assert code is not None, f"frame at {frame.time} s can't be read"
            assert code.source == SOURCE
            assert frame.time is not None
            seen.append((frame.time, code.frame))
    return seen


def hear(path: Path, stream: int = 0) -> list[float]:
    """When bursts begin, in seconds from the recording's beginning. What was not recorded is silence."""
    pieces: list[tuple[int, NDArray[np.float32]]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=stream):
            assert frame.time is not None
            assert frame.sample_rate == SOUND_RATE
            samples = frame.to_ndarray().astype(np.float32)
            pieces.append((round(frame.time * SOUND_RATE), samples.mean(axis=0)))
    sound = np.zeros(max(at + len(samples) for at, samples in pieces), np.float32)
    for at, samples in pieces:
        sound[at : at + len(samples)] = samples
    return [burst.start_s for burst in find_bursts(sound, SOUND_RATE, [PITCH_HZ])[PITCH_HZ]]


def picture_sizes(path: Path, stream: int = 0) -> list[tuple[int, int]]:
    """Each (width, height) of the decoded frames, as they change."""
    sizes: list[tuple[int, int]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=stream):
            if not sizes or sizes[-1] != (frame.width, frame.height):
                sizes.append((frame.width, frame.height))
    return sizes


def stream_names(path: Path) -> list[tuple[str, str]]:
    """(title, codec) of each stream."""
    with av.open(str(path)) as container:
        return [
            (each.metadata["title"], each.codec_context.codec.canonical_name) for each in container.streams
        ]
