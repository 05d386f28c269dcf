"""One WebSocket from its first frame to its close: the protocol of PROTOCOL.md, sections 1, 3 and 6.

    frames -> rate limit -> decode -> handler of its type -> Classroom.post
    Classroom -> Outbox -> to_wire -> frames

Three tasks serve it: a reader, a writer and a heartbeat. Whichever ends first, or the outbox's final notice,
ends the connection: the final notice gets ``closing_s`` to leave, then the transport is cut. The Classroom is
told in any case, and the Classroom never closes a socket itself: it posts a final notice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType

from bridge import inbox
from bridge.classroom import Classroom
from bridge.config import Limits
from bridge.errors import ErrorCode, RefusedError
from bridge.inbox import Disconnected, SnapshotWanted
from bridge.notices import Joined, Notice, Refused, is_final
from bridge.registry import LiveLessons
from bridge.values import ConnectionId, Offer, OfferedSlot, OfferedSource
from signalling import messages as m
from signalling.metrics import Metrics
from signalling.outbox import Outbox, OutboxCounters
from signalling.ratelimit import TokenBucket
from signalling.socket import LessonSocket
from signalling.tokens import Tokens
from signalling.wire import close_code, to_wire

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What every connection needs of the program."""

    lessons: LiveLessons
    tokens: Tokens
    limits: Limits
    clock: Callable[[], float]
    """POSIX seconds."""
    metrics: Metrics = field(default_factory=Metrics)


class Connection:
    """Serves one prepared socket."""

    def __init__(
        self,
        socket: LessonSocket,
        cut: Callable[[], None],
        services: Services,
        on_entered: Callable[[], None],
    ) -> None:
        """``cut`` closes the transport at once; ``on_entered`` is called when a token was accepted."""
        self._socket = socket
        self._cut = cut
        self._services = services
        self._on_entered = on_entered
        self._outbox = Outbox(self._want_snapshot)
        self._classroom: Classroom | None = None
        self._id = ConnectionId("")
        self._resumes_failed = 0
        self._gone_for_good = False
        self._reading: asyncio.Task[None] | None = None
        self._alive = True
        self._join_came_at: float | None = None
        limits = services.limits
        self._bucket = TokenBucket(limits.messages_per_s, limits.message_burst, time.monotonic())
        self._handlers: dict[type[m.AnyClientMessage], Callable[[Any], Awaitable[None]]] = {
            m.Hello: self._hello,
            m.Open: self._open,
            m.Join: self._join,
            m.Restart: self._restart,
            m.Source: self._source,
            m.End: self._end,
            m.Leave: self._leave,
        }

    @property
    def counters(self) -> OutboxCounters:
        """What was sent and dropped on this connection."""
        return self._outbox.counters

    def refuse(self, code: ErrorCode, text: str, re: int | None = None, *, closes: bool = False) -> None:
        """Answer with an error; one that is fatal ends the connection. A no-op when it ends already."""
        self._outbox.post(Refused(re, code, text, closes))

    async def serve(self) -> None:
        """Returns when the socket is closed and the Classroom has been told."""
        reading = self._reading = asyncio.create_task(self._read(), name="read")
        writing = asyncio.create_task(self._write(), name="write")
        beating = asyncio.create_task(self._beat(), name="beat")
        tasks = {reading, writing, beating}
        try:
            await asyncio.wait({*tasks, self._outbox.final}, return_when=asyncio.FIRST_COMPLETED)
            if self._outbox.final.done():
                await asyncio.wait({writing}, timeout=self._services.limits.closing_s)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._classroom is not None:
                self._classroom.post(Disconnected(self._id, self._gone_for_good))
            # A no-op for a socket that closed in order.
            self._cut()
            self._outbox.final.cancel()

    # Writing

    async def _write(self) -> None:
        """Until the final notice has left and the socket is closed, or the socket is gone."""
        with suppress(ConnectionError):
            while True:
                notice = await self._outbox.next()
                await self._send(notice)
                self._outbox.sent(notice)
                self._count(notice)
                if is_final(notice):
                    # Closing from under a reader, aiohttp would not wait for the client's close frame, and
                    # what the client has not read yet would be lost with the socket.
                    await self._stop_reading()
                    await self._socket.close(code=close_code(notice))
                    return

    async def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    def _count(self, notice: Notice) -> None:
        if isinstance(notice, Refused):
            self._services.metrics.refused(notice.code)
        elif isinstance(notice, Joined) and self._join_came_at is not None:
            self._services.metrics.joined(time.monotonic() - self._join_came_at)
            self._join_came_at = None

    async def _send(self, notice: Notice) -> None:
        try:
            message = to_wire(notice)
            frame = None if message is None else m.encode(message)
        except Exception:
            log.exception("%s: %s can't be written", self._where(), type(notice).__name__)
            self.refuse(ErrorCode.INTERNAL, "a fault of the server")
            return
        if frame is not None:
            await self._socket.send_str(frame)

    async def _beat(self) -> None:
        """Until a whole interval passed without a frame, a pong or the room to write a ping."""
        interval = self._services.limits.heartbeat_s
        with suppress(ConnectionError, TimeoutError):
            while self._alive:
                self._alive = False
                async with asyncio.timeout(interval):
                    await self._socket.ping()
                await asyncio.sleep(interval)
            log.info("%s: no sign of life for %g s", self._where(), interval)

    def _want_snapshot(self) -> None:
        if self._classroom is not None:
            self._classroom.post(SnapshotWanted(self._id))

    # Reading

    async def _read(self) -> None:
        """Until the socket closes or an error is fatal."""
        try:
            while True:
                # Also for the second hello of one whose first could not resume.
                limit_s = self._services.limits.hello_timeout_s if self._classroom is None else None
                try:
                    async with asyncio.timeout(limit_s):
                        frame = await self._next_text()
                except TimeoutError:
                    self.refuse(ErrorCode.HELLO_EXPECTED, "no hello in time")
                    return
                if frame is None:
                    return
                await self._take(frame)
        except Exception:
            log.exception("%s: reading failed", self._where())
            self.refuse(ErrorCode.INTERNAL, "a fault of the server")

    async def _next_text(self) -> str | None:
        """The next text frame, or None when there is no more to read."""
        while not self._outbox.final.done():
            frame = await self._socket.receive()
            if frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                # A browser says so when its page is closed or loaded anew.
                self._gone_for_good = frame.type is WSMsgType.CLOSE and frame.data == WSCloseCode.GOING_AWAY
                return None
            self._alive = True
            if frame.type is WSMsgType.PONG:
                continue
            if not self._bucket.take(time.monotonic()):
                self.refuse(ErrorCode.TOO_MANY_MESSAGES, "faster than the limit")
            elif frame.type is WSMsgType.PING:
                await self._socket.pong(frame.data)
            elif frame.type is WSMsgType.TEXT:
                return str(frame.data)
            else:
                self.refuse(ErrorCode.MESSAGE_INVALID, "a binary frame", closes=True)
        return None

    async def _take(self, frame: str) -> None:
        """One request; what can't be met is answered with its error."""
        try:
            message = m.decode(frame)
        except RefusedError as refused:
            # Before its hello nobody is worth an explanation of the grammar, or a second try.
            code = ErrorCode.HELLO_EXPECTED if self._classroom is None else refused.code
            self.refuse(code, refused.text, m.request_id_of(frame))
            return
        if self._classroom is None and not isinstance(message, m.Hello):
            self.refuse(ErrorCode.HELLO_EXPECTED, "the first message is a hello", message.id)
            return
        try:
            await self._handlers[type(message)](message)
        except RefusedError as refused:
            log.debug("%s: refused, %s", self._where(), refused.code)
            self.refuse(refused.code, refused.text, message.id)

    async def _hello(self, message: m.Hello) -> None:
        if self._classroom is not None:
            raise RefusedError(ErrorCode.ALREADY_JOINED, "one hello is enough")
        if message.version != m.VERSION:
            raise RefusedError(ErrorCode.VERSION_UNSUPPORTED, f"this server speaks version {m.VERSION}")
        if message.resume is not None and message.replaces is not None:
            raise RefusedError(ErrorCode.HELLO_EXPECTED, "a hello either resumes or replaces")
        admitted = self._services.tokens.check(message.token, self._services.clock())
        self._on_entered()
        lessons = self._services.lessons
        if message.resume is None:
            self._classroom, self._id = await lessons.enter(
                admitted, self._outbox, message.id, message.replaces
            )
            return
        try:
            self._classroom, self._id = await lessons.resume(
                admitted, self._outbox, message.id, message.resume
            )
        except RefusedError as refused:
            if refused.code is not ErrorCode.RESUME_FAILED:
                raise
            # One page has one secret; whoever tries more of them pays with a connection for each two.
            self._resumes_failed += 1
            self.refuse(refused.code, refused.text, message.id, closes=self._resumes_failed > 1)

    async def _open(self, message: m.Open) -> None:
        self._post(inbox.Open(self._id, message.id))

    async def _join(self, message: m.Join) -> None:
        self._join_came_at = time.monotonic()
        offer = Offer(
            sdp=message.offer,
            sources=tuple(
                OfferedSource(source.kind, source.mid, source.changes_codec) for source in message.sources
            ),
            slots=tuple(OfferedSlot(slot.index, slot.picture, slot.voice) for slot in message.slots),
        )
        self._post(inbox.Join(self._id, message.id, message.label, message.headcount, offer))

    async def _restart(self, message: m.Restart) -> None:
        self._post(inbox.Restart(self._id, message.id, message.offer))

    async def _source(self, message: m.Source) -> None:
        self._post(inbox.SourceSwitched(self._id, message.id, message.kind, message.on))

    async def _end(self, message: m.End) -> None:
        self._post(inbox.End(self._id, message.id))

    async def _leave(self, message: m.Leave) -> None:
        self._post(inbox.Leave(self._id, message.id))

    def _post(self, request: inbox.Request) -> None:
        # _take let nothing but a hello come here before there was a Classroom.
        assert self._classroom is not None
        self._classroom.post(request)

    def _where(self) -> str:
        """For the log: never a name, a label or a token."""
        if self._classroom is None:
            return "a connection before its hello"
        return f"lesson {self._classroom.lesson.id} connection {self._id}"
