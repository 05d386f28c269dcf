"""An endpoint is told as which codec to send what it can send as several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.inbox import Open, SnapshotWanted, Stop
from bridge.notices import CodecsChanged, Done, Joined, Snapshot
from bridge.ports import Admission, CodecChanged
from bridge.values import EndpointId, Grant, Offer, Role, SourceKind, SourceRef
from tests.bridge.room import Room
from tests.bridge.support import PATIENCE_S, RecordingMedia

SCREEN, DOCUMENT = SourceKind.SCREEN, SourceKind.DOCUMENT


class ChangingMedia(RecordingMedia):
    """Every screen and document can change, and begins as VP9."""

    def admit(self, endpoint: EndpointId, offer: Offer, grant: Grant) -> Admission:
        admission = super().admit(endpoint, offer, grant)
        codecs = {kind: "vp9" for kind in (DOCUMENT, SCREEN) if kind in admission.sources}
        return Admission(admission.answer, admission.sources, admission.slots, codecs)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room(media=ChangingMedia)
    yield made
    made.classroom.post(Stop())
    async with asyncio.timeout(PATIENCE_S):
        await made.task


async def test_the_join_says_how_to_begin_and_news_what_changes(room: Room) -> None:
    teacher = await room.enter("kiosk", Role.KIOSK)
    room.classroom.post(Open(teacher.connection, 2))
    await teacher.outbox.wait_for(Done)
    joined = await teacher.join()
    assert joined.snapshot.codecs == {DOCUMENT: "vp9", SCREEN: "vp9"}
    home = await room.joined("home", Role.HOME)

    room.media.sink(CodecChanged(SourceRef(teacher.id, SCREEN), "vp8"))
    assert await teacher.outbox.wait_for(CodecsChanged) == CodecsChanged({DOCUMENT: "vp9", SCREEN: "vp8"})
    room.classroom.post(SnapshotWanted(teacher.connection))
    assert (await teacher.outbox.wait_for(Snapshot)).codecs == {DOCUMENT: "vp9", SCREEN: "vp8"}
    room.classroom.post(SnapshotWanted(home.connection))
    assert (await home.outbox.wait_for(Snapshot)).codecs == {}
    assert home.outbox.all_of(CodecsChanged) == [], "it is the publisher's alone"


async def test_a_change_before_the_join_is_answered_is_in_the_answer(room: Room) -> None:
    teacher = await room.opened()
    school = await room.enter("school", Role.SCHOOL)
    school.ask_to_join()
    # As media says it while the next joins, in the same turn.
    room.media.sink(CodecChanged(SourceRef(school.id, SCREEN), "h264"))
    room.media.sink(CodecChanged(SourceRef(EndpointId("nobody"), SCREEN), "h264"))
    joined = await school.outbox.wait_for(Joined)
    assert joined.snapshot.codecs == {DOCUMENT: "vp9", SCREEN: "h264"}
    assert school.outbox.all_of(CodecsChanged) == []
    assert teacher.outbox.all_of(CodecsChanged) == []


async def test_who_comes_back_learns_what_changed_meanwhile(room: Room) -> None:
    teacher = await room.opened()
    teacher.is_cut()
    room.media.sink(CodecChanged(SourceRef(teacher.id, SCREEN), "vp8"))
    resumed = await teacher.resume("second")
    assert resumed.snapshot.codecs == {DOCUMENT: "vp9", SCREEN: "vp8"}
