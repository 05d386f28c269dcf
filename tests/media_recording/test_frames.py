"""Order, holes and runs: which frames come of which packets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from media.recording.format import Hole, Packet
from media.recording.frames import LONGEST_WAIT_US, MOST_WAITING, LeftOut, frames, in_order

KEY = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00key"
DELTA = b"\x11delta"


def picture(*, keys: frozenset[int] = frozenset({0}), count: int = 10, run: int = 0) -> list[Packet]:
    """Frames of two packets each, 100 ms apart; those in ``keys`` are key frames."""
    made = []
    for number in range(count):
        data = KEY if number in keys else DELTA
        for half, payload in enumerate((b"\x10" + data, b"\x00" + bytes([number]))):
            index = 70_000 + 2 * number + half
            made.append(Packet(run, 0, half == 1, False, index, number * 9_000, number * 100_000, payload))
    return made


def numbers(packets: list[Packet | Hole], left_out: LeftOut | None = None) -> list[int]:
    return [each.data[-1] for each in frames("vp8", packets, LeftOut() if left_out is None else left_out)]


def test_all_of_it() -> None:
    left_out = LeftOut()
    got = list(frames("vp8", picture(), left_out))
    assert [each.captured_us for each in got] == [number * 100_000 for number in range(10)]
    assert [each.is_key for each in got] == [True] + [False] * 9
    assert got[0].size == (320, 180)
    assert left_out == LeftOut()


@given(st.randoms(use_true_random=False))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_order_and_doubles_do_not_matter(shuffle: random.Random) -> None:
    packets = picture() + shuffle.sample(picture(), 5)
    shuffle.shuffle(packets)
    left_out = LeftOut()
    assert numbers(list(packets), left_out) == list(range(10))
    assert left_out == LeftOut()


def test_after_a_loss_it_goes_on_at_the_next_key_frame() -> None:
    packets: list[Packet | Hole] = [*picture(keys=frozenset({0, 6}))]
    del packets[7]
    left_out = LeftOut()
    assert numbers(packets, left_out) == [0, 1, 2, 6, 7, 8, 9]
    assert left_out == LeftOut(missing=1, frames=3)


def test_a_lost_beginning_of_a_key_frame_loses_the_key_frame() -> None:
    packets: list[Packet | Hole] = [*picture(keys=frozenset({0, 4, 8}))]
    del packets[8]
    assert numbers(packets) == [0, 1, 2, 3, 8, 9]


def test_padding_is_no_loss() -> None:
    packets = [*picture()]
    packets[10:] = [replace(each, index=each.index + 1) for each in packets[10:]]
    padding = replace(packets[9], index=70_010, payload=b"", marker=False)
    assert numbers([*packets[:10], padding, *packets[10:]]) == list(range(10))
    assert numbers([*packets]) == [0, 1, 2, 3, 4], "without it the number is missed"


def test_a_hole_is_a_border_even_where_numbers_go_on() -> None:
    whole = picture(keys=frozenset({0, 7}))
    left_out = LeftOut()
    assert numbers([*whole[:8], Hole(3), *whole[8:]], left_out) == [0, 1, 2, 3, 7, 8, 9]
    assert left_out.dropped == 3


def test_each_run_begins_with_a_key_frame() -> None:
    after = picture(keys=frozenset({2}), count=5, run=1)
    assert numbers([*picture(count=3), *after]) == [0, 1, 2, 2, 3, 4]


def test_a_frame_without_a_marker_ends_where_the_next_begins() -> None:
    """All but the last, of which one can't know whether it is whole."""
    assert numbers([replace(each, marker=False) for each in picture()]) == list(range(9))


def test_voices_only_miss_what_is_missing() -> None:
    packets = [
        Packet(0, 0, False, False, 70_000 + number, number * 960, number * 20_000, bytes([0xF8, number]))
        for number in range(10)
        if number not in {3, 4}
    ]
    left_out = LeftOut()
    assert [each.data[1] for each in frames("opus", packets, left_out)] == [0, 1, 2, 5, 6, 7, 8, 9]
    assert left_out == LeftOut(missing=2)


def test_a_late_packet_is_waited_for_and_no_longer() -> None:
    packets: list[Packet | Hole] = [*picture(keys=frozenset({0, 9}), count=60)]
    late = packets.pop(7)
    per_frame_us = 100_000
    in_time = LONGEST_WAIT_US // per_frame_us * 2
    assert numbers([*packets[: 7 + in_time], late, *packets[7 + in_time :]]) == list(range(60))
    too_late = in_time + 8
    assert numbers([*packets[: 7 + too_late], late, *packets[7 + too_late :]]) == [0, 1, 2, *range(9, 60)]


def test_what_waits_is_bounded() -> None:
    """A clock that stands still must not let everything wait."""
    still = [Packet(0, 0, False, False, 2 * number, 0, 0, b"x") for number in range(3 * MOST_WAITING)]
    taken = given_out = most = 0

    def feed() -> Iterator[Packet]:
        nonlocal taken, most
        for each in still:
            taken += 1
            most = max(most, taken - given_out)
            yield each

    for _ in in_order(feed(), LeftOut()):
        given_out += 1
    assert given_out == len(still)
    assert most <= MOST_WAITING + 2


@given(
    st.lists(
        st.builds(
            Packet,
            run=st.integers(0, 2),
            layer=st.just(0),
            marker=st.booleans(),
            begins_key_frame=st.booleans(),
            index=st.integers(0, 2**64 - 1) | st.integers(0, 20),
            timestamp=st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5),
            captured_us=st.integers(-(2**63), 2**63 - 1) | st.integers(0, 10**7),
            payload=st.binary(max_size=12) | st.sampled_from([b"\x10" + KEY, b"\x10" + DELTA]),
        )
        | st.builds(Hole, st.integers(0, 9)),
        max_size=30,
    )
)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_packets_give_frames_that_begin_with_a_key_frame(packets: list[Packet | Hole]) -> None:
    got = list(frames("vp8", packets, LeftOut()))
    assert not got or got[0].is_key
