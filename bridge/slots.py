"""What plays in whose slots: a pure function of who takes part and of what played before (D3, D5).

A *part* is what fills one slot: a picture and the voice beside it.

    camera + mic        an endpoint's first part; it stands while either is published, on or off
    document            while it is on
    screen + content    while either is on

Parts are ranked: the teacher's before the others', then in the order of joining. The first in rank fill the
pairs of a receiver, and a part keeps its slot while it is among them; a new one takes the lowest free slot.
A receiver of a single slot, a player by WHEP say, can't show everyone: it gets the teacher's part while
that is heard, otherwise that of who speaks (bridge.speakers), and as long as nobody has spoken the first.

Parts beyond the pairs that are heard at the moment get the voice slots, those that hold one first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile

from bridge.members import Member, same_room
from bridge.values import EndpointId, SlotPlan, SlotPlay, SourceKind, SourceRef


@dataclass(frozen=True, slots=True)
class LessonRules:
    """The rules of a lesson that slots follow."""

    exclude_own_room: bool = True
    """False returns an endpoint's own picture and sound too. It exists so that a test can prove that the
    end-to-end test of this rule fails without it."""


PartKey = tuple[EndpointId, SourceKind]
"""Names a part, by its picture's kind, while its sources are switched off and on."""


@dataclass(frozen=True, slots=True)
class Part:
    """What fills one slot of a receiver, before it is said which slot."""

    owner: Member
    picture: SourceKind
    voice: SourceKind | None

    @property
    def key(self) -> PartKey:
        return (self.owner.endpoint, self.picture)

    @property
    def shows(self) -> bool:
        """Whether its picture earns it a slot: a camera does while it is off, too."""
        if self.picture is SourceKind.CAMERA:
            return self.owner.publishes(self.picture)
        return self.owner.plays(self.picture)

    @property
    def heard(self) -> bool:
        return self.voice is not None and self.owner.plays(self.voice)


@dataclass(frozen=True, slots=True)
class Roster:
    """The parts of a lesson in rank. Made once per change and shared by every receiver's ``assign``."""

    parts: tuple[Part, ...] = ()
    heard: Mapping[PartKey, Part] = field(default_factory=dict)
    """Those of ``parts`` whose voice is on, in rank: beyond its pairs a receiver looks at no others."""

    @classmethod
    def of(cls, members: Iterable[Member]) -> Roster:
        """``members`` in the order of joining."""
        return cls._in_order(sorted(members, key=lambda member: not member.teaches))

    @classmethod
    def by_voice(cls, members: Iterable[Member], speakers: Sequence[EndpointId]) -> Roster:
        """``members`` in the order of joining, ``speakers`` with the first in front: a teacher that is heard,
        speakers that are, then the rest in rank."""
        places = {endpoint: place for place, endpoint in enumerate(speakers, start=1)}
        last = len(places) + 1

        def rank(member: Member) -> tuple[int, bool]:
            if not member.plays(SourceKind.MIC):
                return last, not member.teaches
            return 0 if member.teaches else places.get(member.endpoint, last), not member.teaches

        return cls._in_order(sorted(members, key=rank))

    @classmethod
    def _in_order(cls, members: Iterable[Member]) -> Roster:
        parts = tuple(part for member in members for part in _parts_of(member))
        return cls(parts, {part.key: part for part in parts if part.heard})


@dataclass(frozen=True, slots=True)
class Placing:
    """A receiver's plan, and which part holds which slot (a held slot may play nothing for now)."""

    plan: SlotPlan = field(default_factory=SlotPlan)
    holders: Mapping[int, PartKey] = field(default_factory=dict)


def assign(roster: Roster, me: Member, previous: Placing, rules: LessonRules) -> Placing:
    """Place the parts of a lesson in one receiver's slots; the plan names each of ``me.slots``, ascending.

    ``previous`` is what it had before the change (empty at join). The work is bounded by the receiver's slots
    and by the endpoints of its own room, whatever the size of the lesson.
    """
    pairs = [index for index in me.slots if index < me.counts.pairs]
    voices = [index for index in me.slots if index >= me.counts.pairs]

    shown = list(islice((part for part in roster.parts if _fills_pair(part, me, rules)), len(pairs)))
    placed = {part.key for part in shown}
    # Rank alone decides for a single slot; others keep who they hear.
    held = Placing() if me.follows_speakers else previous
    beyond = _beyond(roster, placed, held, voices)
    spoken = list(islice((part for part in beyond if _may_hear(me, part, rules)), len(voices)))

    plays = {index: SlotPlay(index) for index in me.slots}
    holders: dict[int, PartKey] = {}
    for index, part in _settle(shown, previous, pairs):
        holders[index] = part.key
        plays[index] = SlotPlay(index, _picture_of(part), _voice_of(part, me, rules))
    for index, part in _settle(spoken, previous, voices):
        holders[index] = part.key
        plays[index] = SlotPlay(index, None, _voice_of(part, me, rules))
    return Placing(SlotPlan(tuple(plays.values())), holders)


def _parts_of(member: Member) -> Iterator[Part]:
    if member.publishes(SourceKind.CAMERA) or member.publishes(SourceKind.MIC):
        yield Part(member, SourceKind.CAMERA, SourceKind.MIC)
    if member.plays(SourceKind.DOCUMENT):
        yield Part(member, SourceKind.DOCUMENT, None)
    if member.plays(SourceKind.SCREEN) or member.plays(SourceKind.CONTENT):
        yield Part(member, SourceKind.SCREEN, SourceKind.CONTENT)


def _may_hear(me: Member, part: Part, rules: LessonRules) -> bool:
    """Sound from a room never returns to any device of that room (D4)."""
    return part.voice is not None and not (rules.exclude_own_room and same_room(me, part.owner))


def _fills_pair(part: Part, me: Member, rules: LessonRules) -> bool:
    if rules.exclude_own_room and part.owner.endpoint == me.endpoint:
        return False
    return part.shows or _may_hear(me, part, rules)


def _beyond(roster: Roster, placed: set[PartKey], previous: Placing, voices: Sequence[int]) -> Iterator[Part]:
    """Heard parts without a pair, each once: the teacher's, those that hold a voice slot, the rest."""
    held = (previous.holders[index] for index in voices if index in previous.holders)
    seen = set(placed)
    for part in chain(
        takewhile(lambda part: part.owner.teaches, roster.heard.values()),
        (roster.heard[key] for key in held if key in roster.heard),
        roster.heard.values(),
    ):
        if part.key not in seen:
            seen.add(part.key)
            yield part


def _settle(parts: Iterable[Part], previous: Placing, slots: Sequence[int]) -> Iterator[tuple[int, Part]]:
    """Give each part the slot it held, or the lowest free one; there are no more parts than slots."""
    held = {previous.holders[index]: index for index in slots if index in previous.holders}
    waiting = [part for part in parts if part.key not in held]
    staying = {held[part.key]: part for part in parts if part.key in held}
    yield from staying.items()
    yield from zip((index for index in slots if index not in staying), waiting, strict=False)


def _picture_of(part: Part) -> SourceRef | None:
    if not part.owner.plays(part.picture):
        return None
    return SourceRef(part.owner.endpoint, part.picture)


def _voice_of(part: Part, me: Member, rules: LessonRules) -> SourceRef | None:
    if part.voice is None or not part.heard or not _may_hear(me, part, rules):
        return None
    return SourceRef(part.owner.endpoint, part.voice)
