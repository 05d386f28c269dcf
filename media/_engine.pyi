"""The packet engine (Rust, media/rust). Only media/engine.py imports it.

Every method posts a command to the shard that owns the peer and returns at once; what becomes of it comes
back as an event from drain(). Errors of the caller (unknown peer, duplicate SSRC, ...) come as CommandFailed.
"""

from collections.abc import Sequence
from typing import Literal

SOURCE_HASH: str
"""Hash of the Rust sources that this extension was built from."""

class EngineError(Exception):
    """The engine can't start, is closed, or its bounded command queue is full."""

class Engine:
    def __init__(self, bind: Sequence[str], *, shards: int = 1) -> None:
        """Bind one UDP port on each "ADDR:PORT" and start the threads. Raises EngineError."""

    @property
    def local_addresses(self) -> list[tuple[str, int]]:
        """The bound addresses, with the port the kernel chose where 0 was asked for."""

    @property
    def event_fd(self) -> int:
        """Readable when drain() has something to give."""

    @property
    def shards(self) -> int: ...
    @property
    def io_counters(self) -> list[tuple[str, int]]:
        """Datagrams sent and dropped by all threads, by reason."""
    def add_peer(
        self,
        peer: int,
        *,
        shard: int,
        local_ufrag: str,
        local_pwd: str,
        remote_ufrag: str,
        receive_bitrate: int,
    ) -> None:
        """``receive_bitrate``: bit/s, what REMB allows the publisher."""

    def set_keys(
        self,
        peer: int,
        *,
        profile: int,
        receive_key: bytes,
        receive_salt: bytes,
        send_key: bytes,
        send_salt: bytes,
    ) -> None:
        """SRTP master keys; ``profile`` is the DTLS-SRTP number (RFC 5764, 7714). Accepted once per peer."""

    def send_dtls(self, peer: int, data: bytes) -> None: ...
    def publish(
        self,
        peer: int,
        source: int,
        *,
        media: Literal["audio", "video"],
        codec: Literal["opus", "vp8"],
        mid: str,
        payload_type: int,
        clock_rate: int,
        layers: Sequence[tuple[str | None, int | None]],
        mid_extension: int | None,
        rid_extension: int | None,
        level_extension: int | None,
    ) -> None:
        """``source`` is unique in the engine. ``layers``: (rid, SSRC) from high to low, each None where unsaid."""

    def unpublish(self, peer: int, source: int) -> None: ...
    def add_slot(
        self,
        peer: int,
        slot: int,
        *,
        media: Literal["audio", "video"],
        codec: Literal["opus", "vp8"],
        mid: str,
        payload_type: int,
        clock_rate: int,
        ssrc: int,
        mid_extension: int | None,
        level_extension: int | None,
        send_time_extension: int | None,
    ) -> None:
        """One half of a slot: (slot, media) is unique in a peer, and so is ``ssrc``, for the peer's whole life."""

    def route(
        self, peer: int, slot: int, *, media: Literal["audio", "video"], source: int | None, layer: int = 0
    ) -> None:
        """What plays in that half; ``layer`` indexes the source's layers. Pictures switch at a key frame."""

    def remove_peer(self, peer: int) -> None: ...
    def request_stats(self, ticket: int) -> None:
        """Answered by one Stats event per shard."""

    def drain(self) -> list[Event]:
        """All events that wait, oldest first; never blocks."""

    def close(self) -> None:
        """Stop and join the threads, close the sockets. Idempotent."""

class Event:
    class DtlsReceived(Event):
        peer: int
        data: bytes

    class PeerConnected(Event):
        """A check with USE-CANDIDATE came from a new pair: media goes to ``remote`` from now on."""

        peer: int
        local: str
        remote: str

    class PeerSilent(Event):
        """No authenticated packet for the consent time (RFC 7675)."""

        peer: int

    class SourceLive(Event):
        """The source's first packet arrived."""

        peer: int
        source: int
        layer: int

    class SourceIdle(Event):
        """No packet of the source for two seconds."""

        peer: int
        source: int
        layer: int

    class SlotSwitched(Event):
        """The half plays ``source`` from now on."""

        peer: int
        slot: int
        media: str
        source: int
        layer: int

    class CommandFailed(Event):
        peer: int
        code: str

    class ShardFailed(Event):
        """A shard's thread ended by a panic; the engine must be closed."""

        shard: int
        text: str

    class Stats(Event):
        """``json``: counters of the shard, its peers, sources and slots, as one JSON object."""

        ticket: int
        shard: int
        json: str

    class EventsDropped(Event):
        """The bounded event queue was full: ``count`` events of this shard were dropped."""

        shard: int
        count: int
