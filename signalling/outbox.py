"""The bounded way from a Classroom to one connection (D6): it never blocks the one that posts.

OUTBOX_LIMIT notices wait at most. When one more comes, the news among them is dropped (counted), the
Classroom is asked for a snapshot, and news is dropped until the snapshot comes, since it will hold it all.
Answers to requests are never dropped. When it runs over again before that snapshot was sent, or is full of
answers, the reader is too slow: all is dropped but the fatal error ``too-slow``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bridge.errors import ErrorCode
from bridge.notices import News, Notice, Refused, Snapshot, is_final

OUTBOX_LIMIT = 64


@dataclass(slots=True)
class OutboxCounters:
    """Of one connection since it was made, or of several together."""

    sent: int = 0
    dropped: int = 0
    overflows: int = 0

    def __add__(self, other: OutboxCounters) -> OutboxCounters:
        return OutboxCounters(
            self.sent + other.sent, self.dropped + other.dropped, self.overflows + other.overflows
        )


class Outbox:
    """One connection's queue. ``post`` puts in, one writer takes out with ``next``."""

    def __init__(self, want_snapshot: Callable[[], None], limit: int = OUTBOX_LIMIT) -> None:
        """``want_snapshot`` is called at an overflow; it must not block."""
        self._want_snapshot = want_snapshot
        self._limit = limit
        self._queue: deque[Notice] = deque()
        self._filled = asyncio.Event()
        self._snapshot_due = False
        self._catching_up = False
        self.final: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the final notice was posted; nothing is taken after that."""
        self.counters = OutboxCounters()

    def post(self, notice: Notice) -> None:
        """Never blocks. A no-op after a final notice."""
        if self.final.done():
            self.counters.dropped += 1
            return
        if isinstance(notice, Snapshot):
            self._snapshot_due = False
        elif self._snapshot_due and isinstance(notice, News):
            self.counters.dropped += 1
            return
        if len(self._queue) >= self._limit and not is_final(notice):
            self._overflow(notice)
            return
        self._append(notice)

    def _append(self, notice: Notice) -> None:
        self._queue.append(notice)
        self._filled.set()
        if is_final(notice):
            self.final.set_result(None)

    def _overflow(self, notice: Notice) -> None:
        self.counters.overflows += 1
        answers = [waiting for waiting in self._queue if not isinstance(waiting, News)]
        if self._catching_up or len(answers) >= self._limit:
            self.counters.dropped += len(self._queue) + 1
            self._queue.clear()
            self._append(Refused(None, ErrorCode.TOO_SLOW, "the client did not read for too long"))
            return
        self.counters.dropped += len(self._queue) - len(answers)
        self._queue = deque(answers)
        self._catching_up = self._snapshot_due = True
        if isinstance(notice, News):
            self.counters.dropped += 1
        else:
            self._append(notice)
        self._want_snapshot()

    async def next(self) -> Notice:
        """The oldest notice; waits for one."""
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        return self._queue.popleft()

    def sent(self, notice: Notice) -> None:
        """To be told when a notice has left."""
        self.counters.sent += 1
        if isinstance(notice, Snapshot):
            self._catching_up = False
