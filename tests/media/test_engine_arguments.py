"""Whatever Python says to the engine, it gets an exception that ``except Exception`` catches, and no thread
of the engine fails: nonsense is refused at the border or by CommandFailed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from media import _engine

ALLOWED = (_engine.EngineError, TypeError, ValueError, OverflowError)

numbers = st.one_of(st.integers(0, 3), st.sampled_from([-1, 255, 256, 2**16, 2**32 - 1, 2**32, 2**63, 2**64]))
ids = st.one_of(st.none(), st.integers(0, 16), st.sampled_from([127, 255, 256]))
words = st.one_of(
    st.sampled_from(["", "0", "audio", "video", "opus", "vp8", "h264", "av1"]),
    st.text(max_size=40),
    st.just("x" * 70_000),
)
media = st.sampled_from(["audio", "video", "video", "smell"])
codecs = st.sampled_from(["opus", "vp8", "vp9", "h264", "av1", "mp3"])
octets = st.one_of(st.binary(max_size=20), st.sampled_from([bytes(12), bytes(14), bytes(16), bytes(70_000)]))
layers = st.lists(st.tuples(st.one_of(st.none(), words), st.one_of(st.none(), numbers), ids), max_size=4)
peers = st.one_of(st.integers(1, 3), numbers)

CALLS: dict[str, st.SearchStrategy[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "add_peer": st.tuples(
        st.tuples(peers),
        st.fixed_dictionaries(
            {
                "shard": numbers,
                "local_ufrag": words,
                "local_pwd": words,
                "remote_ufrag": words,
                "receive_bitrate": numbers,
            }
        ),
    ),
    "restart_ice": st.tuples(
        st.tuples(peers),
        st.fixed_dictionaries({"local_ufrag": words, "local_pwd": words, "remote_ufrag": words}),
    ),
    "set_keys": st.tuples(
        st.tuples(peers),
        st.fixed_dictionaries(
            {
                "profile": st.sampled_from([1, 7, 7, 8, 2**16]),
                "receive_key": octets,
                "receive_salt": octets,
                "send_key": octets,
                "send_salt": octets,
            }
        ),
    ),
    "send_dtls": st.tuples(st.tuples(peers, octets), st.just({})),
    "publish": st.tuples(
        st.tuples(peers, numbers),
        st.fixed_dictionaries(
            {
                "media": media,
                "codec": codecs,
                "mid": words,
                "payload_type": numbers,
                "rtx_payload_type": ids,
                "nack": st.booleans(),
                "clock_rate": numbers,
                "layers": st.one_of(layers, st.just([(None, None, None)] * 300)),
                "mid_extension": ids,
                "rid_extension": ids,
                "repaired_rid_extension": ids,
                "level_extension": ids,
            },
            optional={"dependency_extension": ids},
        ),
    ),
    "unpublish": st.tuples(st.tuples(peers, numbers), st.just({})),
    "add_slot": st.tuples(
        st.tuples(peers, numbers),
        st.fixed_dictionaries(
            {
                "media": media,
                "payloads": st.lists(st.tuples(codecs, numbers, ids), max_size=3),
                "mid": words,
                "clock_rate": numbers,
                "ssrc": numbers,
                "rtx_ssrc": st.one_of(st.none(), numbers),
                "nack": st.booleans(),
                "mid_extension": ids,
                "level_extension": ids,
                "send_time_extension": ids,
            },
            optional={"dependency_extension": ids, "red_payload_type": ids},
        ),
    ),
    "route": st.tuples(
        st.tuples(peers, numbers),
        st.fixed_dictionaries(
            {"media": media, "source": st.one_of(st.none(), numbers)}, optional={"layer": numbers}
        ),
    ),
    "set_temporal": st.tuples(st.tuples(peers, numbers), st.fixed_dictionaries({"level": ids})),
    "record": st.tuples(
        st.tuples(peers, numbers, st.sampled_from([None, Path("/dev/null/none"), Path("a\0b")])),
        st.fixed_dictionaries({"kind": words}),
    ),
    "sync_recordings": st.tuples(st.tuples(numbers), st.just({})),
    "remove_peer": st.tuples(st.tuples(peers), st.just({})),
    "request_stats": st.tuples(st.tuples(numbers), st.just({})),
}
calls = st.one_of([st.tuples(st.just(name), arguments) for name, arguments in CALLS.items()])


@pytest.fixture(scope="module")
def engine() -> Iterator[_engine.Engine]:
    engine = _engine.Engine(["127.0.0.1:0"], shards=2)
    yield engine
    engine.close()


def test_every_command_is_tried() -> None:
    commands = {name for name in vars(_engine.Engine) if not name.startswith("_")}
    assert commands - set(CALLS) == {
        "local_addresses",
        "event_fd",
        "shards",
        "io_counters",
        "drain",
        "close",
    }


@seed(20_261_124)
@settings(
    max_examples=300,
    deadline=None,
    database=None,
    # The engine is the same all along: what one example left there is the next one's ground.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(calls, min_size=1, max_size=25))
def test_nonsense_is_refused_and_breaks_nothing(
    engine: _engine.Engine, made: list[tuple[str, tuple[tuple[Any, ...], dict[str, Any]]]]
) -> None:
    for name, (positional, named) in made:
        with contextlib.suppress(*ALLOWED):
            getattr(engine, name)(*positional, **named)
    assert _both_shards_answer(engine)


def _both_shards_answer(engine: _engine.Engine) -> bool:
    ticket = 999
    engine.request_stats(ticket)
    answered: set[int] = set()
    until = time.monotonic() + 10
    while len(answered) < 2 and time.monotonic() < until:
        for event in engine.drain():
            assert not isinstance(event, _engine.Event.ShardFailed | _engine.Event.WriterFailed), event
            if isinstance(event, _engine.Event.Stats) and event.ticket == ticket:
                answered.add(event.shard)
    return answered == {0, 1}


@pytest.mark.parametrize(
    ("bind", "shards"),
    [([], 1), (["127.0.0.1:0"], 0), (["127.0.0.1:0"], 65), (["nowhere"], 1), (["x" * 9999], 1)],
)
def test_an_engine_that_can_not_be_is_an_error(bind: list[str], shards: int) -> None:
    with pytest.raises(_engine.EngineError):
        _engine.Engine(bind, shards=shards)
