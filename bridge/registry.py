"""Which lessons are live in this process: lesson id -> running Classroom."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from datetime import datetime

from bridge.classroom import Classroom
from bridge.errors import ErrorCode, RefusedError
from bridge.inbox import Enter, Stop
from bridge.lessons import LessonStore, LessonUnknownError
from bridge.overview import Overview
from bridge.ports import OpenMedia, Outbox
from bridge.slots import LessonRules
from bridge.values import EndpointId, LessonId, LessonState, Pass

log = logging.getLogger(__name__)


class LiveLessons:
    """Makes a Classroom when the first endpoint needs it and forgets it when it closes."""

    def __init__(
        self,
        store: LessonStore,
        open_media: OpenMedia,
        *,
        rules: LessonRules,
        endpoints_per_lesson: int,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._open_media = open_media
        self._rules = rules
        self._limit = endpoints_per_lesson
        self._now = now
        self._running: dict[LessonId, Classroom] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._inbox_refused = 0
        self._inbox_dropped = 0

    async def enter(
        self, admitted: Pass, outbox: Outbox, request: int | None
    ) -> tuple[Classroom, EndpointId]:
        """Bring a connection into the Classroom of its pass, under a new endpoint id.

        The outbox gets the Welcome, or the refusal of a full lesson. Raises RefusedError:
        ``lesson-unknown``, ``lesson-ended``, ``server-stopping``, ``server-full``.
        """
        classroom = await self._classroom(admitted.lesson)
        endpoint = EndpointId(secrets.token_urlsafe(9))
        # No await since the Classroom was looked up: it can't have closed in between.
        classroom.post(Enter(endpoint, request, admitted, outbox))
        return classroom, endpoint

    async def _classroom(self, lesson_id: LessonId) -> Classroom:
        if lesson_id not in self._running:
            try:
                lesson = await self._store.get(lesson_id)
            except LessonUnknownError:
                raise RefusedError(ErrorCode.LESSON_UNKNOWN, "no such lesson here") from None
            if lesson.state is LessonState.ENDED:
                raise RefusedError(ErrorCode.LESSON_ENDED, "the lesson is over")
        if self._stopping:
            raise RefusedError(ErrorCode.SERVER_STOPPING, "the server stops; come back in a moment")
        # Looked up again: another endpoint may have come while the store answered.
        if lesson_id not in self._running:
            classroom = Classroom(
                lesson,
                store=self._store,
                open_media=self._open_media,
                rules=self._rules,
                limit=self._limit,
                now=self._now,
                on_closed=self._forget,
            )
            task = asyncio.create_task(classroom.run(), name=f"classroom {lesson_id}")
            self._tasks.add(task)
            task.add_done_callback(self._finished)
            self._running[lesson_id] = classroom
        return self._running[lesson_id]

    def _forget(self, classroom: Classroom) -> None:
        self._inbox_refused += classroom.inbox.refused
        self._inbox_dropped += classroom.inbox.dropped
        self._running.pop(classroom.lesson.id, None)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s ended by a fault", task.get_name(), exc_info=error)

    def overview(self) -> Overview:
        """What goes on at this moment."""
        running = tuple(self._running.values())
        return Overview(
            tuple(classroom.overview() for classroom in running),
            self._inbox_refused + sum(classroom.inbox.refused for classroom in running),
            self._inbox_dropped + sum(classroom.inbox.dropped for classroom in running),
        )

    async def stop(self) -> None:
        """Tell every endpoint ``server-stopping``, close every Classroom and wait for their tasks."""
        self._stopping = True
        for classroom in tuple(self._running.values()):
            classroom.post(Stop())
        if self._tasks:
            await asyncio.wait(self._tasks)
