"""Who speaks: the endpoints of a lesson by how loud their microphones are, in an order that keeps calm.

Levels jump, and what follows them must not: a picture that changes with every cough is worse than a late one.
So an endpoint goes ahead of another only when it has been clearly louder for a while, and nobody is put back
just after having come forward. Who falls silent keeps the place until somebody else speaks.

It has no clock and knows nothing of rights: who may be heard by whom is for bridge.slots.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.values import EndpointId

PLACES = 3
"""As many as are heard at once (D4)."""
MARGIN_DB = 6
"""Louder by this is clearly louder: twice the amplitude."""
LOUDER_S = 0.5
"""So long; a cough or a chair is over by then, and a first word is not."""
STAY_S = 2.0
"""Nobody is put back sooner after having come forward."""
SILENCE_DBOV = -127


@dataclass(slots=True)
class _Voice:
    level_dbov: int
    risen_at: float = 0.0
    louder_since: float | None = None
    """Since when it has been clearly louder than who stands before it."""
    reach: int = 0
    """The place it has been loud enough for all that time."""


class Speakers:
    """Give it every level in the order of time; ``order`` is who speaks, the first in front."""

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        self._order: list[EndpointId] = []
        self._voices: dict[EndpointId, _Voice] = {}
        """Of those in the order, and of others while they are not silent."""

    @property
    def order(self) -> tuple[EndpointId, ...]:
        """At most ``places``; empty until somebody has spoken."""
        return tuple(self._order)

    def heard(self, endpoint: EndpointId, level_dbov: int, now: float) -> None:
        """Its microphone is this loud, -127 (silence) to 0 dBov, from ``now`` (seconds) on.

        A level that stays has to be told again once in a while: time is only seen when something is told.
        """
        stands = endpoint in self._order
        if level_dbov <= SILENCE_DBOV and not stands:
            self._voices.pop(endpoint, None)
            return
        voice = self._voices.setdefault(endpoint, _Voice(level_dbov))
        voice.level_dbov = level_dbov
        if not stands and len(self._order) < self._places:
            voice.risen_at = now
            self._order.append(endpoint)
            return
        place = self._order.index(endpoint) if stands else len(self._order)
        loud_enough_for = self._loud_enough_for(voice, place)
        if loud_enough_for == place:
            voice.louder_since = None
        elif voice.louder_since is None:
            voice.louder_since, voice.reach = now, loud_enough_for
        else:
            # Others may have moved meanwhile; then it reaches for what is before it now.
            voice.reach = min(max(voice.reach, loud_enough_for), place - 1)
            if now - voice.louder_since >= LOUDER_S:
                self._rise(endpoint, voice, place, now)

    def forget(self, endpoint: EndpointId) -> None:
        """It has left, or its microphone is off."""
        self._voices.pop(endpoint, None)
        if endpoint in self._order:
            self._order.remove(endpoint)

    def _loud_enough_for(self, voice: _Voice, place: int) -> int:
        wanted = voice.level_dbov - MARGIN_DB
        while place and self._voices[self._order[place - 1]].level_dbov <= wanted:
            place -= 1
        return place

    def _rise(self, endpoint: EndpointId, voice: _Voice, place: int, now: float) -> None:
        put_back = self._order[voice.reach : place]
        if any(now - self._voices[each].risen_at < STAY_S for each in put_back):
            return
        if place < len(self._order):
            del self._order[place]
        self._order.insert(voice.reach, endpoint)
        voice.risen_at, voice.louder_since = now, None
        for each in self._order[self._places :]:
            self._order.remove(each)
            if self._voices[each].level_dbov <= SILENCE_DBOV:
                del self._voices[each]
