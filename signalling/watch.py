"""What goes on in the program, gathered from the parts that know it: readiness, statistics, metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from bridge.errors import SetupError
from bridge.lessons import LessonStore, LessonUnknownError
from bridge.registry import LiveLessons
from bridge.values import LessonId
from signalling.http import Door
from signalling.listener import Listener
from signalling.metrics import Metrics, Moment

log = logging.getLogger(__name__)

ANSWER_S = 3.0
"""For a part to say that it is there; the engine itself waits 2 s for its shards."""
FRESH_S = 1.0
"""An answer is good so long: anyone may ask, and asking shall not be work."""
OK = "ok"

MediaStatistics = Callable[[], Awaitable[dict[str, Any]]]
"""media.service.MediaService.statistics: raises an exception when a shard does not answer."""
Check = Callable[[], Awaitable[str]]
"""Whether a part can work: "ok", or a stable word for what is wrong; a SetupError says it by its code."""


class Readiness:
    """Asks the parts, at most once in FRESH_S, however many want to know."""

    def __init__(self, parts: Mapping[str, Check], clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = dict(parts)
        self._clock = clock
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._found: dict[str, str] = {}

    async def ask(self) -> dict[str, str]:
        """Part -> "ok" or what is wrong with it. What has changed since the last time is logged."""
        async with self._asking:
            if self._clock() - self._asked_at >= FRESH_S:
                words = await asyncio.gather(*(_ask(part, check) for part, check in self._parts.items()))
                found = dict(zip(self._parts, words, strict=True))
                if found != self._found:
                    said = ", ".join(f"{part} {word}" for part, word in found.items())
                    log.log(logging.INFO if is_ready(found) else logging.WARNING, "readiness: %s", said)
                self._found, self._asked_at = found, self._clock()
            return self._found


def is_ready(parts: Mapping[str, str]) -> bool:
    return all(word == OK for word in parts.values())


async def _ask(part: str, check: Check) -> str:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await check()
    except SetupError as error:
        return error.code
    except Exception as error:
        # Readiness says once what is wrong; the reason is for whoever looks closer.
        log.debug("%s is not ready: %r", part, error)
        return "no-answer"


class Watch:
    """Tells operations.py."""

    def __init__(
        self,
        store: LessonStore,
        media: MediaStatistics,
        lessons: LiveLessons,
        door: Door,
        *,
        metrics: Metrics,
        listener: Listener,
    ) -> None:
        self._store = store
        self._media = media
        self._lessons = lessons
        self._door = door
        self._metrics = metrics
        self._listener = listener
        self.stopping = False
        self.readiness = Readiness(
            {"storage": self._storage, "media": self._engine, "program": self._program}
        )

    async def statistics(self) -> dict[str, Any]:
        """What media knows, and under ``classrooms`` what each live Classroom knows, by lesson id.

        Raises SetupError: ``media-unavailable``.
        """
        try:
            media = await self._media()
        except Exception as error:
            raise SetupError("media-unavailable", f"the packet engine gives no counters: {error}") from error
        return {**media, "classrooms": {each.lesson: each for each in self._lessons.overview().lessons}}

    async def metrics(self) -> bytes:
        """Prometheus' text format; without the engine's counters when it gives none."""
        try:
            media = await self._media()
        except Exception as error:
            # It is in the answer (luokkasilta_engine_up 0); a line at every scrape would fill the log.
            log.debug("the packet engine gives no counters: %r", error)
            media = None
        outboxes = self._door.outboxes
        moment = Moment(
            lessons=self._lessons.overview(),
            connections=self._door.connections,
            strangers=self._door.strangers,
            http_connections=self._listener.open,
            outbox_dropped=outboxes.dropped,
            outbox_overflows=outboxes.overflows,
            unread=self._listener.unread,
            refused_connections=self._listener.refused,
            media=media,
        )
        return await self._metrics.write(moment)

    async def _storage(self) -> str:
        # No lesson has this id, and to say so the table must be read.
        with suppress(LessonUnknownError):
            await self._store.get(LessonId(""))
        return OK

    async def _engine(self) -> str:
        await self._media()
        return OK

    async def _program(self) -> str:
        return "stopping" if self.stopping else OK
