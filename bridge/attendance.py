"""What a Classroom keeps of one endpoint between its messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.members import Member
from bridge.ports import Outbox
from bridge.slots import Placing
from bridge.values import EndpointId, Grant, Pass


@dataclass(slots=True)
class Attendance:
    """One endpoint in a live lesson, owned by the Classroom's task."""

    endpoint: EndpointId
    admitted: Pass
    outbox: Outbox
    member: Member | None = None
    """None until it has joined."""
    placing: Placing = field(default_factory=Placing)
    join_answer: tuple[int | None, str] | None = None
    """A join that is not answered yet: its number and the SDP answer."""
    announced: bool = False
    """Whether the others have heard of it."""

    @property
    def grant(self) -> Grant:
        return self.admitted.grant
