"""What one viewer saw and heard for some seconds, and the assertion that every lesson has to meet."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from tests.e2e.kit.browser import Shown
from tests.e2e.kit.media_files import FRAMES_PER_SECOND, PITCHES_HZ, SOUND_RATE
from tests.e2e.kit.picture_code import read_code
from tests.e2e.kit.tone_bursts import Sound, find_bursts

LOOKS = 25
EVERY_MS = 200
LISTEN_S = 6.0

_LEAST_CODES = 8
"""Of LOOKS: a picture that is read a third of the time is seen; the machine may be busy."""
_LEAST_RISE = 15
"""In frames, of 10 a second and 5 s of looking."""
_LEAST_BURSTS = 4
"""Of one a second."""


class Viewer(Protocol):
    """A browser, of any make."""

    async def look(self, series: int, every_ms: int = ...) -> list[Shown]: ...
    async def listen(self, seconds: float) -> Sound: ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """A frame that was recognised in a slot."""

    at_ms: float
    """POSIX time, milliseconds."""
    endpoint: str
    slot: int
    source: int
    frame: int


def sightings_in(shown: Iterable[Shown]) -> list[Sighting]:
    """Of every look at which a code could be read, in order."""
    return [
        Sighting(each.at_ms, each.endpoint, each.slot, code.source, code.frame)
        for each in shown
        if (code := read_code(each.grey)) is not None
    ]


def longest_still_s(seen: Sequence[Sighting]) -> float:
    """The longest that a picture stood still or could not be read, from the first sight of one frame to the
    first of the next. ``seen``: of one source, two frames or more."""
    changes = [seen[0].at_ms]
    changes += [now.at_ms for before, now in itertools.pairwise(seen) if now.frame != before.frame]
    assert len(changes) > 1, f"the picture never moved: {seen}"
    return max(after - before for before, after in itertools.pairwise(changes)) / 1000


def pace(seen: Sequence[Sighting]) -> float:
    """Seconds of the source for each second of looking: 1 where nothing is lost."""
    frames = seen[-1].frame - seen[0].frame
    return frames / FRAMES_PER_SECOND / ((seen[-1].at_ms - seen[0].at_ms) / 1000)


@dataclass(slots=True)
class Observation:
    """By the number of the source that was recognised."""

    frames: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Frame numbers in the order seen."""
    bursts: dict[int, int] = field(default_factory=dict)
    slots: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    """In which slots each source was seen."""
    endpoints: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """By the name that the page gives: whose pictures were seen under it."""
    sightings: dict[int, list[Sighting]] = field(default_factory=lambda: defaultdict(list))


async def observe(browser: Viewer) -> Observation:
    """Look and listen at the same time, for LISTEN_S or a little more."""
    shown, sound = await asyncio.gather(browser.look(LOOKS, EVERY_MS), browser.listen(LISTEN_S))
    seen = Observation()
    for each in sightings_in(shown):
        seen.frames[each.source].append(each.frame)
        seen.slots[each.source].add(each.slot)
        seen.endpoints[each.endpoint].add(each.source)
        seen.sightings[each.source].append(each)
    found = find_bursts(sound, SOUND_RATE, PITCHES_HZ)
    seen.bursts = {source: len(found[pitch]) for source, pitch in enumerate(PITCHES_HZ)}
    return seen


def assert_sees_and_hears_the_others(me: int, everyone: Set[int], seen: Observation) -> None:
    """``me`` sees and hears each of ``everyone`` but itself. Raises AssertionError with what is wrong."""
    for other in sorted(everyone - {me}):
        frames = seen.frames.get(other, [])
        assert len(frames) >= _LEAST_CODES, f"source {me} hardly saw source {other}: {frames}"
        assert frames == sorted(frames), f"source {me} saw source {other} go back: {frames}"
        assert frames[-1] - frames[0] >= _LEAST_RISE, f"source {me} saw source {other} stand still: {frames}"
        assert seen.bursts[other] >= _LEAST_BURSTS, f"source {me} hardly heard source {other}: {seen.bursts}"
    assert seen.bursts[me] == 0, f"source {me} heard its own sound: {seen.bursts}"
    assert me not in seen.frames, f"source {me} was sent its own picture: {dict(seen.slots)}"
    strangers = set(seen.frames) - everyone
    assert not strangers, f"source {me} saw what nobody sent: {strangers}"
    for other in everyone - {me}:
        assert len(seen.slots[other]) == 1, f"source {other} moved between slots: {seen.slots[other]}"
    for endpoint, sources in seen.endpoints.items():
        assert len(sources) == 1, f"under {endpoint} were seen {sources}"
