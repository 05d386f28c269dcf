"""Which Classroom an endpoint gets: one for a lesson, a new one after it closed, none once it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.errors import ErrorCode, RefusedError
from bridge.inbox import Disconnected, Open
from bridge.lessons import new_lesson
from bridge.notices import Done, Refused, Welcome
from bridge.registry import LiveLessons
from bridge.slots import LessonRules
from bridge.values import EndpointId, LessonId, LessonState, Role
from tests.bridge.support import LESSON, NOON, KeepingOutbox, MemoryStore, RecordingMediaService, make_pass


class Registry:
    def __init__(self) -> None:
        self.store = MemoryStore({LESSON.id: LESSON})
        self.media = RecordingMediaService()
        self.lessons = LiveLessons(
            self.store, self.media.open, rules=LessonRules(), endpoints_per_lesson=10, now=lambda: NOON
        )

    async def refusal(self, lesson: LessonId) -> ErrorCode:
        with pytest.raises(RefusedError) as caught:
            await self.lessons.enter(make_pass(Role.HOME, "Vieremä", lesson=lesson), KeepingOutbox(), 1)
        return caught.value.code


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    made = Registry()
    yield made
    async with asyncio.timeout(1):
        await made.lessons.stop()


async def test_all_that_come_at_once_get_one_classroom_and_ids_of_their_own(registry: Registry) -> None:
    outboxes = [KeepingOutbox() for _ in range(5)]
    entered = await asyncio.gather(
        *(registry.lessons.enter(make_pass(Role.HOME, "Vieremä"), outbox, 1) for outbox in outboxes)
    )
    assert len({id(classroom) for classroom, _ in entered}) == 1
    assert len({connection for _, connection in entered}) == 5
    assert [lesson for lesson, _ in registry.media.opened] == [LESSON.id]
    for outbox, (_, connection) in zip(outboxes, entered, strict=True):
        assert (await outbox.wait_for(Welcome)).endpoint == EndpointId(connection)


async def test_lessons_do_not_share_a_classroom(registry: Registry) -> None:
    other = new_lesson("Filosofi", "FI2", NOON)
    await registry.store.add(other)
    one, _ = await registry.lessons.enter(make_pass(Role.HOME, "Vieremä"), KeepingOutbox(), 1)
    two, _ = await registry.lessons.enter(make_pass(Role.HOME, "x", lesson=other.id), KeepingOutbox(), 1)
    assert (one.lesson, two.lesson) == (LESSON, other)


async def test_a_lesson_that_everyone_left_comes_back_as_it_was(registry: Registry) -> None:
    outbox = KeepingOutbox()
    classroom, connection = await registry.lessons.enter(make_pass(Role.KIOSK, "Närpiö"), outbox, 1)
    classroom.post(Open(connection, 2))
    await outbox.wait_for(Done)
    classroom.post(Disconnected(connection, for_good=True))
    async with asyncio.timeout(1):
        await registry.media.last.has_closed.wait()
    again = KeepingOutbox()
    second, _ = await registry.lessons.enter(make_pass(Role.KIOSK, "Närpiö"), again, 1)
    assert second is not classroom
    assert (await again.wait_for(Welcome)).lesson.state is LessonState.LIVE
    assert len(registry.media.opened) == 2


async def test_a_lesson_unknown_or_over(registry: Registry) -> None:
    assert await registry.refusal(LessonId("nope")) is ErrorCode.LESSON_UNKNOWN
    await registry.store.set_state(LESSON.id, LessonState.ENDED, NOON)
    assert await registry.refusal(LESSON.id) is ErrorCode.LESSON_ENDED
    assert registry.media.opened == []


async def test_stopping_tells_all_and_lets_nobody_in(registry: Registry) -> None:
    outbox = KeepingOutbox()
    await registry.lessons.enter(make_pass(Role.HOME, "Vieremä"), outbox, 1)
    await registry.lessons.stop()
    assert isinstance(last := outbox.notices[-1], Refused)
    assert last.code is ErrorCode.SERVER_STOPPING
    assert registry.media.last.closed == 1
    assert await registry.refusal(LESSON.id) is ErrorCode.SERVER_STOPPING
