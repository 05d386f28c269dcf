"""The token bucket, in made-up time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from signalling.ratelimit import TokenBucket


def test_a_burst_then_the_rate() -> None:
    bucket = TokenBucket(rate=20, burst=60, now=100.0)
    assert [bucket.take(100.0) for _ in range(61)] == [True] * 60 + [False]
    assert bucket.take(100.0625)
    assert not bucket.take(100.0625)


def test_a_long_silence_fills_it_no_further_than_its_burst() -> None:
    bucket = TokenBucket(rate=20, burst=3, now=0.0)
    assert [bucket.take(3600.0) for _ in range(4)] == [True, True, True, False]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 2), max_size=200))
def test_never_more_than_the_burst_and_the_rate_allow(pauses: list[float]) -> None:
    bucket, now, taken = TokenBucket(rate=5, burst=10, now=0.0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
        assert taken <= 10 + 5 * now + 1e-6
