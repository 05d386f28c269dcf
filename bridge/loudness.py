"""Which endpoint is the loudest: what those who have one slot hear when no teacher is there."""

from __future__ import annotations

from bridge.values import EndpointId

SILENT = 127
"""dB below overload (RFC 6464): nothing is heard."""
MARGIN_DB = 3
HOLD_S = 1.0


class Loudest:
    """Follows levels without flapping: another takes over after it was MARGIN_DB louder for HOLD_S without a
    break, and whoever was the loudest stays it while nobody is heard.

    Levels come twice a second while somebody is heard. Times are seconds of one clock.
    """

    def __init__(self) -> None:
        self._levels: dict[EndpointId, int] = {}
        self._challenger: EndpointId | None = None
        self._since = 0.0
        self.endpoint: EndpointId | None = None
        """Who it is."""

    def heard(self, endpoint: EndpointId, level: int, now: float) -> bool:
        """``level`` in dB below overload. Gives whether it is another one from now on."""
        if level >= SILENT:
            self._levels.pop(endpoint, None)
        else:
            self._levels[endpoint] = level
        return self._decide(now)

    def gone(self, endpoint: EndpointId, now: float) -> bool:
        """It left. Gives whether it is another one from now on."""
        self._levels.pop(endpoint, None)
        if endpoint != self.endpoint:
            return False
        self.endpoint = None
        self._decide(now)
        return True

    def _decide(self, now: float) -> bool:
        # Of two that are equally loud the one that was heard first.
        best = min(self._levels, key=lambda each: self._levels[each], default=None)
        if best is None or best == self.endpoint:
            self._challenger = None
            return False
        if self.endpoint is not None:
            if self._levels[best] + MARGIN_DB > self._levels.get(self.endpoint, SILENT):
                self._challenger = None
                return False
            if best != self._challenger:
                self._challenger, self._since = best, now
            if now - self._since < HOLD_S:
                return False
        self.endpoint, self._challenger = best, None
        return True
