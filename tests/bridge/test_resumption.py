"""Secrets to come back with: good once, but not lost with an answer that the line swallowed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.resumption import Resumption
from bridge.values import EndpointId

KIOSK, HOME = EndpointId("kiosk"), EndpointId("home")


def test_a_secret_names_its_owner_alone() -> None:
    places = Resumption(30.0)
    kiosk, home = places.issue(KIOSK), places.issue(HOME)
    assert (places.owner(kiosk, 0.0), places.owner(home, 0.0)) == (KIOSK, HOME)
    assert len(kiosk) == 43
    for wrong in ("", kiosk[:-1], kiosk + "A", kiosk.swapcase(), "\ud800", "x" * 64):
        assert places.owner(wrong, 0.0) is None


def test_a_used_secret_is_void_once_the_next_was_read() -> None:
    places = Resumption(30.0)
    first = places.issue(KIOSK)
    second = places.renew(first, 0.0)
    assert second != first
    places.confirm(KIOSK)
    assert (places.owner(first, 1.0), places.owner(second, 1.0)) == (None, KIOSK)
    places.confirm(KIOSK)
    assert places.owner(second, 1.0) == KIOSK


def test_an_answer_that_was_lost_does_not_shut_the_client_out() -> None:
    places = Resumption(30.0)
    first = places.issue(KIOSK)
    lost = places.renew(first, 0.0)
    lost_too = places.renew(first, 10.0)
    assert places.owner(lost, 10.0) is None, "nobody can have read it"
    assert places.owner(first, 39.0) == KIOSK
    assert places.owner(first, 40.0) is None, "counted from its last use"
    assert places.owner(lost_too, 40.0) == KIOSK
    with pytest.raises(LookupError):
        places.renew(first, 40.0)


def test_who_is_forgotten_can_t_come_back() -> None:
    places = Resumption(30.0)
    first = places.issue(KIOSK)
    second = places.renew(first, 0.0)
    places.forget(KIOSK)
    places.forget(KIOSK)
    assert (places.owner(first, 0.0), places.owner(second, 0.0), len(places)) == (None, None, 0)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["issue", "renew", "confirm", "forget", "wait"]),
            st.integers(0, 3),
            st.integers(0, 30),
        )
    )
)
def test_at_most_two_secrets_of_each_and_each_its_owner_s(steps: list[tuple[str, int, int]]) -> None:
    places = Resumption(30.0)
    given_to: dict[str, EndpointId] = {}
    now = 0.0
    for step, number, pick in steps:
        endpoint = EndpointId(str(number))
        if step == "issue":
            given_to[places.issue(endpoint)] = endpoint
        elif step == "renew" and given_to:
            secret = list(given_to)[pick % len(given_to)]
            if places.owner(secret, now) is not None:
                given_to[places.renew(secret, now)] = given_to[secret]
        elif step == "confirm":
            places.confirm(endpoint)
        elif step == "forget":
            places.forget(endpoint)
        else:
            now += pick
        good = [secret for secret in given_to if places.owner(secret, now) is not None]
        assert all(places.owner(secret, now) == given_to[secret] for secret in good)
        owners = [given_to[secret] for secret in good]
        assert all(owners.count(owner) <= 2 for owner in owners)
        assert len(places) <= 2 * 4
