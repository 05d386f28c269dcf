"""The facade of the engine: on the real one where it starts, stops and counts, else on a recording one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import linecache
import os
import secrets
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bridge.values import LessonId
from media import _engine, engine
from media.dtls import SrtpKeys
from media.engine import EngineStaleError, EngineUnavailableError, PacketEngine, check_fresh, source_hash
from media.negotiation import negotiate
from media.plan import IcePlan, PeerPlan
from tests.media.support import LOCAL, eventually, recorded_named

E = TypeVar("E", bound=_engine.Event)

RUST = Path(engine.__file__).parent / "rust"


def made(kind: type[E], **fields: object) -> E:
    """An event as the extension makes it."""
    build: Any = kind
    event: E = build(**fields)
    return event


class RecordingEngine:
    """Stands where the native engine does: keeps the commands, and gives out events that a test puts in."""

    def __init__(self, bind: tuple[str, ...], *, shards: int) -> None:
        self.shards = shards
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.local_addresses = [("127.0.0.1", 10000)]
        self.commands: list[tuple[Any, ...]] = []
        self.full = False
        self.closed = False
        self._events: list[_engine.Event] = []

    def put(self, *events: _engine.Event) -> None:
        self._events += events
        os.eventfd_write(self.event_fd, 1)

    def drain(self) -> list[_engine.Event]:
        os.eventfd_read(self.event_fd)
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        if not self.closed:
            os.close(self.event_fd)
        self.closed = True

    def __getattr__(self, name: str) -> Any:
        def command(*args: Any, **kwargs: Any) -> None:
            if self.full:
                raise _engine.EngineError("the command queue is full")
            self.commands.append((name, *args, kwargs))

        return command


class Told:
    """A PeerHandler that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def dtls_received(self, data: bytes) -> None:
        self.heard.append(("dtls", data))

    def pair_selected(self, local: str, remote: str) -> None:
        self.heard.append(("pair", local, remote))

    def fell_silent(self) -> None:
        self.heard.append(("silent",))

    def fell_quiet(self, quiet: bool) -> None:
        self.heard.append(("quiet", quiet))

    def source_level(self, source: int, level: int) -> None:
        self.heard.append(("level", source, level))

    def source_live(self, source: int, layer: int, live: bool) -> None:
        self.heard.append(("live", source, layer, live))

    def recording_failed(self, source: int, text: str) -> None:
        self.heard.append(("recording", source, text))

    def command_failed(self, code: str) -> None:
        self.heard.append(("failed", code))


@pytest.fixture
def plan() -> PeerPlan:
    record = recorded_named("chromium-home")
    return negotiate(record.offer, record.grant, LOCAL).plan


@pytest.fixture
async def recording(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[PacketEngine, RecordingEngine]]:
    monkeypatch.setattr(_engine, "Engine", RecordingEngine)
    packet_engine = PacketEngine(["127.0.0.1:0"], shards=3)
    await packet_engine.start()
    native: Any = packet_engine._native
    yield packet_engine, native
    await packet_engine.stop()


@pytest.fixture
async def real() -> AsyncIterator[PacketEngine]:
    packet_engine = PacketEngine(["127.0.0.1:0"], shards=2)
    await packet_engine.start()
    yield packet_engine
    await packet_engine.stop()


async def _settle() -> None:
    """Let the loop see the eventfd and hand events out."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_commands_carry_the_plan(
    recording: tuple[PacketEngine, RecordingEngine], plan: PeerPlan
) -> None:
    packet_engine, native = recording
    peer = packet_engine.add_peer(Told(), plan, shard=2)
    sources = [packet_engine.publish(peer, source) for source in plan.sources]
    packet_engine.add_slot(peer, plan.slots[0])
    packet_engine.set_keys(peer, SrtpKeys(7, b"rk", b"rs", b"sk", b"ss"))
    packet_engine.restart_ice(peer, IcePlan("ours", "secret", "theirs"))
    packet_engine.route(peer, 0, "video", sources[0])
    packet_engine.send_dtls(peer, b"\x16hello")
    packet_engine.remove_peer(peer)
    camera, mic = plan.sources
    picture, voice = plan.slots[0].halves
    vp8 = {"media": "video", "codec": "vp8", "payload_type": 96, "rtx_payload_type": 97, "nack": True}
    opus = {"media": "audio", "codec": "opus", "payload_type": 111, "rtx_payload_type": None, "nack": False}
    assert native.commands == [
        (
            "add_peer",
            peer,
            {
                "shard": 2,
                "local_ufrag": LOCAL.ice_ufrag,
                "local_pwd": LOCAL.ice_pwd,
                "remote_ufrag": plan.ice.remote_ufrag,
                "receive_bitrate": 2_564_000,
            },
        ),
        (
            "publish",
            peer,
            sources[0],
            vp8
            | {"mid": camera.mid, "layers": [(None, None, None)], "clock_rate": 90000}
            | {"mid_extension": 9, "rid_extension": None, "repaired_rid_extension": None}
            | {"level_extension": None, "dependency_extension": None, "red_payload_type": None},
        ),
        (
            "publish",
            peer,
            sources[1],
            opus
            | {"mid": mic.mid, "layers": [(None, mic.layers[0].ssrc, None)], "clock_rate": 48000}
            | {"mid_extension": 9, "rid_extension": None, "repaired_rid_extension": None}
            | {
                "level_extension": mic.extensions.level,
                "dependency_extension": None,
                "red_payload_type": None,
            },
        ),
        (
            "add_slot",
            peer,
            0,
            {
                "media": "video",
                "payloads": [("vp8", 96, 97), ("h264", 108, 109)],
                "nack": True,
                "clock_rate": 90000,
            }
            | {"mid": picture.mid, "ssrc": picture.ssrc, "rtx_ssrc": picture.rtx_ssrc}
            | {"mid_extension": 9, "level_extension": None, "send_time_extension": 2}
            | {"dependency_extension": None, "red_payload_type": None},
        ),
        (
            "add_slot",
            peer,
            0,
            {"media": "audio", "payloads": [("opus", 111, None)], "nack": False, "clock_rate": 48000}
            | {"mid": voice.mid, "ssrc": voice.ssrc, "rtx_ssrc": None}
            | {"mid_extension": 9, "level_extension": voice.extensions.level, "send_time_extension": 2}
            | {"dependency_extension": None, "red_payload_type": None},
        ),
        (
            "set_keys",
            peer,
            {
                "profile": 7,
                "receive_key": b"rk",
                "receive_salt": b"rs",
                "send_key": b"sk",
                "send_salt": b"ss",
            },
        ),
        ("restart_ice", peer, {"local_ufrag": "ours", "local_pwd": "secret", "remote_ufrag": "theirs"}),
        ("route", peer, 0, {"media": "video", "source": sources[0]}),
        ("send_dtls", peer, b"\x16hello", {}),
        ("remove_peer", peer, {}),
    ]


async def test_ids_are_never_used_again(
    recording: tuple[PacketEngine, RecordingEngine], plan: PeerPlan
) -> None:
    packet_engine, _ = recording
    peers, sources = [], []
    for _ in range(3):
        peers.append(packet_engine.add_peer(Told(), plan, shard=0))
        sources += [packet_engine.publish(peers[-1], source) for source in plan.sources]
        packet_engine.remove_peer(peers[-1])
    assert peers == [1, 2, 3]
    assert sources == [1, 2, 3, 4, 5, 6]


async def test_events_go_to_their_peers(
    recording: tuple[PacketEngine, RecordingEngine], plan: PeerPlan
) -> None:
    packet_engine, native = recording
    one, other, gone = Told(), Told(), Told()
    first, second, third = (packet_engine.add_peer(each, plan, shard=0) for each in (one, other, gone))
    packet_engine.remove_peer(third)
    events = _engine.Event
    native.put(
        made(events.DtlsReceived, peer=first, data=b"\x16"),
        made(events.PeerConnected, peer=second, local="127.0.0.1", remote="127.0.0.1:5"),
        made(events.SourceLive, peer=first, source=4, layer=0),
        made(events.SlotSwitched, peer=first, slot=0, media="video", source=4, layer=0),
        made(events.SourceLevel, peer=first, source=5, level=31),
        made(events.SourceIdle, peer=first, source=4, layer=0),
        made(events.PeerSilent, peer=third),
        made(events.CommandFailed, peer=second, code="mismatch"),
        made(events.PeerQuiet, peer=second, quiet=True),
        made(events.PeerSilent, peer=second),
    )
    await _settle()
    assert one.heard == [("dtls", b"\x16"), ("live", 4, 0, True), ("level", 5, 31), ("live", 4, 0, False)]
    assert other.heard == [
        ("pair", "127.0.0.1", "127.0.0.1:5"),
        ("failed", "mismatch"),
        ("quiet", True),
        ("silent",),
    ]
    assert gone.heard == []
    assert packet_engine.counters.events_without_peer == 1
    assert packet_engine.counters.commands_failed == 1


@pytest.fixture
def source_lines_known() -> None:
    """A traceback that is logged quotes its source lines, which are read from the files the first time."""
    for file in (engine.__file__, __file__):
        assert linecache.getlines(file)


@pytest.mark.usefixtures("source_lines_known")
async def test_one_bad_handler_does_not_cost_the_others_their_events(
    recording: tuple[PacketEngine, RecordingEngine], plan: PeerPlan, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Told):
        def fell_silent(self) -> None:
            raise RuntimeError("broken")

        def command_failed(self, code: str) -> None:
            raise RuntimeError("broken")

    packet_engine, native = recording
    broken = packet_engine.add_peer(Broken(), plan, shard=0)
    told = Told()
    sound = packet_engine.add_peer(told, plan, shard=0)
    native.put(
        made(_engine.Event.PeerSilent, peer=broken),
        made(_engine.Event.CommandFailed, peer=broken, code="mismatch"),
        made(_engine.Event.PeerSilent, peer=sound),
    )
    await _settle()
    assert told.heard == [("silent",)]
    assert caplog.text.count("was not handled") == 2


async def test_troubles_are_logged_and_counted(
    recording: tuple[PacketEngine, RecordingEngine], caplog: pytest.LogCaptureFixture
) -> None:
    packet_engine, native = recording
    failed: list[int] = []
    packet_engine._on_shard_failed = failed.append
    native.put(
        made(_engine.Event.EventsDropped, shard=1, count=5),
        made(_engine.Event.EventsDropped, shard=1, count=2),
        made(_engine.Event.ShardFailed, shard=2, text="index out of bounds"),
        made(_engine.Event.WriterFailed, text="no such file (files.rs:1)"),
    )
    await _settle()
    counters = packet_engine.counters
    assert (counters.events_dropped, counters.shards_failed, counters.writers_failed) == (7, 1, 1)
    assert failed == [2]
    assert "no such file (files.rs:1)" in caplog.text
    assert "dropped 5 events" in caplog.text
    assert "index out of bounds" in caplog.text


async def test_a_full_queue_is_an_error_and_leaves_no_handler(
    recording: tuple[PacketEngine, RecordingEngine], plan: PeerPlan
) -> None:
    packet_engine, native = recording
    native.full = True
    with pytest.raises(EngineUnavailableError, match="queue is full"):
        packet_engine.add_peer(Told(), plan, shard=0)
    assert not packet_engine._handlers
    with pytest.raises(EngineUnavailableError, match="queue is full"):
        packet_engine.route(1, 0, "video", None)


async def test_stats_wait_for_every_shard(
    recording: tuple[PacketEngine, RecordingEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    packet_engine, native = recording
    asked = asyncio.create_task(packet_engine.stats())
    await _settle()
    name, ticket, _ = native.commands[-1]
    assert name == "request_stats"
    native.put(made(_engine.Event.Stats, ticket=ticket + 1, shard=0, json="{}"))
    native.put(*(made(_engine.Event.Stats, ticket=ticket, shard=n, json=f'{{"n": {n}}}') for n in (2, 0)))
    await _settle()
    assert not asked.done()
    native.put(made(_engine.Event.Stats, ticket=ticket, shard=1, json='{"n": 1}'))
    assert [(each.shard, each.counters) for each in await asked] == [(n, {"n": n}) for n in range(3)]

    monkeypatch.setattr(engine, "STATS_TIMEOUT_S", 0.05)
    with pytest.raises(EngineUnavailableError, match="3 shards gave no counters"):
        await packet_engine.stats()
    assert not packet_engine._stats


async def test_a_lesson_keeps_its_shard(recording: tuple[PacketEngine, RecordingEngine]) -> None:
    packet_engine, _ = recording
    shards = [packet_engine.shard_of(LessonId(f"lesson-{number}")) for number in range(60)]
    assert shards == [packet_engine.shard_of(LessonId(f"lesson-{number}")) for number in range(60)]
    assert set(shards) == {0, 1, 2}


async def test_the_real_engine_binds_and_counts(real: PacketEngine, plan: PeerPlan) -> None:
    ((address, port),) = real.local_addresses
    assert address == "127.0.0.1"
    assert port > 0
    peer = real.add_peer(Told(), plan, shard=1)
    real.publish(peer, plan.sources[0])
    for slot in plan.slots:
        real.add_slot(peer, slot)
    first, second = await real.stats()
    assert (first.shard, second.shard) == (0, 1)
    assert first.counters["peers"] == []
    (counted,) = second.counters["peers"]
    assert counted["peer"] == peer
    assert len(counted["slots"]) == sum(len(slot.halves) for slot in plan.slots)
    assert real.io_counters["sent"] == 0
    assert real.counters.commands_failed == 0


async def test_the_real_engine_says_which_command_failed(real: PacketEngine, plan: PeerPlan) -> None:
    told = Told()
    peer = real.add_peer(told, plan, shard=0)
    real.route(peer, 0, "video", None)
    await real.stats()
    assert told.heard == [("failed", "unknown-slot")]


async def test_the_real_engine_survives_datagrams_of_strangers(real: PacketEngine) -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=real.local_addresses[0]
    )
    for length in (0, 1, 20, 100, 1200):
        transport.sendto(b"\x00" + secrets.token_bytes(length))
    transport.close()

    async def all_counted() -> bool:
        counted: int = sum(shard.counters["counters"]["datagrams"] for shard in await real.stats())
        return counted == 5

    await eventually(all_counted, "5 datagrams counted")
    assert not any(shard.counters["peers"] for shard in await real.stats())


async def test_a_port_in_use_is_a_clear_error(real: PacketEngine) -> None:
    address, port = real.local_addresses[0]
    again = PacketEngine([f"{address}:{port}"])
    with pytest.raises(EngineUnavailableError, match=f"{address}:{port}"):
        await again.start()
    await again.stop()
    with pytest.raises(EngineUnavailableError, match="nonsense"):
        await PacketEngine(["nonsense"]).start()


async def test_a_tcp_port_in_use_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        with pytest.raises(EngineUnavailableError, match=f"TCP {address}: "):
            await PacketEngine([address]).start()


async def test_tcp_is_heard_on_the_port_of_udp_and_counted(real: PacketEngine) -> None:
    address, port = real.local_addresses[0]
    reader, writer = await asyncio.open_connection(address, port)
    # Not a frame of RFC 4571 that could be a datagram: the engine closes.
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
    counted = real.io_counters
    assert (counted["tcp_accepted"], counted["tcp_closed"], counted["tcp_malformed"]) == (1, 1, 1)


async def test_after_stopping_nothing_works_and_stopping_again_does_no_harm(
    real: PacketEngine, plan: PeerPlan
) -> None:
    await real.stop()
    await real.stop()
    with pytest.raises(EngineUnavailableError, match="not running"):
        real.add_peer(Told(), plan, shard=0)
    with pytest.raises(EngineUnavailableError, match="not running"):
        await real.stats()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    files = {
        "Cargo.toml": "[package]",
        "src/lib.rs": "mod b;",
        "src/b/mod.rs": "",
        "engine/Cargo.toml": "[package]",
        "engine/src/lib.rs": "fn main() {}",
        # None of these counts.
        "build.rs": "x",
        "src/notes.md": "x",
        "engine/tests/all.rs": "x",
        "target/debug/build.rs": "x",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_hash_is_over_sorted_paths_and_contents(sources: Path) -> None:
    expected = hashlib.sha256(
        b"Cargo.toml\0[package]\0"
        b"engine/Cargo.toml\0[package]\0"
        b"engine/src/lib.rs\0fn main() {}\0"
        b"src/b/mod.rs\0\0"
        b"src/lib.rs\0mod b;\0"
    )
    assert source_hash(sources) == expected.hexdigest()


def test_a_stale_extension_is_refused(sources: Path) -> None:
    with pytest.raises(EngineStaleError, match="make build"):
        check_fresh(sources)


def test_an_installed_wheel_has_no_sources_to_compare(tmp_path: Path) -> None:
    check_fresh(tmp_path)


@pytest.mark.skipif(
    not (RUST / "Cargo.toml").is_file(), reason="runs from an installed wheel, without Rust sources"
)
def test_this_extension_is_fresh() -> None:
    assert source_hash(RUST) == _engine.SOURCE_HASH
