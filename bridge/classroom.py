"""The live Classroom: one task that owns one lesson while endpoints are in it (D6).

    connections --post--> Inbox --> Classroom --post--> outboxes
    media events --post--^             |
                                       +--> MediaPort (admit, route, dismiss)

Everything that changes a lesson is a message, handled one at a time by the handler of its type, so there are
no locks. Changes of members and slots are published when the inbox is empty or after BATCH messages: a burst
of joins costs one plan for each endpoint, not one for each pair of endpoints.

A Classroom closes, and its media with it, when the lesson ends, when the server stops, or when the last
endpoint has gone; then ``on_closed`` is called, in the same step. The state of the lesson is in the store by
then, and a later endpoint gets a new Classroom.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from bridge.attendance import Attendance
from bridge.errors import ErrorCode, RefusedError
from bridge.inbox import (
    Disconnected,
    End,
    Enter,
    Inbox,
    Join,
    Leave,
    MediaHappened,
    Message,
    Open,
    Request,
    SnapshotWanted,
    SourceSwitched,
    Stop,
)
from bridge.joining import check_offer
from bridge.lessons import IllegalTransitionError, Lesson, LessonStore
from bridge.members import Member, member_of
from bridge.notices import (
    Done,
    Farewell,
    Joined,
    LessonChanged,
    MembersChanged,
    Reason,
    Refused,
    SlotsChanged,
    Snapshot,
    Welcome,
)
from bridge.overview import LessonOverview, overview_of
from bridge.ports import MediaLost, MediaRefusedError, OpenMedia
from bridge.slots import LessonRules, Roster, assign
from bridge.values import EndpointId, LessonState, SlotPlay

log = logging.getLogger(__name__)

BATCH = 32
"""Messages handled before changes are published, so that a stream of messages can't hold them back."""


class Classroom:
    """One live lesson. ``post`` is the only way in; ``run`` is the task."""

    def __init__(
        self,
        lesson: Lesson,
        *,
        store: LessonStore,
        open_media: OpenMedia,
        rules: LessonRules,
        limit: int,
        now: Callable[[], datetime],
        on_closed: Callable[[Classroom], None],
    ) -> None:
        """``limit``: endpoints let in at once. ``now`` gives UTC."""
        self._lesson = lesson
        self._store = store
        self._rules = rules
        self._limit = limit
        self._now = now
        self._on_closed = on_closed
        self._inbox = Inbox()
        self._media = open_media(lesson.id, lambda event: self.post(MediaHappened(event)))
        self._present: dict[EndpointId, Attendance] = {}
        self._changed: dict[EndpointId, None] = {}
        self._gone: list[EndpointId] = []
        self._revision = 0
        self._closed = False
        self._handlers: dict[type[Message], Callable[[Any], Awaitable[None]]] = {
            Enter: self._enter,
            Open: self._open,
            Join: self._join,
            SourceSwitched: self._switch_source,
            End: self._end,
            Leave: self._leave,
            Disconnected: self._disconnected,
            SnapshotWanted: self._snapshot_wanted,
            MediaHappened: self._media_happened,
            Stop: self._stop,
        }

    @property
    def lesson(self) -> Lesson:
        return self._lesson

    @property
    def inbox(self) -> Inbox:
        """For its counters."""
        return self._inbox

    def overview(self) -> LessonOverview:
        """What goes on in it at this moment, without what people call themselves."""
        endpoints = tuple(overview_of(attendance) for attendance in self._present.values())
        return LessonOverview(self._lesson.id, self._lesson.state, self._revision, endpoints)

    def post(self, message: Message) -> None:
        """Put a message in the inbox, from the event loop's thread. Raises RefusedError when it is full.

        A no-op once the Classroom is closed: everyone in it has been told.
        """
        if not self._closed:
            self._inbox.put(message)

    async def run(self) -> None:
        """Handle messages until the Classroom closes."""
        try:
            handled = 0
            while not self._closed:
                await self._handle(await self._inbox.get())
                handled += 1
                if self._inbox.empty() or handled % BATCH == 0:
                    self._publish()
                    self._close_when_deserted()
                # A negotiation takes milliseconds; others on the loop get their turn between two.
                await asyncio.sleep(0)
        finally:
            self._close(ErrorCode.INTERNAL)

    # Handling

    async def _handle(self, message: Message) -> None:
        """Every message ends in an answer or in one log line; no error ends the task."""
        try:
            await self._handlers[type(message)](message)
        except RefusedError as refused:
            if isinstance(message, Request):
                self._refuse(message.endpoint, message.request, refused.code, refused.text)
        except Exception:
            self._fault(message)

    def _fault(self, message: Message) -> None:
        """To be called where an exception is handled."""
        endpoint = None if isinstance(message, Stop) else message.endpoint
        kind = type(message).__name__
        log.exception("lesson %s endpoint %s: %s failed", self._lesson.id, endpoint, kind)
        if endpoint is not None:
            request = message.request if isinstance(message, Request) else None
            self._refuse(endpoint, request, ErrorCode.INTERNAL, "a fault of the server")

    def _refuse(self, endpoint: EndpointId, request: int | None, code: ErrorCode, text: str) -> None:
        attendance = self._present.get(endpoint)
        if attendance is None:
            return
        attendance.outbox.post(Refused(request, code, text))
        if code.fatal:
            self._remove(endpoint)

    def _attendance(self, message: Request) -> Attendance:
        """Who sent it. Raises RefusedError for one that was removed while its message waited."""
        try:
            return self._present[message.endpoint]
        except KeyError:
            raise RefusedError(ErrorCode.NOT_JOINED, "no longer in the lesson") from None

    async def _enter(self, message: Enter) -> None:
        if len(self._present) >= self._limit:
            text = f"the lesson has its {self._limit} endpoints"
            message.outbox.post(Refused(message.request, ErrorCode.LESSON_FULL, text))
            return
        self._present[message.endpoint] = Attendance(message.endpoint, message.admitted, message.outbox)
        log.info(
            "lesson %s endpoint %s: in, role %s", self._lesson.id, message.endpoint, message.admitted.role
        )
        message.outbox.post(Welcome(message.request, message.endpoint, message.admitted, self._lesson))

    async def _open(self, message: Open) -> None:
        attendance = self._attendance(message)
        if not attendance.grant.may_open:
            raise RefusedError(ErrorCode.NOT_GRANTED, "may not open the lesson")
        if self._lesson.state is not LessonState.LIVE:
            await self._move_to(LessonState.LIVE)
        attendance.outbox.post(Done(message.request))

    async def _join(self, message: Join) -> None:
        attendance = self._attendance(message)
        if attendance.member is not None:
            raise RefusedError(ErrorCode.ALREADY_JOINED, "an endpoint joins once")
        if self._lesson.state is not LessonState.LIVE:
            raise RefusedError(ErrorCode.LESSON_NOT_OPEN, "the teacher has not opened the lesson yet")
        check_offer(message.offer, attendance.grant)
        try:
            admission = self._media.admit(message.endpoint, message.offer, attendance.grant)
        except MediaRefusedError as refused:
            raise RefusedError(ErrorCode(refused.code), refused.text) from refused
        attendance.member = member_of(
            message.endpoint,
            attendance.admitted,
            label=message.label,
            headcount=message.headcount,
            sources=admission.sources,
            slots=admission.slots,
        )
        attendance.join_answer = (message.request, admission.answer)
        # Last in the order of joining, however early it was let in.
        self._present[message.endpoint] = self._present.pop(message.endpoint)
        self._changed[message.endpoint] = None

    async def _switch_source(self, message: SourceSwitched) -> None:
        attendance, member = self._joined(message)
        if not member.publishes(message.kind):
            raise RefusedError(ErrorCode.NOT_GRANTED, f"{message.kind} is not published")
        if member.plays(message.kind) is not message.on:
            attendance.member = member.switched(message.kind, message.on)
            self._changed[message.endpoint] = None
        attendance.outbox.post(Done(message.request))

    async def _end(self, message: End) -> None:
        attendance = self._attendance(message)
        if not attendance.grant.may_end:
            raise RefusedError(ErrorCode.NOT_GRANTED, "may not end the lesson")
        await self._move_to(LessonState.ENDED)
        attendance.outbox.post(Done(message.request))
        self._close(ErrorCode.LESSON_ENDED)

    async def _leave(self, message: Leave) -> None:
        attendance = self._attendance(message)
        attendance.outbox.post(Done(message.request))
        attendance.outbox.post(Farewell(Reason.LEFT))
        self._remove(message.endpoint)

    async def _disconnected(self, message: Disconnected) -> None:
        self._remove(message.endpoint)

    async def _snapshot_wanted(self, message: SnapshotWanted) -> None:
        attendance = self._present.get(message.endpoint)
        if attendance is not None:
            # What is still unpublished must be in it, or the news of it would carry the same revision.
            self._publish()
            attendance.outbox.post(self._snapshot(attendance))

    async def _media_happened(self, message: MediaHappened) -> None:
        event = message.event
        if isinstance(event, MediaLost):
            if event.endpoint in self._present:
                log.info(
                    "lesson %s endpoint %s: media lost, %s", self._lesson.id, event.endpoint, event.reason
                )
            self._refuse(event.endpoint, None, ErrorCode.MEDIA_FAILED, event.reason)
        else:
            log.debug("lesson %s: %s", self._lesson.id, event)

    async def _stop(self, _message: Stop) -> None:
        self._close(ErrorCode.SERVER_STOPPING)

    # State

    def _joined(self, message: Request) -> tuple[Attendance, Member]:
        attendance = self._attendance(message)
        if attendance.member is None:
            raise RefusedError(ErrorCode.NOT_JOINED, "join first")
        return attendance, attendance.member

    async def _move_to(self, state: LessonState) -> None:
        """The only way the lesson changes its state: kept first, then told to everyone in it."""
        before = self._lesson.state
        try:
            self._lesson = await self._store.set_state(self._lesson.id, state, self._now())
        except IllegalTransitionError as error:
            # Only possible when the lesson was ended in the store, past this Classroom.
            raise RefusedError(ErrorCode.LESSON_ENDED, "the lesson was ended elsewhere") from error
        log.info("lesson %s: %s -> %s", self._lesson.id, before, state)
        for attendance in self._present.values():
            attendance.outbox.post(LessonChanged(self._lesson))

    def _remove(self, endpoint: EndpointId) -> None:
        """Forget an endpoint; its outbox has had its final notice, or its connection is gone."""
        attendance = self._present.pop(endpoint, None)
        if attendance is None:
            return
        log.info("lesson %s endpoint %s: out", self._lesson.id, endpoint)
        self._changed.pop(endpoint, None)
        if attendance.announced:
            self._gone.append(endpoint)
        try:
            self._media.dismiss(endpoint)
        except Exception:
            log.exception("lesson %s endpoint %s: media did not let go of it", self._lesson.id, endpoint)

    # Publishing

    def _members(self) -> tuple[Member, ...]:
        """In the order of joining."""
        return tuple(a.member for a in self._present.values() if a.member is not None)

    def _snapshot(self, attendance: Attendance) -> Snapshot:
        """Before its join an endpoint learns of the lesson only."""
        if attendance.member is None:
            return Snapshot(self._lesson, (), attendance.placing.plan, self._revision)
        return Snapshot(self._lesson, self._members(), attendance.placing.plan, self._revision)

    def _publish(self) -> None:
        """Make new plans, route what changed, answer joins and tell the members the news."""
        while self._changed or self._gone:
            changed = tuple(m for e in self._changed if (m := self._present[e].member) is not None)
            gone = tuple(self._gone)
            for member in changed:
                self._present[member.endpoint].announced = True
            self._changed.clear()
            self._gone.clear()
            self._revision += 1
            news = MembersChanged(changed, gone, self._revision)
            roster = Roster.of(self._members())
            for attendance in tuple(self._present.values()):
                if attendance.member is None:
                    continue
                try:
                    self._tell(attendance, attendance.member, roster, news)
                except Exception:
                    endpoint = attendance.endpoint
                    log.exception("lesson %s endpoint %s: plan failed", self._lesson.id, endpoint)
                    self._refuse(endpoint, None, ErrorCode.INTERNAL, "a fault of the server")

    def _tell(self, attendance: Attendance, member: Member, roster: Roster, news: MembersChanged) -> None:
        before = attendance.placing
        attendance.placing = assign(roster, member, before, self._rules)
        played = {play.index: play for play in before.plan.plays}
        for play in attendance.placing.plan.plays:
            if play != played.get(play.index, SlotPlay(play.index)):
                self._media.route(member.endpoint, play.index, play.picture, play.voice)
        if attendance.join_answer is not None:
            request, answer = attendance.join_answer
            attendance.join_answer = None
            sources = tuple(member.sources)
            attendance.outbox.post(Joined(request, answer, sources, self._snapshot(attendance)))
            return
        attendance.outbox.post(news)
        if attendance.placing.plan != before.plan:
            attendance.outbox.post(SlotsChanged(attendance.placing.plan, self._revision))

    # The end

    def _close_when_deserted(self) -> None:
        if not self._present and self._inbox.empty():
            self._close(ErrorCode.SERVER_STOPPING)  # which nobody is left to be told

    def _close(self, code: ErrorCode) -> None:
        """Let everyone go for this reason, those that wait in the inbox too. Idempotent."""
        if self._closed:
            return
        self._closed = True
        text = {
            ErrorCode.LESSON_ENDED: "the lesson has ended",
            ErrorCode.SERVER_STOPPING: "the server stops; come back in a moment",
        }.get(code, "a fault of the server")
        for attendance in self._present.values():
            if code is ErrorCode.LESSON_ENDED:
                attendance.outbox.post(Farewell(Reason.LESSON_ENDED))
            else:
                attendance.outbox.post(Refused(None, code, text))
        for message in self._inbox.drain():
            if isinstance(message, Enter):
                message.outbox.post(Refused(message.request, code, text))
        self._present.clear()
        try:
            self._media.close()
        except Exception:
            log.exception("lesson %s: media did not close", self._lesson.id)
        self._on_closed(self)
