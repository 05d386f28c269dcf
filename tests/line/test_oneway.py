"""One direction of a line, without devices and without a clock: rate, queue, delay, loss, order."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.line.loss import GilbertElliott, LossProcess
from tests.line.oneway import Conditions, OneWay, protocol_of

OCTETS = 1250
"""10,000 bits: a packet takes 10 ms at 1 Mbit/s."""
MBIT = 1e6


def numbered(number: int, octets: int = OCTETS) -> bytes:
    return number.to_bytes(4, "big").ljust(octets, b"\0")


def run(way: OneWay, offers: list[tuple[float, int]]) -> list[tuple[float, bytes]]:
    """Offer (time, octets) in order; (arrival, packet) of all that arrive, as an event loop would have it."""
    arrived: list[tuple[float, bytes]] = []

    def until(now: float) -> None:
        while (at := way.next_event()) is not None and at <= now:
            arrived.extend((at, packet) for packet in way.due(at))

    for number, (at, octets) in enumerate(offers):
        until(at)
        way.offer(at, numbered(number, octets))
    until(float("inf"))
    return arrived


def test_a_packet_takes_its_time_at_the_rate_and_the_delay() -> None:
    arrived = run(OneWay(Conditions(rate=MBIT, delay_s=0.03)), [(1.0, OCTETS), (1.0, OCTETS), (2.0, OCTETS)])
    assert [at for at, _ in arrived] == pytest.approx([1.04, 1.05, 2.04])


def test_without_a_rate_there_is_only_the_delay() -> None:
    arrived = run(OneWay(Conditions(delay_s=0.03)), [(1.0, OCTETS)] * 3)
    assert [at for at, _ in arrived] == pytest.approx([1.03] * 3)


def test_the_queue_holds_its_time_and_drops_the_newest() -> None:
    way = OneWay(Conditions(rate=MBIT, queue_s=0.3))
    arrived = run(way, [(0.0, OCTETS)] * 50)
    assert [packet for _, packet in arrived] == [numbered(number) for number in range(30)]
    assert (way.counters.dropped, way.counters.delivered, way.inside) == (20, 30, 0)


def test_a_packet_larger_than_the_queue_passes_alone() -> None:
    way = OneWay(Conditions(rate=8000, queue_s=0.01))
    assert len(run(way, [(0.0, OCTETS), (0.0, OCTETS), (5.0, OCTETS)])) == 2


def test_a_new_rate_holds_from_its_moment_on_for_what_is_being_sent() -> None:
    way = OneWay(Conditions(rate=MBIT))
    way.offer(0.0, numbered(0))
    way.offer(0.0, numbered(1))
    way.change(0.005, Conditions(rate=MBIT / 10))
    # Half of the first packet was out; the rest and the second go ten times slower.
    assert way.next_event() == pytest.approx(0.055)
    assert way.due(0.0549) == []
    assert way.due(0.0551) == [numbered(0)]
    assert way.next_event() == pytest.approx(0.155)
    way.change(0.1, Conditions())
    assert way.due(0.1001) == [numbered(1)]


def test_a_shorter_delay_does_not_overtake() -> None:
    way = OneWay(Conditions(delay_s=1.0))
    way.offer(0.0, numbered(0))
    way.change(0.1, Conditions(delay_s=0.1))
    way.offer(0.1, numbered(1))
    assert way.due(0.9) == []
    assert way.due(1.0) == [numbered(0), numbered(1)]


def test_what_is_blocked_vanishes_and_the_rest_passes() -> None:
    udp4, tcp4 = (bytes([0x45]) + bytes(8) + bytes([protocol]) + bytes(30) for protocol in (17, 6))
    udp6, tcp6 = (bytes([0x60]) + bytes(5) + bytes([protocol]) + bytes(40) for protocol in (17, 6))
    way = OneWay(Conditions(blocked=(socket.IPPROTO_UDP,)))
    for packet in (udp4, tcp4, udp6, tcp6):
        way.offer(0.0, packet)
    assert way.due(0.0) == [tcp4, tcp6]
    assert (way.counters.blocked, way.counters.delivered) == (2, 2)
    assert [protocol_of(each) for each in (b"", b"\x45", b"\x15" * 40)] == [None, None, None]


@pytest.mark.parametrize(
    "wrong", [{"rate": 0.0}, {"rate": -1.0}, {"delay_s": -0.1}, {"queue_s": 0.0}], ids=str
)
def test_conditions_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no line is like this"):
        Conditions(**wrong)  # type: ignore[arg-type]


OFFERS = st.lists(st.tuples(st.floats(0, 0.05), st.integers(20, 1500)), min_size=1, max_size=120)
LOSSES = st.builds(GilbertElliott, st.floats(0, 1), st.floats(0.01, 1), st.floats(0, 0.3), st.floats(0.5, 1))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    gaps=OFFERS,
    rate=st.one_of(st.none(), st.floats(1e4, 1e7)),
    delay_s=st.floats(0, 0.5),
    loss=LOSSES,
    seed=st.integers(0, 1000),
)
def test_order_rate_and_account_hold_and_the_seed_decides(
    gaps: list[tuple[float, int]], rate: float | None, delay_s: float, loss: GilbertElliott, seed: int
) -> None:
    offers, now = [], 0.0
    for gap, octets in gaps:
        now += gap
        offers.append((now, octets))
    conditions = Conditions(rate=rate, delay_s=delay_s, loss=loss)
    way = OneWay(conditions, seed)
    arrived = run(way, offers)

    numbers = [int.from_bytes(packet[:4], "big") for _, packet in arrived]
    assert numbers == sorted(set(numbers)), "order is kept and nothing arrives twice"
    for (at, packet), number in zip(arrived, numbers, strict=True):
        entered, octets = offers[number]
        assert len(packet) == octets
        at_least = entered + delay_s + (0.0 if rate is None else 8 * octets / rate)
        assert at >= at_least - 1e-9
        if rate is not None:
            assert at <= at_least + conditions.queue_s + 1e-9, "nothing waits longer than the queue is long"
    if rate is not None:
        for first in range(len(arrived)):
            bits = 0
            for at, packet in arrived[first + 1 :]:
                bits += 8 * len(packet)
                assert bits <= rate * (at - arrived[first][0]) + 1e-3, "the rate is never exceeded"
    counters = way.counters
    assert counters.offered == len(offers)
    assert counters.offered == counters.dropped + counters.lost + counters.delivered
    assert run(OneWay(conditions, seed), offers) == arrived


@pytest.mark.parametrize(("loss", "burst"), [(0.05, 1.0), (0.05, 2.5), (0.2, 5.0), (0.01, 10.0)])
def test_loss_and_bursts_are_as_asked(loss: float, burst: float) -> None:
    model = GilbertElliott.bursts(loss, burst)
    assert model.mean_loss == pytest.approx(loss)
    process = LossProcess(model, 7)
    packets = 200_000
    fates = [process.loses_next() for _ in range(packets)]
    assert sum(fates) / packets == pytest.approx(loss, rel=0.1)
    starts = sum(now and not before for before, now in zip([False, *fates], fates, strict=False))
    assert sum(fates) / starts == pytest.approx(burst, rel=0.1)


def test_each_state_loses_with_its_own_probability() -> None:
    model = GilbertElliott(p=0.1, r=0.3, loss_good=0.02, loss_bad=0.5)
    assert model.mean_loss == pytest.approx(0.75 * 0.02 + 0.25 * 0.5)
    process = LossProcess(model, 3)
    assert sum(process.loses_next() for _ in range(100_000)) / 100_000 == pytest.approx(
        model.mean_loss, rel=0.1
    )


def test_seeds_differ_and_a_model_that_changes_moves_no_later_draw() -> None:
    model = GilbertElliott.bursts(0.3, 2.0)

    def fates(process: LossProcess, count: int) -> list[bool]:
        return [process.loses_next() for _ in range(count)]

    assert fates(LossProcess(model, 1), 100) != fates(LossProcess(model, 2), 100)
    one, other = LossProcess(model, 1), LossProcess(model, 1)
    other.model = GilbertElliott(loss_good=1.0)
    assert fates(other, 50) == [True] * 50
    other.model = GilbertElliott(r=1.0)
    fates(one, 50)
    one.model = other.model
    assert fates(one, 50) == fates(other, 50) == [False] * 50


@pytest.mark.parametrize("wrong", [(-0.1, 1.0), (1.0, 2.0), (0.1, 0.5)])
def test_loss_that_cannot_be(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="no loss and length"):
        GilbertElliott.bursts(*wrong)
    with pytest.raises(ValueError, match="no probability"):
        GilbertElliott(p=1.5)
