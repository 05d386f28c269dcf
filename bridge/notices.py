"""What a live Classroom says to its endpoints: values for their outboxes.

``signalling.wire`` translates them to the messages of PROTOCOL.md. A notice with ``re`` answers the request
that carried that number; the others are news.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bridge.errors import ErrorCode
from bridge.lessons import Lesson
from bridge.members import Member
from bridge.values import (
    Contact,
    EndpointId,
    IceServer,
    Pass,
    RecordingState,
    SlotPlan,
    SourceKind,
)


@dataclass(frozen=True, slots=True)
class ReturnTicket:
    """What an endpoint needs to come back."""

    secret: str = field(repr=False)
    resumable_s: float
    """How long its place is kept when its connection is cut, seconds."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The endpoint is let in; it has not joined yet."""

    re: int | None
    endpoint: EndpointId
    admitted: Pass
    lesson: Lesson
    recording: RecordingState
    return_ticket: ReturnTicket
    ice_servers: tuple[IceServer, ...]
    contact: Contact | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state. ``members`` in the order of joining, the receiver included."""

    lesson: Lesson
    recording: RecordingState
    members: tuple[Member, ...]
    plan: SlotPlan
    revision: int
    codecs: Mapping[SourceKind, str] = field(default_factory=dict)
    """As which codec the receiver is to send those of its sources that can change."""


@dataclass(frozen=True, slots=True)
class Joined:
    re: int | None
    answer: str
    sources: tuple[SourceKind, ...]
    snapshot: Snapshot
    ice_servers: tuple[IceServer, ...]


@dataclass(frozen=True, slots=True)
class Resumed:
    """The endpoint goes on over this connection. Nothing that is in ``snapshot`` is told again."""

    re: int | None
    endpoint: EndpointId
    joined: bool
    snapshot: Snapshot
    return_ticket: ReturnTicket
    ice_servers: tuple[IceServer, ...]


@dataclass(frozen=True, slots=True)
class Restarted:
    re: int | None
    answer: str
    ice_servers: tuple[IceServer, ...]


@dataclass(frozen=True, slots=True)
class LessonChanged:
    lesson: Lesson
    recording: RecordingState


@dataclass(frozen=True, slots=True)
class MembersChanged:
    changed: tuple[Member, ...]
    gone: tuple[EndpointId, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class SlotsChanged:
    plan: SlotPlan
    revision: int


@dataclass(frozen=True, slots=True)
class CodecsChanged:
    """As which codec to send, from now on, each of the receiver's sources that can change."""

    codecs: Mapping[SourceKind, str]


@dataclass(frozen=True, slots=True)
class Done:
    re: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """An error. When it is fatal, nothing follows it."""

    re: int | None
    code: ErrorCode
    text: str
    closes: bool = False
    """Fatal in this case, though its code is not always."""

    @property
    def fatal(self) -> bool:
        return self.closes or self.code.fatal


class Reason(Enum):
    """Why an endpoint is let go without an error."""

    LEFT = "left"
    LESSON_ENDED = "lesson ended"


@dataclass(frozen=True, slots=True)
class Farewell:
    """The connection closes in order; nothing follows."""

    reason: Reason


News = Snapshot | LessonChanged | MembersChanged | SlotsChanged | CodecsChanged
"""What a slow reader may lose, because a later Snapshot says it all."""

Notice = Welcome | Resumed | Joined | Restarted | Done | Refused | Farewell | News


def is_final(notice: Notice) -> bool:
    """True when the connection closes after this notice."""
    return isinstance(notice, Farewell) or (isinstance(notice, Refused) and notice.fatal)
