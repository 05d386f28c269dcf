"""Who speaks: by example and by property."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.speakers import LOUDER_S, MARGIN_DB, PLACES, SILENCE_DBOV, STAY_S, Speakers
from bridge.values import EndpointId

A, B, C, D = (EndpointId(name) for name in "ABCD")
STEP_S = 0.2
"""As often as the engine tells levels."""


def say(
    speakers: Speakers, start: float, lasts: float, levels: dict[EndpointId, int]
) -> list[tuple[float, tuple[EndpointId, ...]]]:
    """Tell these levels over and over; gives when the order changed, seconds after the start, and to what."""
    changes = []
    for step in range(round(lasts / STEP_S)):
        for endpoint, level in levels.items():
            before = speakers.order
            speakers.heard(endpoint, level, start + step * STEP_S)
            if speakers.order != before:
                changes.append((step * STEP_S, speakers.order))
    return changes


def test_nobody_speaks_until_somebody_does() -> None:
    speakers = Speakers()
    say(speakers, 0, 5, {A: SILENCE_DBOV, B: SILENCE_DBOV})
    assert speakers.order == ()
    assert say(speakers, 5, 5, {A: SILENCE_DBOV, B: -40}) == [(0, (B,))]


def test_the_clearly_louder_comes_forward_after_a_while() -> None:
    speakers = Speakers()
    say(speakers, 0, 10, {A: -40, B: -45})
    assert speakers.order == (A, B)
    ((after, order),) = say(speakers, 10, 10, {A: -40, B: -34})
    assert order == (B, A)
    assert LOUDER_S <= after < LOUDER_S + 2 * STEP_S


def test_a_little_louder_is_not_enough() -> None:
    speakers = Speakers()
    say(speakers, 0, 10, {A: -40, B: -45})
    assert say(speakers, 10, 60, {A: -40, B: -35}) == []


def test_a_cough_changes_nothing() -> None:
    speakers = Speakers()
    say(speakers, 0, 10, {A: -40, B: -45})
    for start in range(10, 30, 2):
        assert say(speakers, start, 0.4, {A: -40, B: -10}) == []
        assert say(speakers, start + 0.4, 1.6, {A: -40, B: -45}) == []


def test_who_falls_silent_stays_until_another_speaks() -> None:
    speakers = Speakers(places=1)
    say(speakers, 0, 5, {A: -40})
    assert say(speakers, 5, 600, {A: SILENCE_DBOV, B: SILENCE_DBOV}) == []
    assert say(speakers, 700, 5, {A: SILENCE_DBOV, B: -55})[-1][1] == (B,)


def test_who_has_just_come_forward_stays_for_a_while() -> None:
    speakers = Speakers(places=1)
    say(speakers, 0, 5, {A: -40})
    say(speakers, 5, 1, {A: SILENCE_DBOV, B: -30})
    assert speakers.order == (B,)
    ((after, order),) = say(speakers, 6, 10, {A: -10, B: SILENCE_DBOV})
    assert order == (A,)
    # B came forward between 0.4 and 0.8 seconds before.
    assert STAY_S - 0.8 <= after <= STAY_S


def test_the_loudest_takes_the_place_of_the_last_and_then_the_first() -> None:
    speakers = Speakers()
    say(speakers, 0, 5, {A: -30, B: -40, C: -50})
    say(speakers, 5, 5, {A: -30, B: -40, C: -50, D: -42})
    assert speakers.order == (A, B, D)
    say(speakers, 10, 5, {A: -30, B: -40, C: -50, D: -20})
    assert speakers.order == (D, A, B)


def test_two_who_are_louder_in_turn_do_not_hold_each_other_back() -> None:
    speakers = Speakers()
    say(speakers, 0, 5, {A: -30, B: -32, C: -34})
    heard = []
    for half in range(20):
        louder, softer = (B, C) if half % 2 else (C, B)
        for each, level in ((A, SILENCE_DBOV), (louder, -30), (softer, -40)):
            speakers.heard(each, level, 5 + half / 2)
        heard.append(speakers.order[0])
    assert heard[0] == A
    assert A not in heard[2:]


def test_who_leaves_makes_room_at_once() -> None:
    speakers = Speakers()
    say(speakers, 0, 5, {A: -30, B: -40, C: -50, D: -52})
    speakers.forget(A)
    assert speakers.order == (B, C)
    speakers.forget(A)
    speakers.heard(D, -52, 5)
    assert list(speakers.order) == [B, C, D]


ENDPOINTS = st.sampled_from([EndpointId(f"e{number}") for number in range(6)])
LEVELS = st.one_of(st.integers(-60, 0), st.just(SILENCE_DBOV))
TOLD = st.lists(st.tuples(ENDPOINTS, LEVELS | st.none(), st.integers(0, 1500)), max_size=200)
"""(who, level or gone, milliseconds since the one before)."""


@given(TOLD, st.integers(1, PLACES))
def test_whatever_is_told_the_order_stays_calm(
    told: list[tuple[EndpointId, int | None, int]], places: int
) -> None:
    speakers = Speakers(places)
    now = 0.0
    present: set[EndpointId] = set()
    risen: dict[EndpointId, float] = {}
    last: dict[EndpointId, int] = {}
    for who, level, later_ms in told:
        now += later_ms / 1000
        before = speakers.order
        if level is None:
            speakers.forget(who)
            present.discard(who)
            assert speakers.order == tuple(each for each in before if each != who)
            continue
        speakers.heard(who, level, now)
        last[who] = level
        if level != SILENCE_DBOV:
            present.add(who)
        order = speakers.order
        assert len(set(order)) == len(order) <= places
        assert set(order) <= present
        if order == before:
            continue
        # One came forward, and it is the one that was heard; the others keep their order among themselves.
        assert [each for each in order if each != who] == [
            each for each in before if each in order and each != who
        ]
        place = order.index(who)
        put_back = [each for each in before[place:] if each != who and each in before[: _place(before, who)]]
        for each in put_back:
            assert last[who] >= last[each] + MARGIN_DB
            assert now - risen[each] >= STAY_S
        risen[who] = now


def _place(order: tuple[EndpointId, ...], who: EndpointId) -> int:
    return order.index(who) if who in order else len(order)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-45, -40)), min_size=1, max_size=200))
def test_among_equally_loud_ones_nothing_moves(told: list[tuple[int, int]]) -> None:
    speakers = Speakers()
    say(speakers, 0, 5, {A: -43, B: -43, C: -43, D: -43})
    for at, (number, level) in enumerate(told):
        speakers.heard((A, B, C, D)[number], level, 5 + at * STEP_S)
        assert speakers.order == (A, B, C)


@given(st.lists(LEVELS, min_size=5, max_size=5), st.integers(0, 4), st.integers(1, PLACES))
def test_the_clearly_loudest_is_in_front_within_three_seconds(
    levels: list[int], loudest: int, places: int
) -> None:
    endpoints = [EndpointId(f"e{number}") for number in range(5)]
    speakers = Speakers(places)
    said = {each: min(level, -MARGIN_DB) for each, level in zip(endpoints, levels, strict=True)}
    say(speakers, 0, 5, said)
    say(speakers, 5, STAY_S + LOUDER_S + 0.5, said | {endpoints[loudest]: 0})
    assert speakers.order[0] == endpoints[loudest]


def test_those_who_are_silent_and_stand_nowhere_are_not_remembered() -> None:
    speakers = Speakers(places=1)
    for number in range(1000):
        endpoint = EndpointId(f"e{number}")
        say(speakers, number * 10, 5, {endpoint: -30})
        say(speakers, number * 10 + 5, 1, {endpoint: SILENCE_DBOV})
    assert len(speakers._voices) == 1
