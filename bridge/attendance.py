"""Who is in a live lesson: its endpoints, the connections they are reached over, and their way back."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from bridge.members import Member
from bridge.notices import CodecsChanged, Notice
from bridge.ports import Outbox
from bridge.resumption import Resumption
from bridge.slots import Placing
from bridge.values import ConnectionId, EndpointId, Grant, Pass, SourceKind


class Nowhere:
    """The outbox of an endpoint without a connection. What it misses is in the snapshot of its return."""

    def post(self, notice: Notice) -> None:
        """Forgets it."""


@dataclass(slots=True)
class Attendance:
    """One endpoint in a live lesson, owned by the Classroom's task."""

    endpoint: EndpointId
    admitted: Pass
    connection: ConnectionId
    """The one it is reached over, or the last one when ``cut``."""
    outbox: Outbox
    member: Member | None = None
    """None until it has joined."""
    placing: Placing = field(default_factory=Placing)
    codecs: Mapping[SourceKind, str] = field(default_factory=dict)
    """As which codec it is to send the sources that can change."""
    join_answer: tuple[int | None, str] | None = None
    """A join that is not answered yet: its number and the SDP answer."""
    announced: bool = False
    """Whether the others have heard of it."""
    cut: bool = False
    quiet: bool = False
    """Nothing comes from it over media."""
    expiry: TimerHandle | None = None
    """Ends its place while it is cut."""

    @property
    def grant(self) -> Grant:
        return self.admitted.grant

    @property
    def away(self) -> bool:
        return self.cut or self.quiet

    def change_codec(self, kind: SourceKind, codec: str) -> None:
        """It is to send this source as this codec from now on."""
        self.codecs = {**self.codecs, kind: codec}
        # Before its join is answered, the snapshot of the answer says it.
        if self.join_answer is None:
            self.outbox.post(CodecsChanged(self.codecs))

    def refresh(self) -> bool:
        """Bring ``member.away`` up to date. True when that changed it."""
        if self.member is None or self.member.away is self.away:
            return False
        self.member = replace(self.member, away=self.away)
        return True


class Register:
    """The attendances of one lesson, in the order of joining, ``limit`` at most.

    An endpoint whose connection is cut stays, without a connection, until it is resumed or removed.
    """

    def __init__(self, limit: int, resumable_s: float) -> None:
        self.limit = limit
        self._present: dict[EndpointId, Attendance] = {}
        self._connected: dict[ConnectionId, Attendance] = {}
        self._cut: dict[ConnectionId, Attendance] = {}
        """By the connection that they lost, those cut first in front."""
        self._resumption = Resumption(resumable_s)

    def __iter__(self) -> Iterator[Attendance]:
        """Over those of this moment, whatever is added or removed meanwhile."""
        return iter(tuple(self._present.values()))

    def __len__(self) -> int:
        return len(self._present)

    def get(self, endpoint: EndpointId) -> Attendance | None:
        return self._present.get(endpoint)

    def connected(self, connection: ConnectionId) -> Attendance | None:
        """Whose connection it is; None for one that left, was cut or was replaced."""
        return self._connected.get(connection)

    def cut_from(self, connection: ConnectionId) -> Attendance | None:
        """Whose last connection it was, while that is cut."""
        return self._cut.get(connection)

    def longest_cut(self) -> Attendance | None:
        return next(iter(self._cut.values()), None)

    def members(self) -> tuple[Member, ...]:
        """In the order of joining."""
        return tuple(a.member for a in self._present.values() if a.member is not None)

    def add(self, connection: ConnectionId, admitted: Pass, outbox: Outbox) -> tuple[Attendance, str]:
        """A new endpoint, named after its first connection, and its first secret to come back with."""
        attendance = Attendance(EndpointId(connection), admitted, connection, outbox)
        self._present[attendance.endpoint] = attendance
        self._connected[connection] = attendance
        return attendance, self._resumption.issue(attendance.endpoint)

    def put_last(self, attendance: Attendance) -> None:
        """It joins now: the last in the order of joining, however early it was let in."""
        self._present[attendance.endpoint] = self._present.pop(attendance.endpoint)

    def remove(self, attendance: Attendance) -> None:
        """Forget it, with its place and its secrets. A no-op for one that is not there."""
        self._present.pop(attendance.endpoint, None)
        self._connected.pop(attendance.connection, None)
        self._cut.pop(attendance.connection, None)
        self._resumption.forget(attendance.endpoint)
        _keep_without_end(attendance)

    def clear(self) -> None:
        for attendance in self:
            self.remove(attendance)

    # Coming back

    def cut(self, attendance: Attendance, expiry: TimerHandle) -> None:
        """Its connection is gone; its place is kept until ``expiry`` rings."""
        del self._connected[attendance.connection]
        self._cut[attendance.connection] = attendance
        attendance.cut, attendance.expiry = True, expiry
        attendance.outbox = Nowhere()

    def owner(self, secret: str, admitted: Pass, now: float) -> Attendance | None:
        """Whose secret it is, if it came with a token of the same role and site. ``now``: seconds."""
        endpoint = self._resumption.owner(secret, now)
        attendance = None if endpoint is None else self._present.get(endpoint)
        if attendance is None:
            return None
        own = attendance.admitted
        return attendance if (own.role, own.site) == (admitted.role, admitted.site) else None

    def resume(self, attendance: Attendance, secret: str, connection: ConnectionId, now: float) -> str:
        """Reach it over this connection from now on; gives its next secret. Its outbox comes later."""
        self._connected.pop(attendance.connection, None)
        self._cut.pop(attendance.connection, None)
        self._connected[connection] = attendance
        attendance.connection, attendance.cut = connection, False
        attendance.outbox = Nowhere()
        _keep_without_end(attendance)
        return self._resumption.renew(secret, now)

    def confirm(self, attendance: Attendance) -> None:
        """A message came over its connection: it has read its newest secret."""
        self._resumption.confirm(attendance.endpoint)


def _keep_without_end(attendance: Attendance) -> None:
    if attendance.expiry is not None:
        attendance.expiry.cancel()
        attendance.expiry = None
