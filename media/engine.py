"""The packet engine as the rest of media sees it; the only file that imports the extension ``media._engine``.

    commands:  PacketEngine methods --> native Engine --> bounded queue --> the shard's thread
    events:    shard --> bounded queue --> eventfd --> event loop: drain() --> the peer's PeerHandler

Every method returns at once. What a command comes to is told by events; a command that can't be queued raises
EngineUnavailableError. The extension is checked against the Rust sources beside it, where there are any: a
stale one refuses to start.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bridge.values import LessonId
from media import _engine
from media.dtls import SrtpKeys
from media.plan import IcePlan, Media, PeerPlan, SlotPlan, SourcePlan

logger = logging.getLogger(__name__)

STATS_TIMEOUT_S = 2.0
SYNC_TIMEOUT_S = 30.0
"""A disk that is slower has no recording that could be waited for."""
_RUST = Path(__file__).parent / "rust"
_HASHED = ("Cargo.toml", "src/**/*.rs", "engine/Cargo.toml", "engine/src/**/*.rs")

_Result = TypeVar("_Result")


class EngineUnavailableError(Exception):
    """The engine can't start, isn't running, or its command queue is full."""


class EngineStaleError(EngineUnavailableError):
    """The extension was built from other Rust sources than those beside it."""


class PeerHandler(Protocol):
    """What the engine tells about one peer; called on the event loop, mustn't block."""

    def dtls_received(self, data: bytes) -> None: ...
    def pair_selected(self, local: str, remote: str) -> None:
        """Media goes to the address ``remote`` from now on (ICE)."""

    def fell_silent(self) -> None:
        """No authenticated packet for the consent time (RFC 7675)."""

    def fell_quiet(self, quiet: bool) -> None:
        """No authenticated packet for some seconds (``quiet``), or one came again."""

    def source_live(self, source: int, layer: int, live: bool) -> None: ...
    def source_level(self, source: int, level: int) -> None: ...
    def recording_failed(self, source: int, text: str) -> None:
        """What is recorded of the source has a hole from now on, or has ended."""

    def command_failed(self, code: str) -> None:
        """One of its commands could not be carried out; ``code`` is the engine's stable word for why."""


@dataclass(frozen=True, slots=True)
class ShardStats:
    """The counters of one shard, its peers, sources and slots, as the engine writes them."""

    shard: int
    counters: dict[str, Any]


@dataclass(slots=True)
class EngineCounters:
    """Troubles since the start."""

    events_dropped: int = 0
    shards_failed: int = 0
    """How often: a shard begins anew after it."""
    writers_failed: int = 0
    """How often the writer of recordings did; it begins anew too."""
    commands_failed: int = 0
    events_without_peer: int = 0
    """Of peers removed a moment ago: what was under way when they went."""


@dataclass(slots=True)
class _SyncRequest:
    waiting: int
    done: asyncio.Future[None]


@dataclass(slots=True)
class _StatsRequest:
    waiting: int
    done: asyncio.Future[None]
    answers: list[ShardStats] = field(default_factory=list)


class PacketEngine:
    """Owns the native engine and hands its events out. Who closes: whoever called ``start`` calls ``stop``.

    ``bind``: "ADDR:PORT" to hear UDP and TCP on. ``on_shard_failed`` is called when a shard has failed by a
    fault: its peers, sources and slots are gone, and it begins anew, empty.
    """

    def __init__(
        self,
        bind: Sequence[str],
        *,
        shards: int = 1,
        on_shard_failed: Callable[[int], None] = lambda shard: None,
    ) -> None:
        self.counters = EngineCounters()
        self._bind = tuple(bind)
        self._shards = shards
        self._on_shard_failed = on_shard_failed
        self._native: _engine.Engine | None = None
        self._handlers: dict[int, PeerHandler] = {}
        self._stats: dict[int, _StatsRequest] = {}
        self._syncs: dict[int, _SyncRequest] = {}
        self._peers = itertools.count(1)
        self._sources = itertools.count(1)
        self._tickets = itertools.count(1)
        self._dispatch: dict[type[_engine.Event], Callable[[Any], None]] = {
            _engine.Event.DtlsReceived: self._for_peer(lambda peer, event: peer.dtls_received(event.data)),
            _engine.Event.PeerConnected: self._for_peer(
                lambda peer, event: peer.pair_selected(event.local, event.remote)
            ),
            _engine.Event.PeerSilent: self._for_peer(lambda peer, event: peer.fell_silent()),
            _engine.Event.PeerQuiet: self._for_peer(lambda peer, event: peer.fell_quiet(event.quiet)),
            _engine.Event.SourceLive: self._for_peer(
                lambda peer, event: peer.source_live(event.source, event.layer, True)
            ),
            _engine.Event.SourceIdle: self._for_peer(
                lambda peer, event: peer.source_live(event.source, event.layer, False)
            ),
            _engine.Event.SourceLevel: self._for_peer(
                lambda peer, event: peer.source_level(event.source, event.level)
            ),
            # Nobody waits for it yet: a slot's new picture speaks for itself.
            _engine.Event.SlotSwitched: lambda event: None,
            _engine.Event.RecordingFailed: self._for_peer(
                lambda peer, event: peer.recording_failed(event.source, event.text)
            ),
            _engine.Event.RecordingsSynced: self._synced,
            _engine.Event.CommandFailed: self._command_failed,
            _engine.Event.ShardFailed: self._shard_failed,
            _engine.Event.WriterFailed: self._writer_failed,
            _engine.Event.Stats: self._stats_came,
            _engine.Event.EventsDropped: self._events_dropped,
        }

    async def start(self) -> None:
        """Bind and start the threads. Raises EngineStaleError or EngineUnavailableError."""
        await asyncio.to_thread(check_fresh)
        try:
            self._native = _engine.Engine(self._bind, shards=self._shards)
        except _engine.EngineError as exc:
            raise EngineUnavailableError(str(exc)) from exc
        asyncio.get_running_loop().add_reader(self._native.event_fd, self._drain)

    async def stop(self) -> None:
        """Stop the threads and close the sockets. Idempotent."""
        native, self._native = self._native, None
        if native is None:
            return
        asyncio.get_running_loop().remove_reader(native.event_fd)
        self._handlers.clear()
        for request in self._stats.values():
            request.done.cancel()
        self._stats.clear()
        for sync in self._syncs.values():
            sync.done.cancel()
        self._syncs.clear()
        await asyncio.to_thread(native.close)

    @property
    def local_addresses(self) -> list[tuple[str, int]]:
        """Where UDP and TCP are heard, with the port that the kernel chose where 0 was asked for."""
        return self._running().local_addresses

    @property
    def io_counters(self) -> dict[str, int]:
        """Datagrams sent and dropped, TCP connections taken and closed, by reason; what became of
        recordings."""
        return dict(self._running().io_counters)

    def shard_of(self, lesson: LessonId) -> int:
        """The shard that a lesson lives on: always the same one for the same number of shards."""
        digest = hashlib.sha256(lesson.encode()).digest()
        return int.from_bytes(digest[:8]) % self._running().shards

    def add_peer(self, handler: PeerHandler, plan: PeerPlan, *, shard: int) -> int:
        """Create a peer, whose events go to ``handler``; returns its id, never used again."""
        native = self._running()
        peer = next(self._peers)
        self._handlers[peer] = handler
        try:
            self._command(
                native.add_peer,
                peer,
                shard=shard,
                local_ufrag=plan.ice.local_ufrag,
                local_pwd=plan.ice.local_pwd,
                remote_ufrag=plan.ice.remote_ufrag,
                receive_bitrate=plan.receive_bitrate,
            )
        except EngineUnavailableError:
            del self._handlers[peer]
            raise
        return peer

    def remove_peer(self, peer: int) -> None:
        """Remove a peer, its sources and its slots; no event of it comes afterwards."""
        self._handlers.pop(peer, None)
        self._command(self._running().remove_peer, peer)

    def restart_ice(self, peer: int, ice: IcePlan) -> None:
        """Take new credentials (RFC 8445 section 9); the old path stays good until they nominate another."""
        self._command(
            self._running().restart_ice,
            peer,
            local_ufrag=ice.local_ufrag,
            local_pwd=ice.local_pwd,
            remote_ufrag=ice.remote_ufrag,
        )

    def set_keys(self, peer: int, keys: SrtpKeys) -> None:
        """Hand the SRTP keys over; accepted once for a peer."""
        self._command(
            self._running().set_keys,
            peer,
            profile=keys.profile,
            receive_key=keys.receive_key,
            receive_salt=keys.receive_salt,
            send_key=keys.send_key,
            send_salt=keys.send_salt,
        )

    def send_dtls(self, peer: int, data: bytes) -> None:
        """Send a DTLS datagram to where the peer's checks came from."""
        self._command(self._running().send_dtls, peer, data)

    def publish(self, peer: int, plan: SourcePlan) -> int:
        """Expect a source of the peer; returns its id, unique in the engine and never used again."""
        source = next(self._sources)
        self._command(
            self._running().publish,
            peer,
            source,
            media=plan.codec.media,
            codec=plan.codec.name,
            mid=plan.mid,
            payload_type=plan.codec.payload_type,
            rtx_payload_type=plan.codec.rtx_payload_type,
            nack=plan.codec.nack,
            clock_rate=plan.codec.clock_rate,
            layers=[(layer.rid, layer.ssrc, layer.rtx_ssrc) for layer in plan.layers],
            mid_extension=plan.extensions.mid,
            rid_extension=plan.extensions.rid,
            repaired_rid_extension=plan.extensions.repaired_rid,
            level_extension=plan.extensions.level,
            dependency_extension=plan.extensions.dependency,
            red_payload_type=plan.red_payload_type,
        )
        return source

    def unpublish(self, peer: int, source: int) -> None:
        """Take nothing of the source any more; who plays it has an empty place, its recording ends."""
        self._command(self._running().unpublish, peer, source)

    def add_slot(self, peer: int, plan: SlotPlan) -> None:
        """Create a slot of the peer, both halves of it."""
        for half in plan.halves:
            self._command(
                self._running().add_slot,
                peer,
                plan.index,
                media=half.codec.media,
                payloads=[(codec.name, codec.payload_type, codec.rtx_payload_type) for codec in half.codecs],
                mid=half.mid,
                clock_rate=half.codec.clock_rate,
                ssrc=half.ssrc,
                rtx_ssrc=half.rtx_ssrc,
                nack=any(codec.nack for codec in half.codecs),
                mid_extension=half.extensions.mid,
                level_extension=half.extensions.level,
                send_time_extension=half.extensions.send_time,
                dependency_extension=half.extensions.dependency,
                red_payload_type=half.red_payload_type,
            )

    def route(self, peer: int, slot: int, media: Media, source: int | None) -> None:
        """Play a source in one half of a slot, or nothing."""
        self._command(self._running().route, peer, slot, media=media, source=source)

    def set_temporal(self, peer: int, slot: int, level: int | None) -> None:
        """Play a slot's picture up to this temporal level from the next frame on; 0 is the base, None all."""
        self._command(self._running().set_temporal, peer, slot, level=level)

    def record(self, peer: int, source: int, path: Path | None, *, kind: str = "") -> None:
        """Append the best layer of a source to a new file from now on; None ends that.

        The engine makes the file and its folder. The format is that of media/recording/FORMAT.md; ``kind``
        stands in it.
        """
        self._command(self._running().record, peer, source, path, kind=kind)

    async def sync_recordings(self) -> None:
        """Return when all that was recorded before the call, ends of recordings included, is on disk.

        Raises EngineUnavailableError if that takes longer than 30 s.
        """
        native = self._running()
        ticket = next(self._tickets)
        request = _SyncRequest(native.shards, asyncio.get_running_loop().create_future())
        self._syncs[ticket] = request
        try:
            self._command(native.sync_recordings, ticket)
            async with asyncio.timeout(SYNC_TIMEOUT_S):
                await request.done
        except TimeoutError:
            raise EngineUnavailableError(
                f"{request.waiting} shards have not synced their recordings"
            ) from None
        finally:
            self._syncs.pop(ticket, None)

    async def stats(self) -> list[ShardStats]:
        """The counters of every shard. Raises EngineUnavailableError if one doesn't answer in 2 s."""
        native = self._running()
        ticket = next(self._tickets)
        request = _StatsRequest(native.shards, asyncio.get_running_loop().create_future())
        self._stats[ticket] = request
        try:
            self._command(native.request_stats, ticket)
            async with asyncio.timeout(STATS_TIMEOUT_S):
                await request.done
        except TimeoutError:
            raise EngineUnavailableError(f"{request.waiting} shards gave no counters") from None
        finally:
            self._stats.pop(ticket, None)
        return sorted(request.answers, key=lambda answer: answer.shard)

    def _running(self) -> _engine.Engine:
        if self._native is None:
            raise EngineUnavailableError("the engine is not running")
        return self._native

    @staticmethod
    def _command(method: Callable[..., _Result], *args: Any, **kwargs: Any) -> _Result:
        try:
            return method(*args, **kwargs)
        except _engine.EngineError as exc:
            raise EngineUnavailableError(str(exc)) from exc

    def _drain(self) -> None:
        for event in self._running().drain():
            try:
                self._dispatch[type(event)](event)
            except Exception:
                # The rest of the batch belongs to other endpoints.
                logger.exception("a packet engine event was not handled: %s", type(event).__name__)
            # A handler may have stopped the engine.
            if self._native is None:
                return

    def _for_peer(self, tell: Callable[[PeerHandler, Any], None]) -> Callable[[Any], None]:
        def handle(event: Any) -> None:
            handler = self._handlers.get(event.peer)
            if handler is None:
                self.counters.events_without_peer += 1
                return
            tell(handler, event)

        return handle

    def _command_failed(self, event: _engine.Event.CommandFailed) -> None:
        self.counters.commands_failed += 1
        handler = self._handlers.get(event.peer)
        if handler is not None:
            handler.command_failed(event.code)

    def _shard_failed(self, event: _engine.Event.ShardFailed) -> None:
        self.counters.shards_failed += 1
        logger.critical("shard %d of the packet engine failed: %s", event.shard, event.text)
        self._on_shard_failed(event.shard)

    def _writer_failed(self, event: _engine.Event.WriterFailed) -> None:
        self.counters.writers_failed += 1
        logger.critical("the writer of recordings failed: %s", event.text)

    def _events_dropped(self, event: _engine.Event.EventsDropped) -> None:
        self.counters.events_dropped += event.count
        logger.error("shard %d of the packet engine dropped %d events", event.shard, event.count)

    def _synced(self, event: _engine.Event.RecordingsSynced) -> None:
        request = self._syncs.get(event.ticket)
        if request is None:
            return
        request.waiting -= 1
        if request.waiting == 0 and not request.done.done():
            request.done.set_result(None)

    def _stats_came(self, event: _engine.Event.Stats) -> None:
        request = self._stats.get(event.ticket)
        if request is None:
            return
        request.answers.append(ShardStats(event.shard, json.loads(event.json)))
        request.waiting -= 1
        if request.waiting == 0 and not request.done.done():
            request.done.set_result(None)


def source_hash(rust: Path) -> str:
    """SHA-256, hex, over the Rust sources sorted by path: path, 0, content, 0 of each; as in build.rs."""
    files = {path.relative_to(rust).as_posix(): path for pattern in _HASHED for path in rust.glob(pattern)}
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name].read_bytes() + b"\0")
    return digest.hexdigest()


def check_fresh(rust: Path = _RUST) -> None:
    """Raises EngineStaleError if the extension doesn't come from ``rust``; a wheel has no sources."""
    if not (rust / "Cargo.toml").is_file():
        return
    if source_hash(rust) != _engine.SOURCE_HASH:
        raise EngineStaleError("media._engine was built from other Rust sources than these: run `make build`")
