"""A token bucket: so many on average, so many at once. It has no clock; ``now`` is in seconds."""

from __future__ import annotations


class TokenBucket:
    def __init__(self, rate: float, burst: int, now: float) -> None:
        """``rate``: a second; ``burst``: what a full bucket holds. It begins full."""
        self._rate = rate
        self._burst = float(burst)
        self._level = self._burst
        self._filled_at = now

    def take(self, now: float) -> bool:
        """True when one more is within the limit; then it is counted. ``now`` never goes back."""
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True
