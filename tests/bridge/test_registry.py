"""Which Classroom an endpoint gets: one for a lesson, a new one after it closed, none once it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.errors import ErrorCode, RefusedError, SetupError
from bridge.inbox import Disconnected, End, Open, PlaceExpired
from bridge.lessons import Lesson, new_lesson
from bridge.notices import Done, Farewell, LessonChanged, Reason, Refused, Resumed, Welcome
from bridge.registry import WATCH_S, LiveLessons
from bridge.slots import LessonRules
from bridge.values import EndpointId, LessonId, LessonState, RecordingState, Role
from tests.bridge.support import (
    LESSON,
    NOON,
    PATIENCE_S,
    KeepingOutbox,
    MemoryStore,
    RecordingMediaService,
    eventually,
    make_pass,
)


class KeepingRecordings:
    """A RecordingPort that keeps what was finished, and how many lessons' media were closed by then."""

    def __init__(self, media: RecordingMediaService) -> None:
        self.finished: list[tuple[LessonId, int]] = []
        self.failing = False
        self._media = media

    def finish(self, lesson: LessonId) -> None:
        self.finished.append((lesson, sum(media.closed for _, media in self._media.opened)))
        if self.failing:
            raise OSError("no process can be started")


class Registry:
    def __init__(self) -> None:
        self.store = MemoryStore({LESSON.id: LESSON})
        self.media = RecordingMediaService()
        self.recordings = KeepingRecordings(self.media)
        self.lessons = LiveLessons(
            self.store,
            self.media.open,
            rules=LessonRules(),
            endpoints_per_lesson=10,
            now=lambda: NOON,
            recordings=self.recordings,
        )

    async def recorded(self) -> Lesson:
        lesson = new_lesson("Nyheter och medier", "RUB14", NOON, record=True, live=True)
        await self.store.add(lesson)
        return lesson

    async def refusal(self, lesson: LessonId) -> ErrorCode:
        with pytest.raises(RefusedError) as caught:
            await self.lessons.enter(make_pass(Role.HOME, "Vieremä", lesson=lesson), KeepingOutbox(), 1)
        return caught.value.code


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    made = Registry()
    yield made
    async with asyncio.timeout(PATIENCE_S):
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
    async with asyncio.timeout(PATIENCE_S):
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


# What another process does to a lesson


async def test_a_lesson_that_is_ended_elsewhere_ends_here_within_a_second(registry: Registry) -> None:
    outbox = KeepingOutbox()
    await registry.lessons.enter(make_pass(Role.HOME, "Vieremä"), outbox, 1)
    await outbox.wait_for(Welcome)
    await registry.store.set_state(LESSON.id, LessonState.ENDED, NOON)
    asked = len(registry.store.asked)
    assert (await outbox.wait_for(LessonChanged)).lesson.state is LessonState.ENDED
    assert await outbox.wait_for(Farewell) == Farewell(Reason.LESSON_ENDED)
    assert len(registry.store.asked) <= asked + 2
    assert WATCH_S <= 0.5, "so two of them are a second"
    assert registry.media.last.closed == 1
    assert await registry.refusal(LESSON.id) is ErrorCode.LESSON_ENDED


async def test_a_lesson_that_is_opened_elsewhere_opens_here(registry: Registry) -> None:
    outbox = KeepingOutbox()
    await registry.lessons.enter(make_pass(Role.HOME, "Vieremä"), outbox, 1)
    await registry.store.set_state(LESSON.id, LessonState.LIVE, NOON)
    assert (await outbox.wait_for(LessonChanged)).lesson.state is LessonState.LIVE
    await asyncio.sleep(2 * WATCH_S)
    assert len(outbox.all_of(LessonChanged)) == 1, "said once"


async def test_all_lessons_are_watched_by_one_question(registry: Registry) -> None:
    other = new_lesson("Filosofi", "FI2", NOON)
    await registry.store.add(other)
    for lesson in (LESSON.id, other.id):
        await registry.lessons.enter(make_pass(Role.HOME, "Vieremä", lesson=lesson), KeepingOutbox(), 1)
    before = len(registry.store.asked)
    await eventually(lambda: len(registry.store.asked) >= before + 2)
    assert all(asked == {LESSON.id, other.id} for asked in registry.store.asked[before:])


async def test_a_store_that_fails_for_a_while_is_said_once_and_watched_on(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = KeepingOutbox()
    await registry.lessons.enter(make_pass(Role.HOME, "Vieremä"), outbox, 1)
    registry.store.failing = SetupError("storage-unreachable", "disk I/O error")
    asked = len(registry.store.asked)
    await eventually(lambda: len(registry.store.asked) >= asked + 3)
    assert [r.levelname for r in caplog.records].count("ERROR") == 1
    registry.store.failing = None
    await registry.store.set_state(LESSON.id, LessonState.ENDED, NOON)
    await outbox.wait_for(Farewell)


# Recordings


async def test_a_recorded_lesson_is_finished_when_it_has_ended_and_its_media_is_closed(
    registry: Registry,
) -> None:
    lesson = await registry.recorded()
    outbox = KeepingOutbox()
    admitted = make_pass(Role.KIOSK, "Närpiö", lesson=lesson.id)
    classroom, connection = await registry.lessons.enter(admitted, outbox, 1)
    assert (await outbox.wait_for(Welcome)).recording is RecordingState.ON
    assert registry.media.last.record
    classroom.post(End(connection, 2))
    await outbox.wait_for(Farewell)
    assert registry.recordings.finished == [(lesson.id, 1)]


async def test_a_recorded_lesson_that_everyone_left_is_finished_when_it_is_ended(registry: Registry) -> None:
    lesson = await registry.recorded()
    admitted = make_pass(Role.KIOSK, "Närpiö", lesson=lesson.id)
    classroom, connection = await registry.lessons.enter(admitted, KeepingOutbox(), 1)
    classroom.post(Disconnected(connection, for_good=True))
    async with asyncio.timeout(PATIENCE_S):
        await registry.media.last.has_closed.wait()
    assert registry.recordings.finished == [], "it may go on"
    await registry.store.set_state(lesson.id, LessonState.ENDED, NOON)
    await eventually(lambda: bool(registry.recordings.finished))
    await asyncio.sleep(2 * WATCH_S)
    assert registry.recordings.finished == [(lesson.id, 1)], "once"


async def test_a_recorded_lesson_from_before_this_start_is_finished_though_nobody_enters_it(
    registry: Registry,
) -> None:
    lesson = await registry.recorded()
    registry.lessons.take_up(lesson.id)
    await asyncio.sleep(2 * WATCH_S)
    assert registry.recordings.finished == [], "it may go on"
    await registry.store.set_state(lesson.id, LessonState.ENDED, NOON)
    await eventually(lambda: bool(registry.recordings.finished))


async def test_other_lessons_are_not_recorded(registry: Registry) -> None:
    outbox = KeepingOutbox()
    classroom, connection = await registry.lessons.enter(make_pass(Role.KIOSK, "Närpiö"), outbox, 1)
    assert (await outbox.wait_for(Welcome)).recording is RecordingState.OFF
    assert not registry.media.last.record
    classroom.post(End(connection, 2))
    await outbox.wait_for(Farewell)
    assert registry.recordings.finished == []


async def test_a_recording_that_can_t_be_finished_is_logged_and_no_more(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    lesson = await registry.recorded()
    registry.recordings.failing = True
    outbox = KeepingOutbox()
    admitted = make_pass(Role.KIOSK, "Närpiö", lesson=lesson.id)
    classroom, connection = await registry.lessons.enter(admitted, outbox, 1)
    classroom.post(End(connection, 2))
    await outbox.wait_for(Farewell)
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
        f"lesson {lesson.id}: its recording was not finished"
    ]


# Coming back


async def test_coming_back_to_a_lesson_that_does_not_run_here(registry: Registry) -> None:
    for lesson, code in (
        (LESSON.id, ErrorCode.RESUME_FAILED),
        (LessonId("nope"), ErrorCode.LESSON_UNKNOWN),
    ):
        with pytest.raises(RefusedError) as caught:
            await registry.lessons.resume(
                make_pass(Role.HOME, "Vieremä", lesson=lesson), KeepingOutbox(), 1, "x" * 43
            )
        assert caught.value.code is code
    assert registry.media.opened == [], "and none is started for it"


async def test_a_connection_that_dies_while_it_comes_back_leaves_no_endpoint_without_one(
    registry: Registry,
) -> None:
    admitted = make_pass(Role.HOME, "Vieremä")
    outbox = KeepingOutbox()
    classroom, connection = await registry.lessons.enter(admitted, outbox, 1)
    secret = (await outbox.wait_for(Welcome)).return_ticket.secret
    dying = KeepingOutbox()
    task = asyncio.create_task(registry.lessons.resume(admitted, dying, 2, secret))
    await dying.wait_for(Resumed)
    task.cancel()
    await asyncio.wait({task})
    classroom.post(PlaceExpired(connection))
    back = KeepingOutbox()
    await registry.lessons.resume(admitted, back, 3, secret)
    assert (await back.wait_for(Resumed)).endpoint == EndpointId(connection)
    assert dying.all_of(Refused) == [], "it was cut, not replaced"
