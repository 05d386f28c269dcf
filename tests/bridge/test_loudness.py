"""Who is the loudest, by levels as they come twice a second."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.loudness import HOLD_S, MARGIN_DB, SILENT, Loudest
from bridge.values import EndpointId

A, B, C = (EndpointId(name) for name in "abc")


def test_whoever_is_heard_first_is_it_and_stays_it_in_silence() -> None:
    loudest = Loudest()
    assert loudest.endpoint is None
    assert not loudest.heard(A, SILENT, 0.0)
    assert loudest.heard(A, 40, 0.5)
    assert not loudest.heard(A, 38, 1.0)
    assert not loudest.heard(A, SILENT, 9.0)
    assert loudest.endpoint == A


def test_another_takes_over_after_a_second_in_which_it_is_louder() -> None:
    loudest = Loudest()
    loudest.heard(A, 40, 0.0)
    assert not loudest.heard(B, 30, 1.0)
    assert not loudest.heard(B, 30, 1.9)
    assert loudest.heard(B, 30, 2.0)
    assert loudest.endpoint == B


def test_not_by_a_little_nor_with_a_break() -> None:
    loudest = Loudest()
    loudest.heard(A, 40, 0.0)
    for tick in range(20):
        assert not loudest.heard(B, 40 - MARGIN_DB + 1, tick / 2)
    loudest.heard(B, 30, 10.0)
    loudest.heard(B, 39, 10.5)
    assert not loudest.heard(B, 30, 11.0)
    assert loudest.heard(B, 30, 12.0)


def test_when_it_is_silent_the_next_one_is_it_a_second_later() -> None:
    loudest = Loudest()
    loudest.heard(A, 20, 0.0)
    assert not loudest.heard(B, 50, 0.0)
    assert not loudest.heard(A, SILENT, 1.0)
    assert not loudest.heard(B, 50, 1.5)
    assert loudest.heard(B, 50, 2.0)


def test_when_it_leaves_the_next_one_is_it_at_once() -> None:
    loudest = Loudest()
    loudest.heard(A, 20, 0.0)
    loudest.heard(B, 50, 0.0)
    assert not loudest.gone(C, 1.0)
    assert loudest.gone(A, 1.0)
    assert loudest.endpoint == B
    assert loudest.gone(B, 2.0)
    assert loudest.endpoint is None


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(0, SILENT)), max_size=80))
def test_no_two_changes_are_nearer_than_the_hold(levels: list[tuple[EndpointId, int]]) -> None:
    loudest = Loudest()
    changes = []
    for at, (endpoint, level) in enumerate(levels):
        now = at * 0.25
        before = loudest.endpoint
        if loudest.heard(endpoint, level, now):
            changes.append(now)
            assert loudest.endpoint not in {before, None}
        else:
            assert loudest.endpoint == before
    # The first is not held back; any later one is.
    assert all(later - earlier >= HOLD_S for earlier, later in pairwise(changes))
