"""The Classroom with recording media: what it answers, what it routes, and that nothing ends its task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge.errors import ErrorCode, RefusedError
from bridge.inbox import (
    INBOX_LIMIT,
    ChangedElsewhere,
    Disconnected,
    End,
    Enter,
    Inbox,
    Leave,
    MediaHappened,
    Message,
    Open,
    PlaceExpired,
    Restart,
    SnapshotWanted,
    SourceSwitched,
    Stop,
)
from bridge.notices import (
    Done,
    Farewell,
    Joined,
    LessonChanged,
    MembersChanged,
    Notice,
    Reason,
    Refused,
    Restarted,
    SlotsChanged,
    Snapshot,
    Welcome,
)
from bridge.ports import MediaConnected, MediaLost, MediaQuiet, RecordingFailed, SourceLive
from bridge.slots import LessonRules
from bridge.values import (
    ConnectionId,
    Contact,
    EndpointId,
    IceServer,
    LessonState,
    Offer,
    OfferedSlot,
    OfferedSource,
    RecordingState,
    Role,
    SourceKind,
)
from bridge.values import SourceRef as Ref
from tests.bridge.room import Room
from tests.bridge.support import (
    LESSON,
    NOON,
    PATIENCE_S,
    KeepingOutbox,
    make_offer,
    make_pass,
)

CAMERA, MIC, SCREEN = SourceKind.CAMERA, SourceKind.MIC, SourceKind.SCREEN


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    yield made
    made.classroom.post(Stop())
    async with asyncio.timeout(PATIENCE_S):
        await made.task


async def test_hello_is_answered_with_the_lesson_and_the_pass(room: Room) -> None:
    home = await room.enter("home", Role.HOME, "Vieremä")
    welcome = home.outbox.all_of(Welcome)[0]
    assert (welcome.re, welcome.endpoint, welcome.lesson) == (1, "home", LESSON)
    assert welcome.admitted.site == "Vieremä"


async def test_join_before_the_teacher_opened_is_refused_and_may_be_tried_again(room: Room) -> None:
    home = await room.enter("home", Role.HOME)
    home.ask_to_join()
    assert await home.refused() == Refused(
        7, ErrorCode.LESSON_NOT_OPEN, "the teacher has not opened the lesson yet"
    )
    await room.opened()
    changed = await home.outbox.wait_for(LessonChanged)
    assert (changed.lesson.state, changed.lesson.opened_at) == (LessonState.LIVE, NOON)
    assert (await home.join()).re == 7


async def test_opening_is_kept_and_harmless_when_live(room: Room) -> None:
    teacher = await room.opened()
    assert room.store.lessons[LESSON.id].state is LessonState.LIVE
    room.classroom.post(Open(teacher.connection, 9))
    assert await teacher.outbox.wait_for(Done) == Done(9)
    assert len(teacher.outbox.all_of(LessonChanged)) == 1


async def test_only_who_may_opens_and_ends(room: Room) -> None:
    home = await room.enter("home", Role.HOME)
    room.classroom.post(Open(home.connection, 2))
    assert (await home.refused()).code is ErrorCode.NOT_GRANTED
    room.classroom.post(End(home.connection, 3))
    refused = await home.refused()
    assert (refused.re, refused.code) == (3, ErrorCode.NOT_GRANTED)
    assert room.classroom.lesson.state is LessonState.WAITING


async def test_join_comes_back_in_one_answer_with_the_whole_state(room: Room) -> None:
    teacher = await room.opened()
    home = await room.enter("home", Role.HOME)
    home.ask_to_join(label="paikka 7", headcount=2)
    joined = await home.outbox.wait_for(Joined)
    assert joined.answer == "answer to offer"
    assert joined.sources == (CAMERA, MIC)
    assert [m.endpoint for m in joined.snapshot.members] == ["kiosk", "home"]
    me = joined.snapshot.members[1]
    assert (me.label, me.headcount, dict(me.sources)) == ("paikka 7", 2, {CAMERA: True, MIC: True})
    teaching = joined.snapshot.plan.plays[0]
    assert (teaching.picture, teaching.voice) == (Ref(teacher.id, CAMERA), Ref(teacher.id, MIC))
    assert room.media.playing(home.id) == {0: (Ref(teacher.id, CAMERA), Ref(teacher.id, MIC))}
    assert home.outbox.all_of(MembersChanged) == [], "what the snapshot holds is not said twice"


async def test_those_inside_learn_of_a_newcomer_with_one_revision(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    members = await teacher.outbox.wait_for(MembersChanged)
    slots = await teacher.outbox.wait_for(SlotsChanged)
    assert [m.endpoint for m in members.changed] == [home.id]
    assert slots.plan.plays[0].picture == Ref(home.id, CAMERA)
    snapshot = home.outbox.all_of(Joined)[0].snapshot
    assert members.revision == slots.revision == snapshot.revision == 2


async def test_rank_is_by_joining_and_not_by_hello(room: Room) -> None:
    early = await room.enter("early", Role.SCHOOL)
    await room.opened()
    await room.joined("prompt", Role.SCHOOL)
    joined = await early.join()
    assert [m.endpoint for m in joined.snapshot.members] == ["kiosk", "prompt", "early"]


async def test_nobody_gets_its_own_sound_back(room: Room) -> None:
    await room.opened()
    await room.joined("home", Role.HOME)
    await room.joined("school 1", Role.SCHOOL, "Iisalmi", "204")
    await room.joined("school 2", Role.SCHOOL, "Iisalmi", "204")
    room_of = {"school 1": "204", "school 2": "204"}
    heard = [(to, voice.endpoint) for to, _slot, _picture, voice in room.media.routes if voice is not None]
    assert ("kiosk", "home") in heard
    assert ("home", "school 1") in heard
    assert all(to != by and room_of.get(to, to) != room_of.get(by, by) for to, by in heard)


async def test_the_rule_can_be_switched_off_for_a_test_of_tests() -> None:
    room = Room(rules=LessonRules(exclude_own_room=False))
    teacher = await room.opened()
    assert room.media.playing(teacher.id)[0] == (Ref(teacher.id, CAMERA), Ref(teacher.id, MIC))
    room.classroom.post(Stop())
    await room.task


async def test_a_burst_of_joins_makes_few_plans(room: Room) -> None:
    teacher = await room.opened()
    before = len(teacher.outbox.all_of(MembersChanged))
    homes = [await room.enter(f"home {i}", Role.HOME) for i in range(20)]
    for home in homes:
        home.ask_to_join()
    for home in homes:
        await home.outbox.wait_for(Joined)
    news = teacher.outbox.all_of(MembersChanged)[before:]
    assert len(news) < 5
    assert [m.endpoint for each in news for m in each.changed] == [home.id for home in homes]


@pytest.mark.parametrize(
    ("sources", "slots", "code"),
    [
        ((("document", "a"),), (), ErrorCode.NOT_GRANTED),
        ((), ((7, None, "a"),), ErrorCode.NOT_GRANTED),
        ((("camera", "a"), ("camera", "b")), (), ErrorCode.MESSAGE_INVALID),
        ((), ((0, "a", "b"), (0, "c", "d")), ErrorCode.MESSAGE_INVALID),
        ((("camera", "a"),), ((0, "a", "b"),), ErrorCode.MESSAGE_INVALID),
        ((), ((0, None, "a"),), ErrorCode.MESSAGE_INVALID),
        ((), ((5, "a", "b"),), ErrorCode.MESSAGE_INVALID),
    ],
)
async def test_an_offer_beyond_the_grant_or_against_itself(
    room: Room,
    sources: tuple[tuple[str, str], ...],
    slots: tuple[tuple[int, str | None, str], ...],
    code: ErrorCode,
) -> None:
    await room.opened()
    home = await room.enter("home", Role.HOME)
    offered = tuple(OfferedSource(SourceKind(kind), mid) for kind, mid in sources)
    home.ask_to_join(Offer("offer", offered, tuple(OfferedSlot(*slot) for slot in slots)))
    assert (await home.refused()).code is code
    assert home.id not in room.media.admitted
    await home.join()


@pytest.mark.parametrize(
    ("sdp", "code"),
    [("garbage", ErrorCode.SDP_INVALID), ("without opus", ErrorCode.SDP_UNSUPPORTED)],
)
async def test_what_media_refuses_may_be_tried_again(room: Room, sdp: str, code: ErrorCode) -> None:
    await room.opened()
    home = await room.enter("home", Role.HOME)
    home.ask_to_join(make_offer(Role.HOME, sdp))
    refused = await home.refused()
    assert (refused.re, refused.code, refused.fatal) == (7, code, False)
    await home.join()


async def test_joining_twice_is_refused(room: Room) -> None:
    teacher = await room.opened()
    teacher.ask_to_join()
    assert (await teacher.refused()).code is ErrorCode.ALREADY_JOINED
    assert room.media.admitted == [teacher.id]


async def test_switching_a_source_is_told_and_routed(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    room.classroom.post(SourceSwitched(teacher.connection, 5, CAMERA, on=False))
    assert await teacher.outbox.wait_for(Done) == Done(5)
    news = await home.outbox.wait_for(MembersChanged)
    assert news.changed[0].sources[CAMERA] is False
    assert room.media.playing(home.id)[0] == (None, Ref(teacher.id, MIC))
    room.classroom.post(SourceSwitched(teacher.connection, 6, SCREEN, on=True))
    await home.outbox.wait_for(MembersChanged)
    assert room.media.playing(home.id)[1] == (Ref(teacher.id, SCREEN), None)


async def test_switching_to_what_is_already_so_is_no_news(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    await teacher.outbox.wait_for(MembersChanged)
    room.classroom.post(SourceSwitched(teacher.connection, 5, CAMERA, on=True))
    await teacher.outbox.wait_for(Done)
    room.classroom.post(Leave(home.connection, 6))
    news = await teacher.outbox.wait_for(MembersChanged)
    assert (news.changed, news.revision) == ((), 3)


async def test_a_source_needs_a_join_and_to_be_published(room: Room) -> None:
    await room.opened()
    home = await room.enter("home", Role.HOME)
    room.classroom.post(SourceSwitched(home.connection, 5, CAMERA, on=False))
    assert (await home.refused()).code is ErrorCode.NOT_JOINED
    await home.join()
    room.classroom.post(SourceSwitched(home.connection, 6, SCREEN, on=True))
    assert (await home.refused()).code is ErrorCode.NOT_GRANTED


async def test_leaving_is_answered_and_told_to_the_others(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    await teacher.outbox.wait_for(SlotsChanged)
    room.classroom.post(Leave(home.connection, 8))
    assert await home.outbox.wait_for(Done) == Done(8)
    assert await home.outbox.wait_for(Farewell) == Farewell(Reason.LEFT)
    assert (await teacher.outbox.wait_for(MembersChanged)).gone == (home.id,)
    emptied = await teacher.outbox.wait_for(SlotsChanged)
    assert (emptied.plan.plays[0].picture, emptied.plan.plays[0].voice) == (None, None)
    assert room.media.dismissed == [home.id]
    room.classroom.post(Disconnected(home.connection, for_good=True))
    await room.joined("other", Role.HOME)
    assert (await teacher.outbox.wait_for(MembersChanged)).gone == (), "told once"


async def test_a_connection_that_ends_for_good_is_like_leaving(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    room.classroom.post(Disconnected(home.connection, for_good=True))
    await teacher.outbox.wait_for(MembersChanged)
    assert (await teacher.outbox.wait_for(MembersChanged)).gone == (home.id,)
    assert room.media.dismissed == [home.id]


async def test_who_comes_and_goes_unseen_is_not_told(room: Room) -> None:
    teacher = await room.opened()
    home = await room.enter("home", Role.HOME)
    home.ask_to_join()
    room.classroom.post(Disconnected(home.connection, for_good=True))
    await room.joined("other", Role.HOME)
    news = await teacher.outbox.wait_for(MembersChanged)
    assert ([m.endpoint for m in news.changed], news.gone) == (["other"], ())
    assert home.id in room.media.dismissed


async def test_lost_media_ends_the_endpoint(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    room.media.sink(MediaConnected(home.id))
    room.media.sink(SourceLive(Ref(home.id, CAMERA), live=True))
    room.media.sink(MediaLost(home.id, "fell silent"))
    refused = await home.refused()
    assert (refused.re, refused.code, refused.fatal) == (None, ErrorCode.MEDIA_FAILED, True)
    await teacher.outbox.wait_for(MembersChanged)
    assert (await teacher.outbox.wait_for(MembersChanged)).gone == (home.id,)
    assert room.media.dismissed == [home.id]


async def test_ending_tells_everyone_and_lets_them_go() -> None:
    room = Room()
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    waiting = await room.enter("waiting", Role.HOME)
    room.classroom.post(End(teacher.connection, 9))
    room.classroom.post(Enter(ConnectionId("late"), 1, make_pass(Role.HOME, "x"), late := KeepingOutbox()))
    await room.task
    for endpoint in (teacher, home, waiting):
        last = [type(notice) for notice in endpoint.outbox.notices[-2:]]
        assert last == [Done if endpoint is teacher else LessonChanged, Farewell]
        changed = endpoint.outbox.all_of(LessonChanged)[-1]
        assert (changed.lesson.state, changed.lesson.ended_at) == (LessonState.ENDED, NOON)
    assert late.notices == [Refused(1, ErrorCode.LESSON_ENDED, "the lesson has ended")]
    assert room.store.lessons[LESSON.id].state is LessonState.ENDED
    assert room.media.closed == 1
    assert room.closed == [room.classroom]


async def test_a_waiting_lesson_may_be_called_off() -> None:
    room = Room()
    teacher = await room.enter("kiosk", Role.KIOSK)
    room.classroom.post(End(teacher.connection, 9))
    await room.task
    assert room.store.lessons[LESSON.id].state is LessonState.ENDED


async def test_a_lesson_that_was_ended_in_the_store_does_not_open() -> None:
    room = Room()
    teacher = await room.enter("kiosk", Role.KIOSK)
    await room.store.set_state(LESSON.id, LessonState.ENDED, NOON)
    room.classroom.post(Open(teacher.connection, 2))
    assert (await teacher.refused()).code is ErrorCode.LESSON_ENDED
    await room.task


async def test_stopping_tells_everyone(room: Room) -> None:
    teacher = await room.opened()
    room.classroom.post(Stop())
    await room.task
    assert teacher.outbox.notices[-1] == Refused(
        None, ErrorCode.SERVER_STOPPING, "the server stops; come back in a moment"
    )
    assert (room.media.closed, room.closed) == (1, [room.classroom])
    room.classroom.post(Disconnected(teacher.connection, for_good=True))
    assert room.classroom.inbox.empty(), "a closed Classroom takes nothing"


async def test_the_classroom_closes_when_the_last_endpoint_has_gone() -> None:
    room = Room()
    teacher = await room.opened()
    room.classroom.post(Disconnected(teacher.connection, for_good=True))
    await room.task
    assert (room.media.closed, room.closed) == (1, [room.classroom])
    assert room.store.lessons[LESSON.id].state is LessonState.LIVE


async def test_a_full_lesson() -> None:
    room = Room(limit=1)
    await room.enter("kiosk", Role.KIOSK)
    room.classroom.post(Enter(ConnectionId("home"), 4, make_pass(Role.HOME, "x"), outbox := KeepingOutbox()))
    assert await outbox.wait_for(Refused) == Refused(
        4, ErrorCode.LESSON_FULL, "the lesson has its 1 endpoints"
    )
    room.classroom.post(Stop())
    await room.task


async def test_a_snapshot_holds_what_has_happened(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    room.classroom.post(SourceSwitched(teacher.connection, 5, CAMERA, on=False))
    room.classroom.post(SnapshotWanted(home.connection))
    snapshot = await home.outbox.wait_for(Snapshot)
    assert [m.endpoint for m in snapshot.members] == ["kiosk", "home"]
    assert snapshot.members[0].sources[CAMERA] is False
    assert snapshot.plan.plays[0].voice == Ref(teacher.id, MIC)
    assert snapshot.revision == 3
    later: list[Notice] = home.outbox.notices[home.outbox.notices.index(snapshot) + 1 :]
    assert later == []


async def test_before_its_join_a_snapshot_holds_the_lesson_only(room: Room) -> None:
    await room.opened()
    home = await room.enter("home", Role.HOME)
    room.classroom.post(SnapshotWanted(home.connection))
    snapshot = await home.outbox.wait_for(Snapshot)
    assert (snapshot.lesson.state, snapshot.members, snapshot.plan.plays) == (LessonState.LIVE, (), ())


# What travels with it


class OneServer:
    """Names its endpoint and the time, so that a test sees for whom and when it was made."""

    def for_endpoint(self, endpoint: EndpointId, now: float) -> tuple[IceServer, ...]:
        return (IceServer(("turn:turn.example.fi",), f"{now:.0f}:{endpoint}", "credential"),)


async def test_ice_servers_and_contact() -> None:
    contact = Contact("Ring skolans kansli.", "+358 6 123 4567")
    room = Room(ice_servers=OneServer(), contact=contact)
    teacher = await room.opened()
    room.classroom.post(Restart(teacher.connection, 4, "offer"))
    servers = OneServer().for_endpoint(teacher.id, NOON.timestamp())
    restarted = await teacher.outbox.wait_for(Restarted)
    assert restarted == Restarted(4, "answer to offer", servers)
    (welcome,), (joined,) = teacher.outbox.all_of(Welcome), teacher.outbox.all_of(Joined)
    assert (welcome.ice_servers, welcome.contact, joined.ice_servers) == (servers, contact, servers)
    teacher.is_cut()
    assert (await teacher.resume("second")).ice_servers == servers
    room.classroom.post(Stop())
    await room.task


async def test_an_ice_restart_needs_a_join_and_an_offer_that_media_takes(room: Room) -> None:
    teacher = await room.opened()
    home = await room.enter("home", Role.HOME)
    room.classroom.post(Restart(home.connection, 4, "offer"))
    assert (await home.refused()).code is ErrorCode.NOT_JOINED
    room.classroom.post(Restart(teacher.connection, 4, "garbage"))
    refused = await teacher.refused()
    assert (refused.re, refused.code, refused.fatal) == (4, ErrorCode.SDP_INVALID, False)
    assert (room.media.restarted, room.media.dismissed) == ([], [])


async def test_a_recording_that_fails_is_told_to_all_once(caplog: pytest.LogCaptureFixture) -> None:
    room = Room(lesson=replace(LESSON, record=True))
    teacher = await room.opened()
    waiting = await room.enter("waiting", Role.HOME)
    assert waiting.outbox.all_of(Welcome)[0].recording is RecordingState.ON
    for kind in (CAMERA, MIC):
        room.media.sink(RecordingFailed(Ref(teacher.id, kind), "disk full"))
    late = await room.joined("late", Role.HOME)
    assert late.outbox.all_of(Welcome)[0].recording is RecordingState.FAILED
    for endpoint in (teacher, waiting):
        told = [news.recording for news in endpoint.outbox.all_of(LessonChanged)]
        assert told.count(RecordingState.FAILED) == 1
    assert late.outbox.all_of(Joined)[0].snapshot.recording is RecordingState.FAILED
    assert "disk full" in the_one_error(caplog)
    room.classroom.post(Stop())
    await room.task


async def test_a_lesson_that_is_not_recorded_has_no_recording_to_fail(room: Room) -> None:
    teacher = await room.opened()
    room.media.sink(RecordingFailed(Ref(teacher.id, CAMERA), "disk full"))
    home = await room.joined("home", Role.HOME)
    assert home.outbox.all_of(Welcome)[0].recording is RecordingState.OFF


# Faults


def the_one_error(caplog: pytest.LogCaptureFixture) -> str:
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1
    return errors[0]


async def test_a_fault_ends_one_endpoint_and_not_the_lesson(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = await room.opened()
    home = await room.enter("home", Role.HOME, "Vieremä")
    room.media.failing["admit"] = RuntimeError("out of peers")
    home.ask_to_join(label="Aino")
    refused = await home.refused()
    assert (refused.re, refused.code, refused.fatal) == (7, ErrorCode.INTERNAL, True)
    logged = the_one_error(caplog)
    assert "lesson abc endpoint home" in logged
    assert "Aino" not in caplog.text
    assert "Vieremä" not in caplog.text
    assert home.id in room.media.dismissed, "whatever media had made of it is undone"
    room.media.failing.clear()
    await room.joined("other", Role.HOME)
    assert [m.endpoint for m in (await teacher.outbox.wait_for(MembersChanged)).changed] == ["other"]


async def test_an_unknown_code_of_media_is_a_fault(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    from bridge.ports import MediaRefusedError

    await room.opened()
    home = await room.enter("home", Role.HOME)
    room.media.failing["admit"] = MediaRefusedError("sdp-odd", "no such code")
    home.ask_to_join()
    assert (await home.refused()).code is ErrorCode.INTERNAL
    the_one_error(caplog)


async def test_a_plan_that_can_t_be_routed_ends_that_endpoint(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    await room.opened()
    home = await room.enter("home", Role.HOME)
    room.media.failing["route"] = LookupError("no such slot")
    home.ask_to_join()
    assert (await home.refused()).code is ErrorCode.INTERNAL
    assert "endpoint" in caplog.text


async def test_media_that_does_not_let_go_is_logged_and_no_more(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    await teacher.outbox.wait_for(MembersChanged)
    room.media.failing["dismiss"] = RuntimeError("stuck")
    room.classroom.post(Leave(home.connection, 8))
    assert (await teacher.outbox.wait_for(MembersChanged)).gone == (home.id,)
    assert "endpoint home" in the_one_error(caplog)
    room.media.failing.clear()


async def test_a_store_that_fails_does_not_open_the_lesson(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = await room.enter("kiosk", Role.KIOSK)
    other = await room.enter("other", Role.KIOSK)
    room.store.failing = OSError("disk full")
    room.classroom.post(Open(teacher.connection, 2))
    assert (await teacher.refused()).code is ErrorCode.INTERNAL
    assert other.outbox.all_of(LessonChanged) == []
    assert room.classroom.lesson.state is LessonState.WAITING
    the_one_error(caplog)


async def test_a_cancelled_task_still_closes() -> None:
    room = Room()
    teacher = await room.opened()
    room.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await room.task
    assert (room.media.closed, room.closed) == (1, [room.classroom])
    assert isinstance(teacher.outbox.notices[-1], Refused)


# The inbox


def test_a_full_inbox_refuses_requests_and_takes_departures() -> None:
    inbox = Inbox(limit=2)
    name, connection = EndpointId("home"), ConnectionId("home")
    inbox.put(Leave(connection, 1))
    inbox.put(Leave(connection, 2))
    with pytest.raises(RefusedError) as caught:
        inbox.put(Leave(connection, 3))
    assert caught.value.code is ErrorCode.SERVER_FULL
    inbox.put(MediaHappened(SourceLive(Ref(name, CAMERA), live=True)))
    always: list[Message] = [
        Disconnected(connection),
        PlaceExpired(connection),
        SnapshotWanted(connection),
        MediaHappened(MediaLost(name, "silent")),
        MediaHappened(MediaQuiet(name, quiet=True)),
        MediaHappened(RecordingFailed(Ref(name, CAMERA), "disk full")),
        ChangedElsewhere(LESSON),
        Stop(),
    ]
    for message in always:
        inbox.put(message)
    assert (inbox.refused, inbox.dropped) == (1, 1)
    assert inbox.drain() == [Leave(connection, 1), Leave(connection, 2), *always]
    assert INBOX_LIMIT == 1024
