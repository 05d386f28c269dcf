"""The live Classroom: one task that owns one lesson while endpoints are in it (D6).

    connections --post--> Inbox --> Classroom --post--> outboxes
    media events --post--^             |
                                       +--> MediaPort (admit, route, dismiss)

Everything that changes a lesson is a message, handled one at a time by the handler of its type, so there are
no locks. Changes of members and slots are published when the inbox is empty or after BATCH messages: a burst
of joins costs one plan for each endpoint, not one for each pair of endpoints.

An endpoint whose connection is cut keeps its place, with its media and its slots, for ``resumable_s``: it is
shown as away, and goes on over a new connection when that brings its secret (bridge.attendance).

A Classroom closes, and its media with it, when the lesson ends, when the server stops, or when the last
endpoint has gone; then ``on_closed`` is called, in the same step. The state of the lesson is in the store by
then, and a later endpoint gets a new Classroom.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from bridge.attendance import Attendance, Register
from bridge.errors import ErrorCode, RefusedError
from bridge.inbox import (
    ChangedElsewhere,
    Disconnected,
    End,
    Enter,
    Inbox,
    Join,
    Leave,
    MediaHappened,
    Message,
    Open,
    PlaceExpired,
    Request,
    Restart,
    Resume,
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
    Restarted,
    Resumed,
    ReturnTicket,
    SlotsChanged,
    Snapshot,
    Welcome,
)
from bridge.overview import LessonOverview, overview_of
from bridge.plans import Plans, Rosters
from bridge.ports import (
    CodecChanged,
    IceServers,
    MediaLost,
    MediaQuiet,
    MediaRefusedError,
    NoIceServers,
    OpenMedia,
    RecordingFailed,
    SourceLevel,
)
from bridge.slots import LessonRules
from bridge.values import Contact, EndpointId, IceServer, LessonState, RecordingState, SourceKind

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
        resumable_s: float = 30.0,
        ice_servers: IceServers | None = None,
        contact: Contact | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``limit``: endpoints let in at once. ``now`` gives UTC, ``monotonic`` seconds."""
        self._lesson = lesson
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._on_closed = on_closed
        self._resumable_s = resumable_s
        self._ice_servers = ice_servers or NoIceServers()
        self._contact = contact
        self._recording = RecordingState.ON if lesson.record else RecordingState.OFF
        self._inbox = Inbox()
        self._register = Register(limit, resumable_s)
        self._changed: dict[EndpointId, None] = {}
        self._gone: list[EndpointId] = []
        self._returning: dict[EndpointId, tuple[Resume, str]] = {}
        """Those that came back and have no answer yet, with their next secret."""
        self._revision = 0
        self._closed = False
        self._handlers: dict[type[Message], Callable[[Any], Awaitable[None]]] = {
            Enter: self._enter,
            Resume: self._resume,
            Open: self._open,
            Join: self._join,
            Restart: self._restart,
            SourceSwitched: self._switch_source,
            End: self._end,
            Leave: self._leave,
            Disconnected: self._disconnected,
            PlaceExpired: self._place_expired,
            SnapshotWanted: self._snapshot_wanted,
            MediaHappened: self._media_happened,
            ChangedElsewhere: self._changed_elsewhere,
            Stop: self._stop,
        }
        self._media = open_media(
            lesson.id, lambda event: self.post(MediaHappened(event)), record=lesson.record
        )
        self._plans = Plans(rules, self._media.route)

    @property
    def lesson(self) -> Lesson:
        return self._lesson

    @property
    def inbox(self) -> Inbox:
        """For its counters."""
        return self._inbox

    def overview(self) -> LessonOverview:
        """What goes on in it at this moment, without what people call themselves."""
        lesson = self._lesson
        endpoints = tuple(overview_of(attendance) for attendance in self._register)
        return LessonOverview(lesson.id, lesson.state, self._recording, self._revision, endpoints)

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
            self._answer(message, refused)
        except Exception:
            attendance = self._sender(message)
            endpoint = None if attendance is None else attendance.endpoint
            log.exception(
                "lesson %s endpoint %s: %s failed", self._lesson.id, endpoint, type(message).__name__
            )
            self._answer(message, RefusedError(ErrorCode.INTERNAL, "a fault of the server"))

    def _sender(self, message: Message) -> Attendance | None:
        """Whom a message came from or is about, when that is in the lesson."""
        match message:
            case MediaHappened():
                return self._register.get(message.endpoint)
            case Request() | Disconnected() | SnapshotWanted():
                return self._register.connected(message.connection)
            case PlaceExpired():
                return self._register.cut_from(message.connection)
            case _:
                return None

    def _answer(self, message: Message, refused: RefusedError) -> None:
        attendance = self._sender(message)
        request = message.request if isinstance(message, Request) else None
        if isinstance(message, Resume):
            if not message.outcome.done():
                message.outcome.set_exception(refused)
            if attendance is not None:
                # Half-way in, and its connection does not know that it has one.
                self._remove(attendance)
        elif attendance is not None:
            self._refuse(attendance, request, refused.code, refused.text)
        elif isinstance(message, Enter):
            message.outbox.post(Refused(request, refused.code, refused.text))

    def _refuse(self, attendance: Attendance, request: int | None, code: ErrorCode, text: str) -> None:
        attendance.outbox.post(Refused(request, code, text))
        if code.fatal:
            self._remove(attendance)

    def _attendance(self, message: Request) -> Attendance:
        """Who sent it. Raises RefusedError for one that was removed while its message waited."""
        attendance = self._register.connected(message.connection)
        if attendance is None:
            raise RefusedError(ErrorCode.NOT_JOINED, "no longer in the lesson")
        self._register.confirm(attendance)
        return attendance

    # Coming, going and coming back

    async def _enter(self, message: Enter) -> None:
        if message.replaces is not None:
            ghost = self._register.owner(message.replaces, message.admitted, self._monotonic())
            if ghost is not None:
                self._refuse(ghost, None, ErrorCode.REPLACED, "another page took its place")
        if len(self._register) >= self._register.limit:
            # Whoever is here comes before a place that is kept for one who may not come.
            away = self._register.longest_cut()
            if away is None:
                text = f"the lesson has its {self._register.limit} endpoints"
                raise RefusedError(ErrorCode.LESSON_FULL, text)
            self._remove(away)
        attendance, secret = self._register.add(message.connection, message.admitted, message.outbox)
        endpoint = attendance.endpoint
        log.info("lesson %s endpoint %s: in, role %s", self._lesson.id, endpoint, message.admitted.role)
        message.outbox.post(
            Welcome(
                message.request,
                endpoint,
                message.admitted,
                self._lesson,
                self._recording,
                ReturnTicket(secret, self._resumable_s),
                self._servers(attendance),
                self._contact,
            )
        )

    async def _resume(self, message: Resume) -> None:
        """Its answer comes with the next publication: many that come back at once cost one plan each."""
        if message.outcome.cancelled():
            return
        now = self._monotonic()
        attendance = self._register.owner(message.secret, message.admitted, now)
        if attendance is None:
            raise RefusedError(ErrorCode.RESUME_FAILED, "no place is kept for this secret")
        text = "its endpoint goes on over another connection"
        attendance.outbox.post(Refused(None, ErrorCode.REPLACED, text))
        self._give_up_return(attendance.endpoint, ErrorCode.REPLACED, text)
        secret = self._register.resume(attendance, message.secret, message.connection, now)
        self._returning[attendance.endpoint] = (message, secret)
        self._show(attendance)

    def _answer_returns(self) -> None:
        """To be called when all is published: what comes to the new outbox after the answer is news to it."""
        for endpoint, (message, secret) in tuple(self._returning.items()):
            attendance = self._register.get(endpoint)
            # One that was cancelled is cut by the message that follows.
            if attendance is None or message.outcome.done():
                continue
            try:
                resumed = Resumed(
                    message.request,
                    endpoint,
                    attendance.member is not None,
                    self._snapshot(attendance),
                    ReturnTicket(secret, self._resumable_s),
                    self._servers(attendance),
                )
            except Exception:
                log.exception("lesson %s endpoint %s: it did not come back", self._lesson.id, endpoint)
                self._give_up_return(endpoint, ErrorCode.INTERNAL, "a fault of the server")
                self._remove(attendance)
                continue
            log.info("lesson %s endpoint %s: back", self._lesson.id, endpoint)
            attendance.outbox = message.outbox
            message.outbox.post(resumed)
            message.outcome.set_result(None)
        self._returning.clear()

    def _give_up_return(self, endpoint: EndpointId, code: ErrorCode, text: str) -> None:
        """Tell the connection that waits to be this endpoint's. A no-op when there is none."""
        message, _secret = self._returning.pop(endpoint, (None, None))
        if message is not None and not message.outcome.done():
            message.outcome.set_exception(RefusedError(code, text))

    async def _leave(self, message: Leave) -> None:
        attendance = self._attendance(message)
        attendance.outbox.post(Done(message.request))
        attendance.outbox.post(Farewell(Reason.LEFT))
        self._remove(attendance)

    async def _disconnected(self, message: Disconnected) -> None:
        attendance = self._register.connected(message.connection)
        if attendance is None:
            return
        if message.for_good:
            self._remove(attendance)
            return
        log.info("lesson %s endpoint %s: cut", self._lesson.id, attendance.endpoint)
        expiry = asyncio.get_running_loop().call_later(
            self._resumable_s, self.post, PlaceExpired(message.connection)
        )
        self._register.cut(attendance, expiry)
        self._show(attendance)

    async def _place_expired(self, message: PlaceExpired) -> None:
        attendance = self._register.cut_from(message.connection)
        if attendance is not None:
            self._remove(attendance)

    # Requests

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
            admission = self._media.admit(attendance.endpoint, message.offer, attendance.grant)
        except MediaRefusedError as refused:
            raise RefusedError(ErrorCode(refused.code), refused.text) from refused
        attendance.member = member_of(
            attendance.endpoint,
            attendance.admitted,
            label=message.label,
            headcount=message.headcount,
            sources=admission.sources,
            slots=admission.slots,
        )
        attendance.codecs = admission.codecs
        attendance.join_answer = (message.request, admission.answer)
        self._register.put_last(attendance)
        self._changed[attendance.endpoint] = None
        attendance.refresh()

    async def _restart(self, message: Restart) -> None:
        attendance, member = self._joined(message)
        try:
            answer = self._media.restart(member.endpoint, message.sdp)
        except MediaRefusedError as refused:
            raise RefusedError(ErrorCode(refused.code), refused.text) from refused
        attendance.outbox.post(Restarted(message.request, answer, self._servers(attendance)))

    async def _switch_source(self, message: SourceSwitched) -> None:
        attendance, member = self._joined(message)
        if not member.publishes(message.kind):
            raise RefusedError(ErrorCode.NOT_GRANTED, f"{message.kind} is not published")
        if member.plays(message.kind) is not message.on:
            attendance.member = member.switched(message.kind, message.on)
            if message.kind is SourceKind.MIC:
                self._plans.speakers.forget(attendance.endpoint)
            self._changed[attendance.endpoint] = None
        attendance.outbox.post(Done(message.request))

    async def _end(self, message: End) -> None:
        attendance = self._attendance(message)
        if not attendance.grant.may_end:
            raise RefusedError(ErrorCode.NOT_GRANTED, "may not end the lesson")
        await self._move_to(LessonState.ENDED)
        attendance.outbox.post(Done(message.request))
        self._close(ErrorCode.LESSON_ENDED)

    async def _snapshot_wanted(self, message: SnapshotWanted) -> None:
        attendance = self._register.connected(message.connection)
        if attendance is not None:
            # What is still unpublished must be in it, or the news of it would carry the same revision.
            self._publish()
            attendance.outbox.post(self._snapshot(attendance))

    # What happens elsewhere

    async def _media_happened(self, message: MediaHappened) -> None:
        event, attendance = message.event, self._register.get(message.endpoint)
        match event:
            case MediaLost() if attendance is not None:
                log.info(
                    "lesson %s endpoint %s: media lost, %s", self._lesson.id, event.endpoint, event.reason
                )
                self._refuse(attendance, None, ErrorCode.MEDIA_FAILED, event.reason)
            case MediaQuiet() if attendance is not None:
                attendance.quiet = event.quiet
                self._show(attendance)
            case CodecChanged() if attendance is not None:
                attendance.change_codec(event.source.kind, event.codec)
            case SourceLevel() if attendance is not None and attendance.member is not None:
                if event.source.kind is SourceKind.MIC and attendance.member.plays(SourceKind.MIC):
                    self._plans.speakers.heard(attendance.endpoint, -event.level, self._monotonic())
            case RecordingFailed() if self._recording is RecordingState.ON:
                what = (self._lesson.id, event.source.endpoint, event.source.kind, event.reason)
                log.error("lesson %s endpoint %s: the recording of its %s failed, %s", *what)
                self._recording = RecordingState.FAILED
                self._tell_lesson()
            case _:
                log.debug("lesson %s: %s", self._lesson.id, event)

    async def _changed_elsewhere(self, message: ChangedElsewhere) -> None:
        if not self._lesson.comes_before(message.lesson):
            return
        log.info("lesson %s: %s -> %s elsewhere", self._lesson.id, self._lesson.state, message.lesson.state)
        self._lesson = message.lesson
        self._tell_lesson()
        if self._lesson.state is LessonState.ENDED:
            self._close(ErrorCode.LESSON_ENDED)

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
        self._tell_lesson()

    def _tell_lesson(self) -> None:
        for attendance in self._register:
            attendance.outbox.post(LessonChanged(self._lesson, self._recording))

    def _servers(self, attendance: Attendance) -> tuple[IceServer, ...]:
        return self._ice_servers.for_endpoint(attendance.endpoint, self._now().timestamp())

    def _show(self, attendance: Attendance) -> None:
        """Let the others see whether it is away."""
        if attendance.refresh():
            self._changed[attendance.endpoint] = None

    def _remove(self, attendance: Attendance) -> None:
        """Forget an endpoint; its outbox has had its final notice, or its connection is gone."""
        endpoint = attendance.endpoint
        if self._register.get(endpoint) is not attendance:
            return
        self._register.remove(attendance)
        self._give_up_return(endpoint, ErrorCode.RESUME_FAILED, "its place was lost just now")
        log.info("lesson %s endpoint %s: out", self._lesson.id, endpoint)
        self._plans.speakers.forget(endpoint)
        self._changed.pop(endpoint, None)
        if attendance.announced:
            self._gone.append(endpoint)
        try:
            self._media.dismiss(endpoint)
        except Exception:
            log.exception("lesson %s endpoint %s: media did not let go of it", self._lesson.id, endpoint)

    # Publishing

    def _snapshot(self, attendance: Attendance) -> Snapshot:
        """Before its join an endpoint learns of the lesson only."""
        if attendance.member is None:
            members: tuple[Member, ...] = ()
        else:
            members = self._register.members()
        plan, codecs = attendance.placing.plan, attendance.codecs
        return Snapshot(self._lesson, self._recording, members, plan, self._revision, codecs)

    def _publish(self) -> None:
        """Make new plans, route what changed, answer joins and returns, and tell the members the news."""
        while True:
            if self._changed or self._gone or self._plans.others_speak:
                self._publish_changes()
            elif self._returning:
                self._answer_returns()
            else:
                return

    def _publish_changes(self) -> None:
        attendances = [a for e in self._changed if (a := self._register.get(e)) is not None]
        changed = tuple(a.member for a in attendances if a.member is not None)
        for attendance in attendances:
            attendance.announced = True
        self._revision += 1
        # That others speak is news for those alone who follow them.
        told = self._changed or self._gone
        news = MembersChanged(changed, tuple(self._gone), self._revision) if told else None
        self._changed.clear()
        self._gone.clear()
        rosters = self._plans.rosters(self._register.members())
        for attendance in self._register:
            member = attendance.member
            if member is None or (news is None and not member.follows_speakers):
                continue
            try:
                self._tell(attendance, member, rosters, news)
            except Exception:
                log.exception("lesson %s endpoint %s: plan failed", self._lesson.id, member.endpoint)
                self._refuse(attendance, None, ErrorCode.INTERNAL, "a fault of the server")

    def _tell(
        self, attendance: Attendance, member: Member, rosters: Rosters, news: MembersChanged | None
    ) -> None:
        changed = self._plans.place(attendance, member, rosters)
        if attendance.join_answer is not None:
            request, answer = attendance.join_answer
            attendance.join_answer = None
            sources = tuple(member.sources)
            attendance.outbox.post(
                Joined(request, answer, sources, self._snapshot(attendance), self._servers(attendance))
            )
            return
        if news is not None:
            attendance.outbox.post(news)
        if changed:
            attendance.outbox.post(SlotsChanged(attendance.placing.plan, self._revision))

    # The end

    def _close_when_deserted(self) -> None:
        if not len(self._register) and self._inbox.empty():
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
        for attendance in self._register:
            if code is ErrorCode.LESSON_ENDED:
                attendance.outbox.post(Farewell(Reason.LESSON_ENDED))
            else:
                attendance.outbox.post(Refused(None, code, text))
        for message in self._inbox.drain():
            if isinstance(message, Enter | Resume):
                self._answer(message, RefusedError(code, text))
        for endpoint in tuple(self._returning):
            self._give_up_return(endpoint, code, text)
        self._register.clear()
        try:
            self._media.close()
        except Exception:
            log.exception("lesson %s: media did not close", self._lesson.id)
        self._on_closed(self)
