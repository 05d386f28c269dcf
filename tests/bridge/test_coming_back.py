"""A connection is cut: the place is kept, the others see it, and its endpoint comes back, once, as itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.attendance import Attendance
from bridge.errors import ErrorCode, RefusedError
from bridge.inbox import Disconnected, End, Enter, Open, PlaceExpired, SourceSwitched, Stop
from bridge.notices import (
    Done,
    Joined,
    LessonChanged,
    MembersChanged,
    Refused,
    Resumed,
    SlotsChanged,
    Welcome,
)
from bridge.ports import MediaLost, MediaQuiet
from bridge.values import ConnectionId, EndpointId, LessonState, Role, SourceKind
from bridge.values import SourceRef as Ref
from tests.bridge.room import Endpoint, Room
from tests.bridge.support import PATIENCE_S, KeepingOutbox, make_pass

CAMERA, MIC = SourceKind.CAMERA, SourceKind.MIC


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    yield made
    made.classroom.post(Stop())
    async with asyncio.timeout(PATIENCE_S):
        await made.task


async def news_of(watcher: Endpoint, endpoint: Endpoint) -> bool:
    """What the watcher hears next of whether this one is away."""
    while True:
        news = await watcher.outbox.wait_for(MembersChanged)
        for member in news.changed:
            if member.endpoint == endpoint.id:
                return member.away


def away_of(watcher: Endpoint) -> set[EndpointId]:
    """Whom it was told to be away, at any time."""
    news = watcher.outbox.all_of(MembersChanged)
    return {member.endpoint for each in news for member in each.changed if member.away}


async def refused(outcome: asyncio.Future[None]) -> ErrorCode:
    with pytest.raises(RefusedError) as caught:
        await asyncio.wait_for(outcome, PATIENCE_S)
    return caught.value.code


# A place is kept


async def test_a_cut_connection_leaves_its_media_and_its_slots(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    assert await news_of(teacher, home) is False
    before = len(room.media.routes)
    home.is_cut()
    assert await news_of(teacher, home) is True
    assert room.media.dismissed == []
    assert len(room.media.routes) == before
    assert room.media.playing(teacher.id)[0] == (Ref(home.id, CAMERA), Ref(home.id, MIC))
    told = len(home.outbox.notices)
    room.classroom.post(SourceSwitched(teacher.connection, 5, CAMERA, on=False))
    await teacher.outbox.wait_for(MembersChanged)
    assert len(home.outbox.notices) == told, "nothing is put by for a connection that is gone"


async def test_it_comes_back_as_itself_with_the_whole_state(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    await room.joined("school", Role.SCHOOL)
    room.classroom.post(SourceSwitched(teacher.connection, 5, CAMERA, on=False))
    resumed = await home.resume("second")
    assert (resumed.re, resumed.endpoint, resumed.joined) == (5, home.id, True)
    snapshot = resumed.snapshot
    assert [(m.endpoint, m.away) for m in snapshot.members] == [
        ("kiosk", False),
        ("home", False),
        ("school", False),
    ]
    assert snapshot.members[0].sources[CAMERA] is False
    assert snapshot.plan.plays[1].picture == Ref(EndpointId("school"), CAMERA)
    assert room.media.admitted == ["kiosk", "home", "school"], "nothing is negotiated anew"
    room.classroom.post(SourceSwitched(teacher.connection, 6, CAMERA, on=True))
    news = await home.outbox.wait_for(MembersChanged)
    assert news.revision == snapshot.revision + 1
    assert [m.endpoint for m in news.changed] == [teacher.id], "nothing of the snapshot is told again"


async def test_the_others_see_it_come_back(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    await news_of(teacher, home)
    assert await news_of(teacher, home) is True
    await home.resume("second")
    assert await news_of(teacher, home) is False


async def test_what_it_asks_over_the_new_connection_is_answered_there(room: Room) -> None:
    await room.opened()
    home = await room.joined("home", Role.HOME)
    first = home.outbox
    home.is_cut()
    await home.resume("second")
    room.classroom.post(SourceSwitched(home.connection, 8, CAMERA, on=False))
    assert await home.outbox.wait_for(Done) == Done(8)
    assert Done(8) not in first.notices


async def test_the_secret_changes_each_time_and_the_used_one_is_void(room: Room) -> None:
    await room.opened()
    home = await room.joined("home", Role.HOME)
    secrets = [home.secret]
    for name in ("second", "third"):
        home.is_cut()
        await home.resume(name)
        secrets.append(home.secret)
        room.classroom.post(SourceSwitched(home.connection, 8, CAMERA, on=False))
    await home.outbox.wait_for(Done)
    assert len(set(secrets)) == 3
    for secret in secrets[:2]:
        assert await refused(home.ask_to_resume("thief", secret)) is ErrorCode.RESUME_FAILED
    await home.resume("fourth")


async def test_an_answer_that_was_lost_does_not_shut_it_out(room: Room) -> None:
    await room.opened()
    home = await room.joined("home", Role.HOME)
    secret = home.secret
    home.is_cut()
    await home.resume("second")
    home.is_cut()
    home.secret = secret
    await home.resume("third")
    home.is_cut()
    room.clock = 3600.0
    assert await refused(home.ask_to_resume("fourth", secret)) is ErrorCode.RESUME_FAILED


async def test_before_its_join_it_comes_back_and_may_join(room: Room) -> None:
    home = await room.enter("home", Role.HOME)
    home.is_cut()
    await room.opened()
    resumed = await home.resume("second")
    assert (resumed.joined, resumed.snapshot.members) == (False, ())
    assert resumed.snapshot.lesson.state is LessonState.LIVE
    assert (await home.join()).re == 7


async def test_a_join_whose_answer_was_lost_is_told_and_not_done_twice(room: Room) -> None:
    await room.opened()
    home = await room.enter("home", Role.HOME)
    home.ask_to_join()
    home.is_cut()
    assert (await home.resume("second")).joined
    home.ask_to_join()
    assert (await home.refused()).code is ErrorCode.ALREADY_JOINED
    assert room.media.admitted == ["kiosk", "home"]


async def test_many_that_come_back_at_once_make_few_plans(room: Room) -> None:
    teacher = await room.opened()
    homes = [await room.joined(f"home {i}", Role.HOME) for i in range(20)]
    for home in homes:
        home.is_cut()
    for home in homes:
        while home.id not in away_of(teacher):
            await teacher.outbox.wait_for(MembersChanged)
    before = len(teacher.outbox.all_of(MembersChanged))
    outcomes = [home.ask_to_resume(f"again {i}") for i, home in enumerate(homes)]
    await asyncio.wait_for(asyncio.gather(*outcomes), PATIENCE_S)
    for home in homes:
        resumed = home.outbox.notices[0]
        assert isinstance(resumed, Resumed)
        assert home.id not in {member.endpoint for member in resumed.snapshot.members if member.away}
    assert len(teacher.outbox.all_of(MembersChanged)) - before < 5


async def test_news_between_a_return_and_its_answer_is_in_the_answer(room: Room) -> None:
    home = await room.enter("home", Role.HOME)
    teacher = await room.enter("kiosk", Role.KIOSK)
    home.is_cut()
    outcome = home.ask_to_resume("second")
    room.classroom.post(Open(teacher.connection, 2))
    await asyncio.wait_for(outcome, PATIENCE_S)
    (resumed,) = home.outbox.notices
    assert isinstance(resumed, Resumed)
    assert resumed.snapshot.lesson.state is LessonState.LIVE


async def test_of_two_that_come_back_as_one_the_later_does(room: Room) -> None:
    await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    first = home.ask_to_resume("second")
    second = home.ask_to_resume("third")
    await asyncio.wait_for(second, PATIENCE_S)
    assert await refused(first) is ErrorCode.REPLACED
    assert [type(notice) for notice in home.outbox.notices] == [Resumed]


async def test_a_place_that_is_lost_before_the_answer(room: Room) -> None:
    await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    outcome = home.ask_to_resume("second")
    room.media.sink(MediaLost(home.id, "fell silent"))
    assert await refused(outcome) is ErrorCode.RESUME_FAILED
    assert home.outbox.notices == []


async def test_a_lesson_that_closes_before_the_answer(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    outcome = home.ask_to_resume("second")
    room.classroom.post(End(teacher.connection, 9))
    assert await refused(outcome) is ErrorCode.LESSON_ENDED


# Until when


async def test_a_place_expires_like_a_leave() -> None:
    room = Room(resumable_s=0.05)
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    while not (news := await teacher.outbox.wait_for(MembersChanged)).gone:
        pass
    assert news.gone == (home.id,)
    assert room.media.dismissed == [home.id]
    assert await refused(home.ask_to_resume("late")) is ErrorCode.RESUME_FAILED
    room.classroom.post(Stop())
    await room.task


async def test_who_came_back_in_time_does_not_expire(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    first = home.connection
    home.is_cut()
    await home.resume("second")
    room.classroom.post(PlaceExpired(first))
    home.is_cut()
    room.classroom.post(PlaceExpired(first))
    room.classroom.post(Disconnected(first))
    await room.joined("other", Role.HOME)
    assert room.media.dismissed == []
    room.classroom.post(PlaceExpired(home.connection))
    while not (news := await teacher.outbox.wait_for(MembersChanged)).gone:
        pass
    assert news.gone == (home.id,)


async def test_a_classroom_of_those_away_stays_until_they_expire() -> None:
    room = Room(resumable_s=1.5)
    teacher = await room.opened()
    teacher.is_cut()
    await asyncio.sleep(0.05)
    assert not room.task.done()
    await teacher.resume("second")
    teacher.is_cut()
    async with asyncio.timeout(PATIENCE_S):
        await room.task
    assert room.media.closed == 1


async def test_whoever_is_here_comes_before_a_place_that_is_kept() -> None:
    room = Room(limit=2)
    teacher = await room.opened()
    ghost = await room.joined("ghost", Role.HOME)
    ghost.is_cut()
    await room.joined("home", Role.HOME)
    assert room.media.dismissed == [ghost.id]
    assert await refused(ghost.ask_to_resume("late")) is ErrorCode.RESUME_FAILED
    room.classroom.post(Enter(ConnectionId("x"), 4, make_pass(Role.HOME, "x"), outbox := KeepingOutbox()))
    assert (await outbox.wait_for(Refused)).code is ErrorCode.LESSON_FULL
    assert isinstance(teacher.outbox.notices[-1], MembersChanged | SlotsChanged)
    room.classroom.post(Stop())
    await room.task


async def test_a_closed_page_keeps_no_place(room: Room) -> None:
    await room.opened()
    home = await room.joined("home", Role.HOME)
    room.classroom.post(Disconnected(home.connection, for_good=True))
    assert await refused(home.ask_to_resume("second")) is ErrorCode.RESUME_FAILED
    assert room.media.dismissed == [home.id]


# Who takes over from whom


async def test_the_older_connection_ends_when_it_still_hangs(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    old, stale = home.outbox, home.connection
    outcome = home.ask_to_resume("second")
    room.classroom.post(SourceSwitched(stale, 9, CAMERA, on=False))
    room.classroom.post(Disconnected(stale))
    await outcome
    last = old.notices[-1]
    assert isinstance(last, Refused)
    assert (last.code, last.fatal) == (ErrorCode.REPLACED, True)
    room.classroom.post(Open(teacher.connection, 3))
    await teacher.outbox.wait_for(Done)
    assert [type(notice) for notice in home.outbox.notices] == [Resumed], "no answer to another's request"
    assert room.media.dismissed == []


async def test_a_new_page_replaces_its_ghost_at_once(room: Room) -> None:
    teacher = await room.opened()
    ghost = await room.joined("ghost", Role.HOME, "Vieremä")
    page = await room.enter("page", Role.HOME, "Vieremä", replaces=ghost.secret)
    last = ghost.outbox.notices[-1]
    assert isinstance(last, Refused)
    assert last.code is ErrorCode.REPLACED
    assert room.media.dismissed == [ghost.id]
    await page.join()
    gone = [news.gone for news in teacher.outbox.all_of(MembersChanged) if news.gone]
    assert gone == [(ghost.id,)]
    assert room.media.playing(teacher.id)[0] == (Ref(page.id, CAMERA), Ref(page.id, MIC)), "the same slot"
    assert await refused(ghost.ask_to_resume("second")) is ErrorCode.RESUME_FAILED


async def test_a_ghost_may_be_cut_already_and_frees_its_place_in_a_full_lesson() -> None:
    room = Room(limit=2)
    await room.opened()
    ghost = await room.joined("ghost", Role.HOME, "Vieremä")
    ghost.is_cut()
    page = await room.enter("page", Role.HOME, "Vieremä", replaces=ghost.secret)
    assert room.media.dismissed == [ghost.id]
    again = await room.enter("again", Role.HOME, "Vieremä", replaces=page.secret)
    assert (await again.join()).snapshot.members[1].endpoint == again.id
    room.classroom.post(Stop())
    await room.task


@pytest.mark.parametrize(
    ("role", "site"), [(Role.GUEST, "Vieremä"), (Role.KIOSK, "Vieremä"), (Role.HOME, "Iisalmi")]
)
async def test_a_secret_is_of_no_use_with_another_token(room: Room, role: Role, site: str) -> None:
    await room.opened()
    home = await room.joined("home", Role.HOME, "Vieremä")
    secret, outbox = home.secret, home.outbox
    outcome = home.ask_to_resume("thief", admitted=make_pass(role, site))
    assert await refused(outcome) is ErrorCode.RESUME_FAILED
    await room.enter("thief too", role, site, replaces=secret)
    assert outbox.all_of(Refused) == []
    assert room.media.dismissed == []
    home.is_cut()
    await home.resume("second")


@pytest.mark.parametrize("secret", ["", "x" * 43, "x" * 64])
async def test_a_secret_of_nobody(room: Room, secret: str) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    assert await refused(home.ask_to_resume("second", secret)) is ErrorCode.RESUME_FAILED
    page = await room.enter("page", Role.HOME, replaces=secret)
    assert [type(notice) for notice in page.outbox.notices] == [Welcome]
    assert teacher.outbox.all_of(Refused) == []


async def test_what_was_cancelled_before_has_not_happened(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    home.ask_to_resume("second").cancel()
    await home.resume("third")
    assert teacher.outbox.all_of(Refused) == []


async def test_a_lesson_that_closes_meanwhile_lets_nobody_hang(room: Room) -> None:
    await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    room.classroom.post(Stop())
    assert await refused(home.ask_to_resume("second")) is ErrorCode.SERVER_STOPPING


async def test_a_fault_while_coming_back_ends_that_endpoint_alone(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    await asyncio.sleep(0)
    room.classroom._ice_servers = Broken()
    assert await refused(home.ask_to_resume("second")) is ErrorCode.INTERNAL
    assert room.media.dismissed == [home.id]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    room.classroom.post(Open(teacher.connection, 3))
    await teacher.outbox.wait_for(Done)


async def test_a_fault_half_way_in_leaves_nobody_without_a_connection(
    room: Room, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    await asyncio.sleep(0)
    with monkeypatch.context() as patch:
        patch.setattr(Attendance, "refresh", broken)
        assert await refused(home.ask_to_resume("second")) is ErrorCode.INTERNAL
    assert room.media.dismissed == [home.id]
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def broken(_attendance: Attendance) -> bool:
    raise RuntimeError("out of order")


class Broken:
    def for_endpoint(self, endpoint: EndpointId, now: float) -> tuple[()]:
        raise RuntimeError("no secret")


# Media


async def test_quiet_media_is_away_too_and_both_must_end(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    assert await news_of(teacher, home) is False
    room.media.sink(MediaQuiet(home.id, quiet=True))
    assert await news_of(teacher, home) is True
    home.is_cut()
    room.media.sink(MediaQuiet(home.id, quiet=False))
    before = len(teacher.outbox.all_of(MembersChanged))
    resumed = await home.resume("second")
    assert resumed.snapshot.members[1].away is False
    assert await news_of(teacher, home) is False
    assert len(teacher.outbox.all_of(MembersChanged)) == before + 1, "only what changed is told"


async def test_media_of_one_that_has_not_joined_or_is_gone_is_nobody_s_news(room: Room) -> None:
    teacher = await room.opened()
    home = await room.enter("home", Role.HOME)
    room.media.sink(MediaQuiet(home.id, quiet=True))
    room.media.sink(MediaQuiet(EndpointId("nobody"), quiet=True))
    room.classroom.post(Open(teacher.connection, 3))
    await teacher.outbox.wait_for(Done)
    assert teacher.outbox.all_of(MembersChanged) == []


async def test_consent_that_expires_while_it_is_cut_is_told_and_ends_its_place(room: Room) -> None:
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    home.is_cut()
    room.media.sink(MediaLost(home.id, "fell silent"))
    while not (news := await teacher.outbox.wait_for(MembersChanged)).gone:
        pass
    assert news.gone == (home.id,)
    assert await refused(home.ask_to_resume("second")) is ErrorCode.RESUME_FAILED


# The teacher


async def test_the_lesson_waits_for_its_teacher_and_shows_the_new_one_where_the_old_was() -> None:
    room = Room(resumable_s=0.05)
    teacher = await room.opened()
    home = await room.joined("home", Role.HOME)
    school = await room.joined("school", Role.SCHOOL)
    teacher.is_cut()
    assert await news_of(home, teacher) is True
    while not (news := await home.outbox.wait_for(MembersChanged)).gone:
        pass
    assert news.gone == (teacher.id,)
    assert room.classroom.lesson.state is LessonState.LIVE
    assert len(home.outbox.all_of(LessonChanged)) == 0
    again = await room.joined("kiosk again", Role.KIOSK)
    await school.outbox.wait_for(SlotsChanged)
    for watcher in (home, school):
        assert room.media.playing(watcher.id)[0] == (Ref(again.id, CAMERA), Ref(again.id, MIC))
    joined = again.outbox.all_of(Joined)[0]
    assert [member.endpoint for member in joined.snapshot.members] == ["home", "school", "kiosk again"]
    room.classroom.post(Stop())
    await room.task
