"""One direction of a line as plain state: packets and the time in, packets that have arrived out.

    offer --> [blocked?] --> queue (drop tail) --> rate --> loss --> delay --> due

Time is an argument everywhere, in seconds of a clock that never steps back. Order is kept.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field

from tests.line.loss import NO_LOSS, GilbertElliott, LossProcess

QUEUE_S = 0.3
MOST_FLYING = 20_000
"""Packets on the way. A line without a rate has no queue that would bound them; what comes above is dropped
as from a full queue."""

_PROTOCOL_AT = {4: 9, 6: 6}
"""By IP version: where the protocol's number stands in a packet. For IPv6 without extension headers."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one direction does to packets. Raises ValueError for what can't be."""

    rate: float | None = None
    """bit/s, IP headers included; ``None``: no limit."""
    delay_s: float = 0.0
    queue_s: float = QUEUE_S
    """How much the queue holds, in time at ``rate``; one packet always fits."""
    loss: GilbertElliott = NO_LOSS
    blocked: tuple[int, ...] = ()
    """IP protocol numbers that don't pass, e.g. ``socket.IPPROTO_UDP``; they vanish, as in a firewall."""

    def __post_init__(self) -> None:
        if (self.rate is not None and self.rate <= 0) or self.delay_s < 0 or self.queue_s <= 0:
            raise ValueError(f"no line is like this: {self}")


@dataclass(slots=True)
class Counters:
    """Packets and octets of one direction. offered = blocked + dropped + lost + delivered + those inside."""

    offered: int = 0
    blocked: int = 0
    dropped: int = 0
    """By the full queue."""
    lost: int = 0
    """By the loss model."""
    delivered: int = 0
    delivered_octets: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(slots=True)
class OneWay:
    """``conditions`` is changed by ``change`` alone; the seed decides which packets are lost."""

    conditions: Conditions
    seed: int | str = 0
    counters: Counters = field(default_factory=Counters)
    _loss: LossProcess = field(init=False)
    _queue: deque[bytes] = field(init=False, default_factory=deque)
    """The first is being sent, until ``_sent_at``."""
    _queued_bits: int = field(init=False, default=0)
    _sent_at: float = field(init=False, default=0.0)
    _flying: deque[tuple[float, bytes]] = field(init=False, default_factory=deque)
    """(arrival, packet)."""

    def __post_init__(self) -> None:
        self._loss = LossProcess(self.conditions.loss, self.seed)

    def change(self, now: float, conditions: Conditions) -> None:
        """From ``now`` on: what is being sent goes on at the new rate, what flies arrives as before."""
        self._send_until(now)
        old, self.conditions = self.conditions.rate, conditions
        self._loss.model = conditions.loss
        if self._queue:
            left_bits = (self._sent_at - now) * (old or 0.0)
            self._sent_at = now + _seconds(left_bits, conditions.rate)

    def offer(self, now: float, packet: bytes) -> None:
        """A whole IP packet enters at ``now``."""
        self._send_until(now)
        self.counters.offered += 1
        if self.conditions.blocked and protocol_of(packet) in self.conditions.blocked:
            self.counters.blocked += 1
            return
        bits, rate = 8 * len(packet), self.conditions.rate
        if rate is None and not self._queue:
            self._fly(now, packet)
            return
        room_bits = float("inf") if rate is None else rate * self.conditions.queue_s
        if self._queue and self._waiting_bits(now) + bits > room_bits:
            self.counters.dropped += 1
            return
        if not self._queue:
            self._sent_at = now + _seconds(bits, rate)
        self._queue.append(packet)
        self._queued_bits += bits

    def due(self, now: float) -> list[bytes]:
        """What has arrived by ``now``, oldest first."""
        self._send_until(now)
        arrived = []
        while self._flying and self._flying[0][0] <= now:
            packet = self._flying.popleft()[1]
            self.counters.delivered += 1
            self.counters.delivered_octets += len(packet)
            arrived.append(packet)
        return arrived

    def next_event(self) -> float | None:
        """When something happens next; ``None`` when the line is empty."""
        times = [self._flying[0][0]] if self._flying else []
        if self._queue:
            times.append(self._sent_at)
        return min(times, default=None)

    @property
    def inside(self) -> int:
        """Packets that wait, are being sent or fly."""
        return len(self._queue) + len(self._flying)

    def _waiting_bits(self, now: float) -> float:
        """What is still to be sent, without the part of the first packet that is out."""
        first = 8 * len(self._queue[0])
        left = min(first, (self._sent_at - now) * (self.conditions.rate or 0.0))
        return self._queued_bits - first + left

    def _send_until(self, now: float) -> None:
        while self._queue and self._sent_at <= now:
            packet = self._queue.popleft()
            self._queued_bits -= 8 * len(packet)
            self._fly(self._sent_at, packet)
            if self._queue:
                self._sent_at += _seconds(8 * len(self._queue[0]), self.conditions.rate)

    def _fly(self, now: float, packet: bytes) -> None:
        if self._loss.loses_next():
            self.counters.lost += 1
        elif len(self._flying) >= MOST_FLYING:
            self.counters.dropped += 1
        else:
            arrival = now + self.conditions.delay_s
            if self._flying:
                # A shorter delay than a moment ago is no reason to overtake.
                arrival = max(arrival, self._flying[-1][0])
            self._flying.append((arrival, packet))


def protocol_of(packet: bytes) -> int | None:
    """The IP protocol number of a packet, or ``None`` for what is no IP packet."""
    at = _PROTOCOL_AT.get(packet[0] >> 4) if packet else None
    return packet[at] if at is not None and len(packet) > at else None


def _seconds(bits: float, rate: float | None) -> float:
    return 0.0 if rate is None else bits / rate
