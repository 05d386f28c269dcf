"""Members of a live lesson: what everyone may know of an endpoint that has joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from bridge.values import EndpointId, Pass, Role, SlotCounts, SourceKind

ON_AT_JOIN = frozenset({SourceKind.CAMERA, SourceKind.MIC})
"""The other kinds are offered at join without a track: they begin when the client says so."""


@dataclass(frozen=True, slots=True)
class Member:
    """One joined endpoint. ``site`` and ``label`` are public names, never a pupil's."""

    endpoint: EndpointId
    role: Role
    site: str
    room: str | None
    label: str | None
    headcount: int
    teaches: bool
    sources: Mapping[SourceKind, bool]
    """What it publishes, and whether that is switched on."""
    counts: SlotCounts
    slots: tuple[int, ...]
    """The slot indices it receives on, ascending; those from ``counts.pairs`` on have no picture."""
    away: bool = False
    """Its connection is cut and its place is kept, or nothing comes from it over media."""

    @property
    def follows_speakers(self) -> bool:
        """It has one slot, so that what plays in it must be what is worth it now."""
        return len(self.slots) == 1

    def plays(self, kind: SourceKind) -> bool:
        """True when the source is published and switched on."""
        return self.sources.get(kind, False)

    def publishes(self, kind: SourceKind) -> bool:
        return kind in self.sources

    def switched(self, kind: SourceKind, on: bool) -> Member:
        """The same member with one of its sources switched."""
        return replace(self, sources=MappingProxyType({**self.sources, kind: on}))


def member_of(
    endpoint: EndpointId,
    admitted: Pass,
    *,
    label: str | None,
    headcount: int,
    sources: frozenset[SourceKind],
    slots: tuple[int, ...],
) -> Member:
    """The member that comes of a pass, a join and what media accepted of its offer."""
    ordered = {kind: kind in ON_AT_JOIN for kind in SourceKind if kind in sources}
    return Member(
        endpoint=endpoint,
        role=admitted.role,
        site=admitted.site,
        room=admitted.room,
        label=label,
        headcount=headcount,
        teaches=admitted.grant.teaches,
        sources=MappingProxyType(ordered),
        counts=admitted.grant.slots,
        slots=tuple(sorted(slots)),
    )


def same_room(one: Member, other: Member) -> bool:
    """Whether two endpoints stand in one physical room, and so hear each other through the air.

    The rule: an endpoint shares its own room; so do two of one site that give the same room; so do two
    school endpoints of one site that give none, because a school that names no room has one class in the
    lesson. Any other endpoint without a room (a home, a guest, ...) is a room of its own.
    """
    if one.endpoint == other.endpoint:
        return True
    if one.site != other.site or one.room != other.room:
        return False
    return one.room is not None or one.role is other.role is Role.SCHOOL
