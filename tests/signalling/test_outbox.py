"""The bounded outbox: a slow reader falls back to a snapshot, then is let go; the Classroom never waits."""

from __future__ import annotations

from bridge.errors import ErrorCode
from bridge.notices import Done, MembersChanged, Notice, Refused, Snapshot
from bridge.values import RecordingState, SlotPlan
from signalling.outbox import OUTBOX_LIMIT, Outbox
from tests.bridge.support import LESSON


class Bench:
    def __init__(self, limit: int = OUTBOX_LIMIT) -> None:
        self.asked = 0
        self.outbox = Outbox(self._ask, limit)

    def _ask(self) -> None:
        self.asked += 1

    async def drain(self, count: int) -> list[Notice]:
        taken = []
        for _ in range(count):
            notice = await self.outbox.next()
            self.outbox.sent(notice)
            taken.append(notice)
        return taken


def news(revision: int) -> MembersChanged:
    return MembersChanged((), (), revision)


def snapshot(revision: int) -> Snapshot:
    return Snapshot(LESSON, RecordingState.OFF, (), SlotPlan(), revision)


async def test_an_overflow_drops_the_news_keeps_the_answers_and_asks_once() -> None:
    bench = Bench()
    bench.outbox.post(Done(7))
    for revision in range(OUTBOX_LIMIT + 20):
        bench.outbox.post(news(revision))
    assert bench.asked == 1
    bench.outbox.post(snapshot(100))
    bench.outbox.post(news(101))
    assert await bench.drain(3) == [Done(7), snapshot(100), news(101)]
    assert bench.outbox.counters.dropped == OUTBOX_LIMIT + 20
    assert not bench.outbox.final.done()


async def test_a_second_overflow_before_the_snapshot_was_read_is_too_slow() -> None:
    bench = Bench()
    for revision in range(OUTBOX_LIMIT + 1):
        bench.outbox.post(news(revision))
    bench.outbox.post(snapshot(100))
    for revision in range(OUTBOX_LIMIT):
        bench.outbox.post(news(200 + revision))
    assert bench.outbox.final.done()
    (last,) = await bench.drain(1)
    assert isinstance(last, Refused)
    assert last.code is ErrorCode.TOO_SLOW


async def test_who_has_read_its_snapshot_may_fall_behind_again() -> None:
    bench = Bench()
    for turn in range(3):
        for revision in range(OUTBOX_LIMIT + 1):
            bench.outbox.post(news(revision))
        bench.outbox.post(snapshot(turn))
        assert await bench.drain(1) == [snapshot(turn)]
    assert (bench.asked, bench.outbox.final.done()) == (3, False)


async def test_answers_alone_can_be_too_many() -> None:
    bench = Bench(limit=4)
    for number in range(5):
        bench.outbox.post(Done(number))
    (last,) = await bench.drain(1)
    assert isinstance(last, Refused)
    assert last.code is ErrorCode.TOO_SLOW


async def test_nothing_follows_the_final_notice() -> None:
    bench = Bench()
    bench.outbox.post(Refused(None, ErrorCode.INTERNAL, "a fault"))
    bench.outbox.post(Done(1))
    assert bench.outbox.counters.dropped == 1
