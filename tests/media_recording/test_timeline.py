"""When frames were captured: the first seconds are put right by what is known later."""

from __future__ import annotations

from collections.abc import Iterator

from media.recording.format import Head
from media.recording.frames import Frame
from media.recording.timeline import MOST_SETTLING, SETTLING_US, placed

HEAD = Head("vp8", 90_000, 1_790_000_000_000_000, "camera")
ZERO = HEAD.zero_us


def frame(number: int, captured_us: int, run: int = 0) -> Frame:
    return Frame(run, number * 9_000, captured_us, b"x", True, None)


def times(frames: list[Frame]) -> list[int]:
    return [each.at_us - ZERO for each in placed(frames, HEAD)]


def test_a_steady_clock_is_taken_as_it_is() -> None:
    frames = [frame(number, 7_000 + number * 100_000) for number in range(80)]
    assert times(frames) == [7_000 + number * 100_000 for number in range(80)]


def test_arrivals_before_the_first_report_are_put_right() -> None:
    """Here the first two seconds were put 150 ms late, until a sender report said better."""
    late = [frame(number, number * 100_000 + (150_000 if number < 20 else 0)) for number in range(80)]
    assert times(late) == [number * 100_000 for number in range(80)]


def test_a_short_run_is_put_right_as_well() -> None:
    late = [frame(number, number * 100_000 + (150_000 if number < 20 else 0)) for number in range(30)]
    assert times(late) == [number * 100_000 for number in range(30)]


def test_what_is_followed_slowly_later_is_taken_as_it_is() -> None:
    drifting = [frame(number, number * 100_000 + max(0, number - 60) * 500) for number in range(200)]
    assert times(drifting) == [each.captured_us for each in drifting]


def test_each_run_has_its_own_truth() -> None:
    first = [frame(number, number * 100_000) for number in range(10)]
    second = [frame(5_000 + number, 3_000_000 + number * 100_000, run=1) for number in range(10)]
    assert times(first + second) == [each.captured_us for each in first + second]


def test_nonsense_is_not_believed() -> None:
    """A publisher whose timestamps jump by an hour moves nothing by an hour."""
    jump = [frame(number + (36_000 if number == 9 else 0), number * 100_000) for number in range(10)]
    assert times(jump) == [each.captured_us for each in jump]


def test_what_waits_is_bounded_in_time_and_in_number() -> None:
    taken = 0

    def feed(step_us: int) -> Iterator[Frame]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield frame(number, number * step_us)

    next(placed(feed(100_000), HEAD))
    assert taken <= SETTLING_US // 100_000 + 1
    taken = 0
    next(placed(feed(0), HEAD))
    assert taken <= MOST_SETTLING
