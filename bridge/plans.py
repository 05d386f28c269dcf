"""The plans of one lesson's receivers: made by bridge.slots, brought to media by routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.attendance import Attendance
from bridge.members import Member
from bridge.slots import LessonRules, Roster, assign
from bridge.speakers import Speakers
from bridge.values import EndpointId, SlotPlay, SourceRef

Route = Callable[[EndpointId, int, SourceRef | None, SourceRef | None], None]


@dataclass(frozen=True, slots=True)
class Rosters:
    """A lesson's parts, ranked for those who have some slots and for those who have one."""

    all: Roster
    followed: Roster

    def of(self, member: Member) -> Roster:
        return self.followed if member.follows_speakers else self.all


class Plans:
    """Knows who speaks, and sends to ``route`` what changes in a receiver's slots."""

    def __init__(self, rules: LessonRules, route: Route) -> None:
        self._rules = rules
        self._route = route
        self.speakers = Speakers()
        self._followed = self.speakers.order

    @property
    def others_speak(self) -> bool:
        """Than when ``rosters`` was called last."""
        return self._followed != self.speakers.order

    def rosters(self, members: Sequence[Member]) -> Rosters:
        """``members`` in the order of joining. Made once for each change."""
        self._followed = self.speakers.order
        return Rosters(Roster.of(members), Roster.by_voice(members, self._followed))

    def place(self, attendance: Attendance, member: Member, rosters: Rosters) -> bool:
        """Make the plan of one receiver and route it. Gives whether it is another plan now."""
        before = attendance.placing
        attendance.placing = assign(rosters.of(member), member, before, self._rules)
        played = {play.index: play for play in before.plan.plays}
        for play in attendance.placing.plan.plays:
            if play != played.get(play.index, SlotPlay(play.index)):
                self._route(member.endpoint, play.index, play.picture, play.voice)
        return attendance.placing.plan != before.plan
