"""Stand-ins at the Classroom's seams: media that records, an outbox that keeps, a store in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from bridge.lessons import Lesson, LessonUnknownError
from bridge.notices import Notice
from bridge.ports import Admission, MediaEvent, MediaRefusedError
from bridge.values import (
    GRANTS,
    EndpointId,
    Grant,
    LessonId,
    LessonState,
    Offer,
    OfferedSlot,
    OfferedSource,
    Pass,
    Role,
    SourceKind,
    SourceRef,
)

N = TypeVar("N")

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LESSON = Lesson(LessonId("abc"), "Nyheter och medier", "RUB14", LessonState.WAITING, NOON)

PATIENCE_S = 10.0
"""How long a test waits for what should come at once."""

Route = tuple[EndpointId, int, SourceRef | None, SourceRef | None]


@dataclass
class RecordingMedia:
    """A MediaPort that accepts every offer as it is; ``failing`` names the calls that raise."""

    sink: Callable[[MediaEvent], None]
    record: bool = False
    admitted: list[EndpointId] = field(default_factory=list)
    restarted: list[EndpointId] = field(default_factory=list)
    dismissed: list[EndpointId] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    closed: int = 0
    has_closed: asyncio.Event = field(default_factory=asyncio.Event)
    failing: dict[str, Exception] = field(default_factory=dict)

    def admit(self, endpoint: EndpointId, offer: Offer, grant: Grant) -> Admission:
        self._fail("admit")
        if offer.sdp == "garbage":
            raise MediaRefusedError("sdp-invalid", "the offer can't be parsed")
        if offer.sdp == "without opus":
            raise MediaRefusedError("sdp-unsupported", "no Opus")
        self.admitted.append(endpoint)
        return Admission(
            f"answer to {offer.sdp}",
            frozenset(source.kind for source in offer.sources),
            tuple(slot.index for slot in offer.slots),
        )

    def restart(self, endpoint: EndpointId, sdp: str) -> str:
        self._fail("restart")
        if endpoint not in self.admitted or sdp == "garbage":
            raise MediaRefusedError("sdp-invalid", "the offer can't be parsed")
        self.restarted.append(endpoint)
        return f"answer to {sdp}"

    def route(
        self, endpoint: EndpointId, slot: int, picture: SourceRef | None, voice: SourceRef | None
    ) -> None:
        self._fail("route")
        self.routes.append((endpoint, slot, picture, voice))

    def dismiss(self, endpoint: EndpointId) -> None:
        self.dismissed.append(endpoint)
        self._fail("dismiss")

    def close(self) -> None:
        self.closed += 1
        self.has_closed.set()
        self._fail("close")

    def playing(self, endpoint: EndpointId) -> dict[int, tuple[SourceRef | None, SourceRef | None]]:
        """What was routed last to each slot of an endpoint."""
        return {slot: (picture, voice) for to, slot, picture, voice in self.routes if to == endpoint}

    def _fail(self, call: str) -> None:
        if call in self.failing:
            raise self.failing[call]


@dataclass
class RecordingMediaService:
    """Opens RecordingMedia, one for each lesson that becomes live here."""

    make: type[RecordingMedia] = RecordingMedia
    opened: list[tuple[LessonId, RecordingMedia]] = field(default_factory=list)
    stopped: int = 0
    counters: dict[str, Any] | Exception = field(
        default_factory=lambda: {"shards": [], "io": {}, "troubles": {}, "lessons": {}}
    )

    def open(
        self, lesson: LessonId, sink: Callable[[MediaEvent], None], *, record: bool = False
    ) -> RecordingMedia:
        media = self.make(sink, record)
        self.opened.append((lesson, media))
        return media

    async def statistics(self) -> dict[str, Any]:
        if isinstance(self.counters, Exception):
            raise self.counters
        return self.counters

    async def sync_recordings(self) -> None:
        """Nothing is recorded here."""

    async def stop(self) -> None:
        self.stopped += 1

    @property
    def last(self) -> RecordingMedia:
        return self.opened[-1][1]


class KeepingOutbox:
    """Keeps every notice; ``wait_for`` gives the next one of a type that was not taken yet."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self._taken = 0
        self._posted = asyncio.Event()

    def post(self, notice: Notice) -> None:
        self.notices.append(notice)
        self._posted.set()

    async def wait_for(self, kind: type[N]) -> N:
        """Skips what is of another type. Raises TimeoutError after PATIENCE_S."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while self._taken < len(self.notices):
                    notice = self.notices[self._taken]
                    self._taken += 1
                    if isinstance(notice, kind):
                        return notice
                self._posted.clear()
                await self._posted.wait()

    def all_of(self, kind: type[N]) -> list[N]:
        return [notice for notice in self.notices if isinstance(notice, kind)]


@dataclass
class MemoryStore:
    """A LessonStore that forgets at the end of the test."""

    lessons: dict[LessonId, Lesson]
    failing: Exception | None = None
    asked: list[set[LessonId]] = field(default_factory=list)
    """What ``get_all`` was asked for."""

    async def add(self, lesson: Lesson) -> None:
        self.lessons[lesson.id] = lesson

    async def get(self, lesson: LessonId) -> Lesson:
        # The real one awaits here, and others get their turn.
        await asyncio.sleep(0)
        if lesson not in self.lessons:
            raise LessonUnknownError(lesson)
        return self.lessons[lesson]

    async def get_all(self, lessons: Collection[LessonId]) -> tuple[Lesson, ...]:
        await asyncio.sleep(0)
        self.asked.append(set(lessons))
        if self.failing is not None:
            raise self.failing
        return tuple(lesson for key, lesson in self.lessons.items() if key in lessons)

    async def list(self) -> tuple[Lesson, ...]:
        return tuple(self.lessons.values())

    async def set_state(self, lesson: LessonId, state: LessonState, at: datetime) -> Lesson:
        if self.failing is not None:
            raise self.failing
        self.lessons[lesson] = (await self.get(lesson)).moved(state, at)
        return self.lessons[lesson]


async def eventually(holds: Callable[[], bool]) -> None:
    """Returns when it holds. Raises TimeoutError after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


_serial = itertools.count()


def make_pass(role: Role, site: str, room: str | None = None, lesson: LessonId = LESSON.id) -> Pass:
    return Pass(f"token-{next(_serial)}", lesson, role, site, room, NOON.timestamp() + 3600)


def make_offer(role: Role, sdp: str = "offer") -> Offer:
    """Everything that the role's grant allows."""
    grant = GRANTS[role]
    pairs, voices = grant.slots.pairs, grant.slots.voices
    sources = tuple(OfferedSource(kind, f"s-{kind}") for kind in SourceKind if kind in grant.publish)
    slots = tuple(OfferedSlot(i, f"p{i}" if i < pairs else None, f"v{i}") for i in range(pairs + voices))
    return Offer(sdp, sources, slots)
