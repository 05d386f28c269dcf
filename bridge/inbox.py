"""What a live Classroom is told: frozen messages, and the bounded inbox they wait in (D6)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bridge.errors import ErrorCode, RefusedError
from bridge.lessons import Lesson
from bridge.ports import CodecChanged, MediaEvent, Outbox, RecordingFailed, SourceLevel, SourceLive
from bridge.values import ConnectionId, EndpointId, Offer, Pass, SourceKind

INBOX_LIMIT = 1024
"""Messages. A full second of 50 endpoints at their rate limit; a Classroom works off thousands a second."""


@dataclass(frozen=True, slots=True)
class Request:
    """A message that came over a connection. ``request`` is the number its answer carries as ``re``."""

    connection: ConnectionId
    request: int | None


@dataclass(frozen=True, slots=True)
class Enter(Request):
    """A connection showed a valid token. Its notices go to ``outbox`` from now on."""

    admitted: Pass
    outbox: Outbox
    replaces: str | None = None
    """The secret of an endpoint that is let go for this one; one that is nobody's does no harm."""


@dataclass(frozen=True, slots=True)
class Resume(Request):
    """A connection showed a valid token and a secret: its endpoint goes on over this connection.

    ``outcome`` is done when it is in, or gets a RefusedError. What is cancelled before has not happened.
    """

    admitted: Pass
    outbox: Outbox
    secret: str
    outcome: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Open(Request):
    """The teacher opens the lesson."""


@dataclass(frozen=True, slots=True)
class Join(Request):
    label: str | None
    headcount: int
    offer: Offer


@dataclass(frozen=True, slots=True)
class Restart(Request):
    """An ICE restart; ``sdp`` is its offer."""

    sdp: str


@dataclass(frozen=True, slots=True)
class SourceSwitched(Request):
    kind: SourceKind
    on: bool


@dataclass(frozen=True, slots=True)
class End(Request):
    """The lesson ends for all."""


@dataclass(frozen=True, slots=True)
class Leave(Request):
    pass


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone. A no-op for one that left before, or that another took the place of.

    ``for_good``: by the client's will, as when its page was closed; otherwise its place is kept for a while.
    """

    connection: ConnectionId
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class PlaceExpired:
    """The place of the endpoint that this connection was cut from was kept long enough."""

    connection: ConnectionId


@dataclass(frozen=True, slots=True)
class SnapshotWanted:
    """The connection's outbox ran over and dropped its news."""

    connection: ConnectionId


@dataclass(frozen=True, slots=True)
class MediaHappened:
    event: MediaEvent

    @property
    def endpoint(self) -> EndpointId:
        event = self.event
        if isinstance(event, CodecChanged | RecordingFailed | SourceLevel | SourceLive):
            return event.source.endpoint
        return event.endpoint


@dataclass(frozen=True, slots=True)
class ChangedElsewhere:
    """The store holds the lesson in a later state than it was in here."""

    lesson: Lesson


@dataclass(frozen=True, slots=True)
class Stop:
    """The server stops."""


Message = Request | Disconnected | PlaceExpired | SnapshotWanted | MediaHappened | ChangedElsewhere | Stop


class Inbox:
    """The queue of one Classroom.

    When INBOX_LIMIT messages wait, requests are refused (``server-full``, counted in ``refused``) and a
    source's coming alive or its level is dropped (counted in ``dropped``: nothing leans on the one, and the
    other comes again). The rest is always taken:
    an endpoint sends each of its departures once and asks for one snapshot at a time, its media falls quiet
    once in some seconds at most, codecs change when somebody comes or goes, and a lesson has few states, so
    that the number of endpoints bounds it.
    """

    def __init__(self, limit: int = INBOX_LIMIT) -> None:
        self._limit = limit
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self.refused = 0
        self.dropped = 0

    def put(self, message: Message) -> None:
        """Raises RefusedError when the message is a request and the inbox is full."""
        if self._queue.qsize() >= self._limit:
            if isinstance(message, Request):
                self.refused += 1
                raise RefusedError(ErrorCode.SERVER_FULL, "the lesson has more to do than it can take in")
            if isinstance(message, MediaHappened) and isinstance(message.event, SourceLevel | SourceLive):
                self.dropped += 1
                return
        self._queue.put_nowait(message)

    def empty(self) -> bool:
        return self._queue.empty()

    async def get(self) -> Message:
        """The oldest message; waits for one."""
        return await self._queue.get()

    def drain(self) -> list[Message]:
        """All that wait, oldest first."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]
