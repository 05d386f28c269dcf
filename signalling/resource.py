"""An endpoint without a WebSocket: a session of WHIP (RFC 9725) or WHEP, known by its URL.

    requests --post--> Classroom --post--> ResourceOutbox: the answer somebody waits for, or the end

To the Classroom it is an endpoint like any other. It is told what it asks, and of the news nothing, since
nobody would read it; a final notice ends it. Silence over media is its only sign of having gone (RFC 7675).
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import logging
import secrets
from collections.abc import Callable
from hashlib import sha256

from bridge.classroom import Classroom
from bridge.errors import ErrorCode, RefusedError
from bridge.inbox import Disconnected, Join, Restart, SourceSwitched
from bridge.members import ON_AT_JOIN
from bridge.notices import Joined, Notice, Refused, Restarted, is_final
from bridge.registry import LiveLessons
from bridge.values import ConnectionId, IceServer, LessonId, Offer, Pass
from signalling import icefragment
from signalling.icefragment import Credentials
from signalling.ratelimit import TokenBucket

log = logging.getLogger(__name__)

ANSWER_S = 10.0
"""For the Classroom to answer; a negotiation takes milliseconds."""
PATCHES_PER_S = 5.0
PATCH_BURST = 50
"""A client with several interfaces trickles some tens of candidates within a second."""


class ResourceOutbox:
    """Implements bridge.ports.Outbox. It holds nothing but the one request that is under way."""

    def __init__(self, on_final: Callable[[], None]) -> None:
        """``on_final`` is called once, when nothing more will come."""
        self._on_final = on_final
        self._numbers = itertools.count(1)
        self._waiting: tuple[int, asyncio.Future[Notice]] | None = None
        self.final = False

    def expect(self) -> tuple[int, asyncio.Future[Notice]]:
        """The number for a request that is about to be made, and its answer: a RefusedError for a refusal."""
        self._waiting = next(self._numbers), asyncio.get_running_loop().create_future()
        return self._waiting

    def post(self, notice: Notice) -> None:
        """Never blocks. News is dropped; what comes after a final notice too."""
        if self.final:
            return
        ends = is_final(notice)
        if self._waiting is not None:
            number, future = self._waiting
            # One that was answered, or that nobody waits for any more, is done.
            if not future.done() and (ends or getattr(notice, "re", None) == number):
                _settle(future, notice)
        if ends:
            self.final = True
            self._on_final()


def _settle(future: asyncio.Future[Notice], notice: Notice) -> None:
    if isinstance(notice, Refused):
        future.set_exception(RefusedError(notice.code, notice.text))
    elif is_final(notice):
        future.set_exception(RefusedError(ErrorCode.LESSON_ENDED, "the lesson has ended"))
    else:
        future.set_result(notice)


class Resource:
    """One session. ``enter`` once, then ``restart`` as often as the client likes, until it has ended."""

    def __init__(
        self, admitted: Pass, token: str, *, now: float, on_ended: Callable[[Resource], None]
    ) -> None:
        """``now`` in seconds of a clock that never goes back; ``on_ended`` is called once."""
        self.id = secrets.token_urlsafe(24)
        self.etag = _new_etag()
        self.admitted = admitted
        self.ice_servers: tuple[IceServer, ...] = ()
        self._token = sha256(token.encode("utf-8", "surrogatepass")).digest()
        self._on_ended = on_ended
        self._outbox = ResourceOutbox(self._ended)
        self._classroom: Classroom | None = None
        self._connection = ConnectionId("")
        self._offer = ""
        self._remote: Credentials | None = None
        self._restarts = 0
        self._gone = False
        self._one_at_a_time = asyncio.Lock()
        self.bucket = TokenBucket(PATCHES_PER_S, PATCH_BURST, now)

    @property
    def lesson(self) -> LessonId:
        return self.admitted.lesson

    def shows_own_token(self, token: str) -> bool:
        """True for the very token that it was made with: it keeps the right to it when that has expired."""
        return hmac.compare_digest(sha256(token.encode("utf-8", "surrogatepass")).digest(), self._token)

    def belongs_to(self, admitted: Pass) -> bool:
        """True for another token of the same place, as one that was renewed."""
        own = self.admitted
        names = ("lesson", "role", "site", "room")
        return all(getattr(own, name) == getattr(admitted, name) for name in names)

    async def enter(self, lessons: LiveLessons, offer: Offer) -> str:
        """Join the lesson; gives the SDP answer. Raises RefusedError, and then it has ended."""
        try:
            number, entered = self._outbox.expect()
            self._classroom, self._connection = await lessons.enter(self.admitted, self._outbox, number)
            await _in_time(entered)
            number, joined = self._outbox.expect()
            self._classroom.post(Join(self._connection, number, None, 1, offer))
            notice = await _in_time(joined)
            assert isinstance(notice, Joined), notice
            # An encoder sends what it offered, from the first moment.
            for kind in notice.sources:
                if kind not in ON_AT_JOIN:
                    self._classroom.post(SourceSwitched(self._connection, None, kind, on=True))
        except BaseException:
            self.end()
            raise
        self._offer = offer.sdp
        self._remote = icefragment.credentials_of(offer.sdp)
        self.ice_servers = notice.ice_servers
        return notice.answer

    def knows(self, credentials: Credentials | None) -> bool:
        """True for none, and for those that the client uses at the moment."""
        return credentials is None or credentials == self._remote

    def answered_restart(self, credentials: Credentials | None) -> bool:
        """True where these credentials came by a restart: who says them again has lost the answer."""
        return self._restarts > 0 and credentials is not None and credentials == self._remote

    async def restart(self, credentials: Credentials) -> str:
        """An ICE restart; gives the fragment that answers it, and ``etag`` is a new one unless the same
        restart was answered before. Raises RefusedError."""
        async with self._one_at_a_time:
            if self._classroom is None or self._gone:
                raise RefusedError(ErrorCode.NOT_JOINED, "it has ended")
            again = self.answered_restart(credentials)
            number, answered = self._outbox.expect()
            offer = icefragment.offer_with(self._offer, credentials)
            self._classroom.post(Restart(self._connection, number, offer))
            notice = await _in_time(answered)
            assert isinstance(notice, Restarted), notice
            self.ice_servers = notice.ice_servers
            if not again:
                self._remote = credentials
                self._restarts += 1
                self.etag = _new_etag()
            return icefragment.of_answer(notice.answer)

    def end(self) -> None:
        """Leave the lesson. Idempotent."""
        if self._classroom is not None and not self._outbox.final:
            self._classroom.post(Disconnected(self._connection, for_good=True))
        self._outbox.final = True
        self._ended()

    def _ended(self) -> None:
        if not self._gone:
            self._gone = True
            log.info("lesson %s connection %s: its session is over", self.lesson, self._connection)
            self._on_ended(self)


async def _in_time(answer: asyncio.Future[Notice]) -> Notice:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await answer
    except TimeoutError:
        raise RefusedError(ErrorCode.SERVER_FULL, "the lesson does not answer in time") from None


def _new_etag() -> str:
    """A strong one (RFC 9110 section 8.8.3), with its quotation marks."""
    return f'"{secrets.token_urlsafe(12)}"'
