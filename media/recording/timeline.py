"""When each frame was captured, on the wall clock that all files of a lesson share.

The engine's capture times lean on arrivals until the publisher's first sender reports have come (the
picture's after half a second or more, the voice's after two) and then move to the truth. Afterwards one
knows better: the first seconds of a run are put where its own timestamps and the truth at their end say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from media.recording.format import Head
from media.recording.frames import Frame

SETTLING_US = 5_000_000
MOST_SETTLING = 2_000
"""Frames that wait for the truth; more in five seconds is no picture and no voice."""
_MOST_CORRECTED_US = 2_000_000
"""A correction beyond this is no way's delay but a publisher's nonsense."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame and when it was captured, in microseconds since 1970."""

    at_us: int
    frame: Frame


def placed(frames: Iterable[Frame], head: Head) -> Iterator[Placed]:
    """Each frame once, in the order given; times of a run rise but for what a publisher's clock does."""
    waiting: list[Frame] = []
    run: int | None = None
    settled = False
    for frame in frames:
        if frame.run != run:
            yield from _settle(waiting, head)
            waiting, run, settled = [], frame.run, False
        if settled:
            yield Placed(head.zero_us + frame.captured_us, frame)
            continue
        waiting.append(frame)
        if frame.captured_us - waiting[0].captured_us >= SETTLING_US or len(waiting) >= MOST_SETTLING:
            yield from _settle(waiting, head)
            waiting, settled = [], True
    yield from _settle(waiting, head)


def _settle(waiting: list[Frame], head: Head) -> Iterator[Placed]:
    for frame in waiting:
        last = waiting[-1]
        before_us = (last.timestamp - frame.timestamp) * 1_000_000 // head.clock_rate
        at_us = last.captured_us - before_us
        if abs(at_us - frame.captured_us) > _MOST_CORRECTED_US:
            at_us = frame.captured_us
        yield Placed(head.zero_us + at_us, frame)
