"""What goes on in the live lessons of this process, at one moment, for whoever watches over the server.

Sites are named, since theirs are public names; people and what they call themselves are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.attendance import Attendance
from bridge.values import EndpointId, LessonId, LessonState, RecordingState, Role, SlotPlay, SourceKind


@dataclass(frozen=True, slots=True)
class EndpointOverview:
    """One endpoint of a lesson; ``joined`` False: it is let in and has not joined yet. ``away``: its
    connection is cut and its place is kept, or nothing comes from it over media."""

    endpoint: EndpointId
    role: Role
    site: str
    room: str | None
    joined: bool
    away: bool
    headcount: int
    sources: Mapping[SourceKind, bool]
    slots: tuple[SlotPlay, ...]


@dataclass(frozen=True, slots=True)
class LessonOverview:
    """One live Classroom, its endpoints in the order of joining."""

    lesson: LessonId
    state: LessonState
    recording: RecordingState
    revision: int
    endpoints: tuple[EndpointOverview, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """All of them, and what their inboxes refused and dropped since the program started."""

    lessons: tuple[LessonOverview, ...]
    inbox_refused: int
    inbox_dropped: int


def overview_of(attendance: Attendance) -> EndpointOverview:
    """That of one endpoint, of which a Classroom keeps this."""
    admitted, member = attendance.admitted, attendance.member
    return EndpointOverview(
        endpoint=attendance.endpoint,
        role=admitted.role,
        site=admitted.site,
        room=admitted.room,
        joined=member is not None,
        away=attendance.away,
        headcount=0 if member is None else member.headcount,
        sources={} if member is None else dict(member.sources),
        slots=attendance.placing.plan.plays,
    )
