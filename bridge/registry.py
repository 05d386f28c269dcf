"""Which lessons are live in this process: lesson id -> running Classroom."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from datetime import datetime

from bridge.classroom import Classroom
from bridge.errors import ErrorCode, RefusedError
from bridge.inbox import ChangedElsewhere, Disconnected, Enter, Resume, Stop
from bridge.lessons import Lesson, LessonStore, LessonUnknownError
from bridge.overview import Overview
from bridge.ports import IceServers, OpenMedia, Outbox, RecordingPort
from bridge.slots import LessonRules
from bridge.values import ConnectionId, Contact, LessonId, LessonState, Pass

log = logging.getLogger(__name__)

WATCH_S = 0.5
"""Between two looks at the store: a lesson that is ended there ends here within a second."""
UNFINISHED_LIMIT = 1000
"""Recorded lessons that everyone left and nobody ended; one question to the store asks for them all."""


class LiveLessons:
    """Makes a Classroom when the first endpoint needs it and forgets it when it closes.

    What another process does to a lesson in the store, the Classroom is told. ``recordings`` hears of each
    recorded lesson once it has ended and its media is closed here.
    """

    def __init__(
        self,
        store: LessonStore,
        open_media: OpenMedia,
        *,
        rules: LessonRules,
        endpoints_per_lesson: int,
        now: Callable[[], datetime],
        resumable_s: float = 30.0,
        ice_servers: IceServers | None = None,
        contact: Contact | None = None,
        recordings: RecordingPort | None = None,
    ) -> None:
        """``resumable_s``: how long the place of an endpoint is kept whose connection was cut, seconds."""
        self._store = store
        self._open_media = open_media
        self._rules = rules
        self._limit = endpoints_per_lesson
        self._now = now
        self._resumable_s = resumable_s
        self._ice_servers = ice_servers
        self._contact = contact
        self._recordings = recordings
        self._running: dict[LessonId, Classroom] = {}
        self._unfinished: dict[LessonId, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._stopping = False
        self._inbox_refused = 0
        self._inbox_dropped = 0

    async def enter(
        self, admitted: Pass, outbox: Outbox, request: int | None, replaces: str | None = None
    ) -> tuple[Classroom, ConnectionId]:
        """Bring a connection into the Classroom of its pass, as a new endpoint.

        ``replaces``: the secret of an endpoint that is let go for it. The outbox gets the Welcome, or the
        refusal of a full lesson. Raises RefusedError: ``lesson-unknown``, ``lesson-ended``,
        ``server-stopping``, ``server-full``.
        """
        lesson = await self._lesson_to_enter(admitted.lesson)
        classroom = self._classroom(lesson)
        connection = _new_connection()
        # No await since the Classroom was looked up: it can't have closed in between.
        classroom.post(Enter(connection, request, admitted, outbox, replaces))
        return classroom, connection

    async def resume(
        self, admitted: Pass, outbox: Outbox, request: int | None, secret: str
    ) -> tuple[Classroom, ConnectionId]:
        """Let the endpoint of this secret go on over a new connection, whose outbox has the Resumed then.

        Raises RefusedError: as ``enter``, and ``resume-failed``.
        """
        lesson = await self._lesson_to_enter(admitted.lesson)
        classroom = self._running.get(lesson.id)
        if classroom is None:
            raise RefusedError(ErrorCode.RESUME_FAILED, "no place is kept in this lesson")
        connection = _new_connection()
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        classroom.post(Resume(connection, request, admitted, outbox, secret, outcome))
        try:
            await outcome
        except asyncio.CancelledError:
            # It may be in already, and nobody else knows of this connection.
            classroom.post(Disconnected(connection))
            raise
        return classroom, connection

    def take_up(self, lesson: LessonId) -> None:
        """A recorded lesson that goes on since before this start: finish its recording when it is ended,
        though nobody may enter it again."""
        if lesson not in self._running:
            self._await_end(lesson)
            self._watch_the_store()

    async def stop(self) -> None:
        """Tell every endpoint ``server-stopping``, close every Classroom and wait for their tasks."""
        self._stopping = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        for classroom in tuple(self._running.values()):
            classroom.post(Stop())
        if self._tasks:
            await asyncio.wait(self._tasks)

    def overview(self) -> Overview:
        """What goes on at this moment."""
        running = tuple(self._running.values())
        return Overview(
            tuple(classroom.overview() for classroom in running),
            self._inbox_refused + sum(classroom.inbox.refused for classroom in running),
            self._inbox_dropped + sum(classroom.inbox.dropped for classroom in running),
        )

    # Classrooms

    async def _lesson_to_enter(self, lesson_id: LessonId) -> Lesson:
        running = self._running.get(lesson_id)
        try:
            lesson = await self._store.get(lesson_id) if running is None else running.lesson
        except LessonUnknownError:
            raise RefusedError(ErrorCode.LESSON_UNKNOWN, "no such lesson here") from None
        if lesson.state is LessonState.ENDED:
            raise RefusedError(ErrorCode.LESSON_ENDED, "the lesson is over")
        if self._stopping:
            raise RefusedError(ErrorCode.SERVER_STOPPING, "the server stops; come back in a moment")
        return lesson

    def _classroom(self, lesson: Lesson) -> Classroom:
        # Another endpoint may have come while the store answered.
        if lesson.id not in self._running:
            classroom = Classroom(
                lesson,
                store=self._store,
                open_media=self._open_media,
                rules=self._rules,
                limit=self._limit,
                now=self._now,
                on_closed=self._forget,
                resumable_s=self._resumable_s,
                ice_servers=self._ice_servers,
                contact=self._contact,
            )
            task = asyncio.create_task(classroom.run(), name=f"classroom {lesson.id}")
            self._tasks.add(task)
            task.add_done_callback(self._finished)
            self._running[lesson.id] = classroom
            self._unfinished.pop(lesson.id, None)
            self._watch_the_store()
        return self._running[lesson.id]

    def _watch_the_store(self) -> None:
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="watch of the store")

    def _forget(self, classroom: Classroom) -> None:
        """Called when it has closed, its media too."""
        self._inbox_refused += classroom.inbox.refused
        self._inbox_dropped += classroom.inbox.dropped
        lesson = classroom.lesson
        self._inbox_refused += classroom.inbox.refused
        self._inbox_dropped += classroom.inbox.dropped
        self._running.pop(lesson.id, None)
        if not lesson.record or self._recordings is None:
            return
        if lesson.state is LessonState.ENDED:
            self._finish_recording(lesson.id)
            return
        self._await_end(lesson.id)

    def _await_end(self, lesson: LessonId) -> None:
        self._unfinished[lesson] = None
        if len(self._unfinished) > UNFINISHED_LIMIT:
            oldest = next(iter(self._unfinished))
            del self._unfinished[oldest]
            log.warning("lesson %s: its end is no longer waited for to finish its recording", oldest)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s ended by a fault", task.get_name(), exc_info=error)

    def _finish_recording(self, lesson: LessonId) -> None:
        self._unfinished.pop(lesson, None)
        if self._recordings is None:
            return
        try:
            self._recordings.finish(lesson)
        except Exception:
            log.exception("lesson %s: its recording was not finished", lesson)

    # What the store says

    async def _watch(self) -> None:
        """One question each WATCH_S for all lessons; an outage of the store is logged once."""
        failing = False
        told: dict[LessonId, LessonState] = {}
        while True:
            await asyncio.sleep(WATCH_S)
            asked = [*self._running, *self._unfinished]
            told = {lesson: state for lesson, state in told.items() if lesson in self._running}
            if not asked:
                continue
            try:
                found = await self._store.get_all(asked)
            except Exception:
                if not failing:
                    log.exception("the store can't be watched; trying again")
                failing = True
                continue
            failing = False
            for lesson in found:
                self._obey(lesson, told)

    def _obey(self, lesson: Lesson, told: dict[LessonId, LessonState]) -> None:
        classroom = self._running.get(lesson.id)
        if classroom is None:
            if lesson.state is LessonState.ENDED and lesson.id in self._unfinished:
                self._finish_recording(lesson.id)
        # Said once: a Classroom that has much to do is not told again and again.
        elif classroom.lesson.comes_before(lesson) and told.get(lesson.id) is not lesson.state:
            told[lesson.id] = lesson.state
            classroom.post(ChangedElsewhere(lesson))


def _new_connection() -> ConnectionId:
    return ConnectionId(secrets.token_urlsafe(9))
