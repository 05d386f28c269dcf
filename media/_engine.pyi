"""The packet engine (Rust, media/rust). Only media/engine.py imports it.

Every method posts a command to the shard that owns the peer and returns at once; what becomes of it comes
back as an event from drain(). Errors of the caller (unknown peer, duplicate SSRC, ...) come as CommandFailed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, final

from typing_extensions import disjoint_base

__all__ = ["BUILD_PROFILE", "SOURCE_HASH", "Engine", "EngineError", "Event"]

BUILD_PROFILE: str
"""Cargo's profile and the level of optimisation of this extension: "release, opt-level 3"."""

SOURCE_HASH: str
"""Hash of the Rust sources that this extension was built from."""

class EngineError(Exception):
    """The engine can't start, is closed, its bounded command queue is full, or the call met a fault of it."""

@final
class Engine:
    def __new__(cls, bind: Sequence[str], *, shards: int = 1) -> Self:
        """Bind a UDP and a TCP port of one number on each "ADDR:PORT" and start the threads. Raises
        EngineError, which names the protocol and the address."""

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
        """Datagrams sent and dropped, TCP connections taken, refused and closed, by reason, of all threads,
        and what became of recordings.

        They only grow; tcp_accepted - tcp_closed are open. Meanings: media/rust/engine/src/io/counters.rs.
        """

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

    def restart_ice(self, peer: int, *, local_ufrag: str, local_pwd: str, remote_ufrag: str) -> None:
        """New credentials; the path and the credentials of before stay good until a check with the new ones
        nominates a pair."""

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
        codec: Literal["opus", "vp8", "vp9", "h264", "av1"],
        mid: str,
        payload_type: int,
        rtx_payload_type: int | None,
        nack: bool,
        clock_rate: int,
        layers: Sequence[tuple[str | None, int | None, int | None]],
        mid_extension: int | None,
        rid_extension: int | None,
        repaired_rid_extension: int | None,
        level_extension: int | None,
        dependency_extension: int | None = None,
        red_payload_type: int | None = None,
    ) -> None:
        """``source`` is unique in the engine. ``layers``: (rid, SSRC, SSRC of its retransmissions), high to
        low, None where unsaid. ``nack``: the publisher answers NACK, with RTX where that has a payload
        type.

        ``dependency_extension``: the dependency descriptor, which is read of AV1 alone. Without it AV1 has
        no temporal levels here. Let no other codec have it: Chromium then leaves picture ids and levels out
        of VP8's payload. ``red_payload_type``: redundant audio (RFC 2198) of this codec, which the publisher
        may send instead; its own frame is taken in, and an earlier one where it fills a gap (``recovered`` in
        the statistics). Receivers get plain frames, or redundancy of their own."""

    def unpublish(self, peer: int, source: int) -> None: ...
    def add_slot(
        self,
        peer: int,
        slot: int,
        *,
        media: Literal["audio", "video"],
        payloads: Sequence[tuple[Literal["opus", "vp8", "vp9", "h264", "av1"], int, int | None]],
        mid: str,
        clock_rate: int,
        ssrc: int,
        rtx_ssrc: int | None,
        nack: bool,
        mid_extension: int | None,
        level_extension: int | None,
        send_time_extension: int | None,
        dependency_extension: int | None = None,
        red_payload_type: int | None = None,
    ) -> None:
        """One half of a slot: (slot, media) is unique in a peer, and so are ``ssrc`` and ``rtx_ssrc``, as
        long as it lives. ``payloads``: (codec, payload type, that of its retransmissions), each codec
        once. ``dependency_extension``: the dependency descriptor, written on AV1 that came with one, with
        this slot's frame numbers. ``red_payload_type``: redundant audio (RFC 2198), sent instead of the
        codec's own payload type while the receiver's reports, smoothed, say that more than 5 % are lost,
        until below 2 %: the frame two back, and from 12 % until below 8 % the last one as well."""

    def route(
        self, peer: int, slot: int, *, media: Literal["audio", "video"], source: int | None, layer: int = 0
    ) -> None:
        """What plays in that half; ``layer`` indexes the source's layers. Pictures switch at a key frame."""

    def set_temporal(self, peer: int, slot: int, *, level: int | None) -> None:
        """The highest temporal level of the slot's picture from the next frame on (0 is the base), None for
        all; it stays when another source plays. Going up waits for a frame where that can be done: one that
        says so (Y of VP8, U of VP9, a switch indication of AV1's descriptor) or a key frame. H.264 says no
        levels in its packets, so all of it plays."""

    def record(self, peer: int, source: int, path: Path | None, *, kind: str = "") -> None:
        """Append the best layer of the source to a new file at ``path`` (media/recording/FORMAT.md) from now
        on; None ends it. Its folder is made. ``kind`` is written into the file, at most 32 octets."""

    def sync_recordings(self, ticket: int) -> None:
        """Answered by one RecordingsSynced event per shard, when all that came before is on disk."""

    def remove_peer(self, peer: int) -> None: ...
    def request_stats(self, ticket: int) -> None:
        """Answered by one Stats event per shard."""

    def drain(self) -> list[Event]:
        """All events that wait, oldest first; never blocks."""

    def close(self) -> None:
        """Stop and join the threads, close the sockets. Idempotent."""

@disjoint_base
class Event:
    @final
    class DtlsReceived(Event):
        __match_args__: tuple[Literal["peer"], Literal["data"]] = ...
        @property
        def peer(self) -> int: ...
        @property
        def data(self) -> bytes: ...
        def __new__(cls, peer: int, data: bytes) -> Self: ...

    @final
    class PeerConnected(Event):
        """A check with USE-CANDIDATE came from a new pair: media goes to ``remote`` from now on."""

        __match_args__: tuple[Literal["peer"], Literal["local"], Literal["remote"]] = ...
        @property
        def peer(self) -> int: ...
        @property
        def local(self) -> str: ...
        @property
        def remote(self) -> str: ...
        def __new__(cls, peer: int, local: str, remote: str) -> Self: ...

    @final
    class PeerSilent(Event):
        """No authenticated packet for the consent time (RFC 7675)."""

        __match_args__: tuple[Literal["peer"]] = ...
        @property
        def peer(self) -> int: ...
        def __new__(cls, peer: int) -> Self: ...

    @final
    class PeerQuiet(Event):
        """No authenticated packet for some seconds (``quiet``), or one came again."""

        __match_args__: tuple[Literal["peer"], Literal["quiet"]] = ...
        @property
        def peer(self) -> int: ...
        @property
        def quiet(self) -> bool: ...
        def __new__(cls, peer: int, quiet: bool) -> Self: ...

    @final
    class SourceLive(Event):
        """The source's first packet arrived."""

        __match_args__: tuple[Literal["peer"], Literal["source"], Literal["layer"]] = ...
        @property
        def peer(self) -> int: ...
        @property
        def source(self) -> int: ...
        @property
        def layer(self) -> int: ...
        def __new__(cls, peer: int, source: int, layer: int) -> Self: ...

    @final
    class SourceIdle(Event):
        """No packet of the source for two seconds."""

        __match_args__: tuple[Literal["peer"], Literal["source"], Literal["layer"]] = ...
        @property
        def peer(self) -> int: ...
        @property
        def source(self) -> int: ...
        @property
        def layer(self) -> int: ...
        def __new__(cls, peer: int, source: int, layer: int) -> Self: ...

    @final
    class SourceLevel(Event):
        """How loud the source is: twice a second while it is heard, and once when no longer.

        ``level``: dB below overload (RFC 6464), smoothed over half a second; 127 for silence.
        """

        __match_args__: tuple[Literal["peer"], Literal["source"], Literal["level"]] = ...
        @property
        def peer(self) -> int: ...
        @property
        def source(self) -> int: ...
        @property
        def level(self) -> int: ...
        def __new__(cls, peer: int, source: int, level: int) -> Self: ...

    @final
    class SlotSwitched(Event):
        """The half plays ``source`` from now on."""

        __match_args__: tuple[
            Literal["peer"], Literal["slot"], Literal["media"], Literal["source"], Literal["layer"]
        ] = ...
        @property
        def peer(self) -> int: ...
        @property
        def slot(self) -> int: ...
        @property
        def media(self) -> str: ...
        @property
        def source(self) -> int: ...
        @property
        def layer(self) -> int: ...
        def __new__(cls, peer: int, slot: int, media: str, source: int, layer: int) -> Self: ...

    @final
    class RecordingFailed(Event):
        """What is recorded of the source has a hole from now on, or has ended."""

        __match_args__: tuple[Literal["peer"], Literal["source"], Literal["text"]] = ...
        @property
        def peer(self) -> int: ...
        @property
        def source(self) -> int: ...
        @property
        def text(self) -> str: ...
        def __new__(cls, peer: int, source: int, text: str) -> Self: ...

    @final
    class RecordingsSynced(Event):
        __match_args__: tuple[Literal["ticket"], Literal["shard"]] = ...
        @property
        def ticket(self) -> int: ...
        @property
        def shard(self) -> int: ...
        def __new__(cls, ticket: int, shard: int) -> Self: ...

    @final
    class CommandFailed(Event):
        __match_args__: tuple[Literal["peer"], Literal["code"]] = ...
        @property
        def peer(self) -> int: ...
        @property
        def code(self) -> str: ...
        def __new__(cls, peer: int, code: str) -> Self: ...

    @final
    class ShardFailed(Event):
        """A shard panicked, ``text`` says why and where. All its peers, sources and slots are gone, without a
        word of each; after half a second it goes on, empty, and peers may be added again. Never dropped."""

        __match_args__: tuple[Literal["shard"], Literal["text"]] = ...
        @property
        def shard(self) -> int: ...
        @property
        def text(self) -> str: ...
        def __new__(cls, shard: int, text: str) -> Self: ...

    @final
    class WriterFailed(Event):
        """The writer of recordings panicked. Each recording under way ends with RecordingFailed; after half a
        second the writer goes on with new ones. Never dropped."""

        __match_args__: tuple[Literal["text"]] = ...
        @property
        def text(self) -> str: ...
        def __new__(cls, text: str) -> Self: ...

    @final
    class Stats(Event):
        """``json``: counters of the shard, its peers, sources and slots, as one JSON object."""

        __match_args__: tuple[Literal["ticket"], Literal["shard"], Literal["json"]] = ...
        @property
        def ticket(self) -> int: ...
        @property
        def shard(self) -> int: ...
        @property
        def json(self) -> str: ...
        def __new__(cls, ticket: int, shard: int, json: str) -> Self: ...

    @final
    class EventsDropped(Event):
        """The bounded event queue was full: ``count`` events of this shard were dropped."""

        __match_args__: tuple[Literal["shard"], Literal["count"]] = ...
        @property
        def shard(self) -> int: ...
        @property
        def count(self) -> int: ...
        def __new__(cls, shard: int, count: int) -> Self: ...
