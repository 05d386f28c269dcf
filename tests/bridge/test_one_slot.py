"""Who has one slot sees and hears the teacher, else the loudest."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.inbox import Leave, SnapshotWanted, SourceSwitched, Stop
from bridge.notices import Joined, MembersChanged, SlotsChanged, Snapshot
from bridge.ports import SourceLevel
from bridge.values import EndpointId, LessonState, Offer, OfferedSlot, Role, SourceKind
from bridge.values import SourceRef as Ref
from tests.bridge.room import Endpoint, Room

CAMERA, MIC = SourceKind.CAMERA, SourceKind.MIC
PAIR = OfferedSlot(0, "p0", "v0")
VOICE = OfferedSlot(5, None, "v0")


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    yield made
    made.classroom.post(Stop())
    await made.task


async def player(room: Room, slot: OfferedSlot) -> Endpoint:
    """Plays in one slot and publishes nothing, as a session of WHEP."""
    guest = await room.enter("guest", Role.GUEST)
    guest.ask_to_join(Offer("offer", (), (slot,)))
    await guest.outbox.wait_for(Joined)
    return guest


async def handled(room: Room, endpoint: Endpoint) -> None:
    """All that was posted before."""
    room.classroom.post(SnapshotWanted(endpoint.connection))
    await endpoint.outbox.wait_for(Snapshot)


async def speak(room: Room, who: Endpoint, level: int, seconds: float) -> None:
    """As the engine tells it, twice a second; ``level`` in dB below overload."""
    for _ in range(int(seconds * 2)):
        room.clock += 0.5
        room.media.sink(SourceLevel(Ref(who.id, MIC), level))
        await handled(room, who)


def playing(room: Room, who: Endpoint, slot: OfferedSlot) -> EndpointId | None:
    """Whose part it is, picture and voice together."""
    picture, voice = room.media.playing(who.id).get(slot.index, (None, None))
    assert slot is VOICE or picture is None or voice is None or picture.endpoint == voice.endpoint
    owner = voice or picture
    return None if owner is None else owner.endpoint


@pytest.mark.parametrize("slot", [PAIR, VOICE])
async def test_the_teacher_is_played_however_loud_others_are(room: Room, slot: OfferedSlot) -> None:
    teacher = await room.opened()
    school = await room.joined("school", Role.SCHOOL)
    guest = await player(room, slot)
    await speak(room, school, 10, 3)
    assert playing(room, guest, slot) == teacher.id


@pytest.mark.parametrize("slot", [PAIR, VOICE])
async def test_without_a_teacher_the_loudest_is_played(room: Room, slot: OfferedSlot) -> None:
    teacher = await room.opened()
    first, second = await room.joined("first", Role.SCHOOL), await room.joined("second", Role.SCHOOL)
    guest = await player(room, slot)
    room.classroom.post(Leave(teacher.connection, 3))
    await handled(room, first)
    assert room.classroom.lesson.state is LessonState.LIVE
    assert playing(room, guest, slot) == first.id, "nobody has spoken yet"

    seen = len(first.outbox.all_of(MembersChanged))
    await speak(room, second, 30, 1)
    assert playing(room, guest, slot) == second.id
    changed = guest.outbox.all_of(SlotsChanged)[-1]
    assert changed.plan.plays[0].voice == Ref(second.id, MIC)
    assert len(first.outbox.all_of(MembersChanged)) == seen, "nobody else is told of it"

    await speak(room, first, 20, 1)
    assert playing(room, guest, slot) == second.id, "not yet"
    await speak(room, first, 20, 1)
    assert playing(room, guest, slot) == first.id
    room.classroom.post(Leave(first.connection, 4))
    await handled(room, second)
    assert playing(room, guest, slot) == second.id


@pytest.mark.parametrize("slot", [PAIR, VOICE])
async def test_a_teacher_whose_microphone_is_off_is_not_listened_to(room: Room, slot: OfferedSlot) -> None:
    teacher = await room.opened()
    first, second = await room.joined("first", Role.SCHOOL), await room.joined("second", Role.SCHOOL)
    guest = await player(room, slot)

    async def switch(who: Endpoint, on: bool) -> None:
        room.classroom.post(SourceSwitched(who.connection, 5, MIC, on))
        await handled(room, who)

    await speak(room, second, 30, 1)
    await speak(room, first, 32, 1)
    assert playing(room, guest, slot) == teacher.id
    await switch(teacher, on=False)
    assert playing(room, guest, slot) == second.id
    await switch(second, on=False)
    assert playing(room, guest, slot) == first.id
    # Packets under way when it was switched off change nothing.
    await speak(room, second, 10, 3)
    assert playing(room, guest, slot) == first.id
    await switch(teacher, on=True)
    assert playing(room, guest, slot) == teacher.id


async def test_others_keep_whom_they_see_where_they_see_them(room: Room) -> None:
    await room.opened()
    first, second = await room.joined("first", Role.HOME), await room.joined("second", Role.HOME)
    third = await room.joined("third", Role.HOME)
    await handled(room, third)
    before = room.media.playing(third.id)
    await speak(room, second, 10, 3)
    await speak(room, first, 5, 3)
    assert room.media.playing(third.id) == before
