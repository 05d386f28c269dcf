"""The media side of the program: ``MediaService`` for the process, ``LessonMedia`` for a lesson.

    MediaService ── PacketEngine, Certificate, announced candidates
      '── LessonMedia (bridge.ports.MediaPort) ── MediaPeer, one for an endpoint

Who closes whom: the composition starts and stops MediaService; stopping it closes every LessonMedia that is
left, waits for the goodbyes of their peers, and stops the engine last. A Classroom closes its LessonMedia and
dismisses its endpoints. Nothing here closes itself: a peer that is lost says so and waits to be dismissed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge.ports import Admission, CodecChanged, MediaEvent, MediaRefusedError
from bridge.values import EndpointId, Grant, LessonId, Offer, SourceKind, SourceRef
from media.addresses import (
    MAX_CANDIDATES,
    Announced,
    candidates,
    interface_addresses,
    parse_announced,
    without_missing_ipv6,
)
from media.common import CommonCodecs
from media.dtls import Certificate
from media.engine import PacketEngine, ShardStats
from media.negotiation import LocalParameters, negotiate
from media.peer import MediaPeer
from media.plan import Media
from media.recording.layout import raw_folder, raw_name
from media.restart import FreshIce
from media.statistics import PeerNames, arrange

logger = logging.getLogger(__name__)

# RFC 8839 section 5.4. Eight of them name a peer among thousands; 24 carry 144 bits, the RFC asks for 128.
_ICE_CHARACTERS = string.ascii_letters + string.digits + "+/"
_UFRAG_LENGTH = 8
_PWD_LENGTH = 24


class RecordingUnavailableError(Exception):
    """A lesson is to be recorded, and there is no place for it."""


class MediaService:
    """Owns the packet engine and the DTLS certificate of the process; ``open`` makes the media of a lesson.

    ``bind``: "ADDR:PORT" to hear on; a "[::]:PORT" beside others is left out where the machine has no IPv6.
    ``announce``: what the answers' candidates name, as media.addresses.parse_announced reads it or as
    (address, port or None); need not be local. Empty: what the sockets are bound to.
    ``recordings``: the folder of recorded lessons; None: none can be recorded.
    Raises ValueError for an address that is none.
    """

    def __init__(
        self,
        bind: Sequence[str],
        announce: Sequence[str | tuple[str, int | None]] = (),
        *,
        shards: int = 1,
        recordings: Path | None = None,
    ) -> None:
        self._bind = tuple(bind)
        self._shards = shards
        self._engine = PacketEngine(self._bind, shards=shards, on_shard_failed=self._shard_failed)
        self._announce = tuple(
            parse_announced(each) if isinstance(each, str) else Announced(*each) for each in announce
        )
        self._recordings = recordings
        self._certificate: Certificate | None = None
        self._candidates: tuple[tuple[str, int], ...] = ()
        self._lessons: set[LessonMedia] = set()
        self._goodbyes: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises EngineUnavailableError, or ValueError when there is no address to announce."""
        self._certificate = await asyncio.to_thread(Certificate)
        interfaces = await asyncio.to_thread(interface_addresses)
        bind = await asyncio.to_thread(without_missing_ipv6, self._bind)
        if bind != self._bind:
            logger.warning("this machine has no IPv6: media on %s alone", ", ".join(bind))
            self._engine = PacketEngine(bind, shards=self._shards, on_shard_failed=self._shard_failed)
        await self._engine.start()
        try:
            found = candidates(self._engine.local_addresses, self._announce, interfaces)
        except ValueError:
            await self._engine.stop()
            raise
        self._candidates = found[:MAX_CANDIDATES]
        if len(found) > MAX_CANDIDATES:
            logger.warning(
                "%d addresses, of which clients are told the first %d; choose with --announce",
                len(found),
                MAX_CANDIDATES,
            )
        logger.info("media on %s", ", ".join(f"{address} port {port}" for address, port in self._candidates))

    async def stop(self) -> None:
        """Close every lesson's media, wait for the goodbyes, stop the engine. Idempotent."""
        for lesson in list(self._lessons):
            lesson.close()
        while self._goodbyes:
            await asyncio.wait(self._goodbyes)
        await self._engine.stop()

    def open(
        self, lesson: LessonId, sink: Callable[[MediaEvent], None], *, record: bool = False
    ) -> LessonMedia:
        """The media of one lesson (bridge.ports.OpenMedia).

        Raises RecordingUnavailableError when it is to be recorded and there is no folder, or the lesson's id
        makes no name of one.
        """
        if self._certificate is None:
            raise RuntimeError("the media service was not started")
        recording = self._folder(lesson) if record else None
        media = LessonMedia(self, self._engine, self._certificate, lesson, sink, recording=recording)
        self._lessons.add(media)
        return media

    @property
    def candidates(self) -> tuple[tuple[str, int], ...]:
        """The (address, port) pairs that answers name."""
        return self._candidates

    async def sync_recordings(self) -> None:
        """Return when all that was recorded is on disk. Raises EngineUnavailableError."""
        await self._engine.sync_recordings()

    def _folder(self, lesson: LessonId) -> Path:
        if self._recordings is None:
            raise RecordingUnavailableError("there is no folder for recordings")
        try:
            return raw_folder(self._recordings, lesson)
        except ValueError as exc:
            raise RecordingUnavailableError(str(exc)) from exc

    async def stats(self) -> list[ShardStats]:
        """The engine's counters. Raises EngineUnavailableError."""
        return await self._engine.stats()

    async def statistics(self) -> dict[str, Any]:
        """All that is known of media at this moment, JSON-able. Raises EngineUnavailableError.

        Lessons and endpoints go by their ids, sources by their kinds; no label and no site is in it. Counters
        only grow as long as the peer lives; octets and packets are RTP's. What is not known is null. So it
        looks::

            {
              "shards": [{"shard": 0, "peers": 2, "counters": {"datagrams": 812, "forwarded": 400, ...}}],
              "io": {"sent": 530, "send_buffer_full": 0, ...},
              "troubles": {"events_dropped": 0, "shards_failed": 0, "writers_failed": 0,
                           "commands_failed": 0, "events_without_peer": 0},
              "lessons": {
                "LESSON": {
                  "ENDPOINT": {
                    "state": "connected",                    joining, connected or lost
                    "local": "192.0.2.1",                    the selected ICE pair
                    "remote": "198.51.100.7:51234",
                    "silent_ms": 12,                         since the last authenticated packet
                    "round_trip_ms": 40,                     0: not measured yet
                    "counters": {"unauthenticated": 0, "replayed": 0, "key_frame_requests_sent": 1, ...},
                    "sources": {
                      "camera": {
                        "codec": "vp8",
                        "layers": [{"level": "high", "ssrc": 1234, "live": true, "packets": 300,
                                    "octets": 250000, "lost": 0, "subscribers": 1, ...}]
                      }
                    },
                    "slots": [
                      {
                        "index": 0,
                        "picture": {"ssrc": 1000, "wanted": {"endpoint": "ENDPOINT", "kind": "camera"},
                                    "playing": null, "packets": 0, "octets": 0, "switches": 0,
                                    "fraction_lost": 0, "cumulative_lost": 0, ...},
                        "voice": {...}                       "picture" is null in a voice slot
                      }
                    ]
                  }
                }
              }
            }

        The engine's names of counters are passed on as they are ("...": there may be more).
        ``fraction_lost`` is in 1/256 (RFC 3550 section 6.4.1).
        """
        shards = await self._engine.stats()
        peers = [peer for lesson in self._lessons for peer in lesson.names()]
        return arrange(shards, self._engine.io_counters, asdict(self._engine.counters), peers)

    def forget(self, lesson: LessonMedia) -> None:
        """For LessonMedia.close."""
        self._lessons.discard(lesson)

    def see_off(self, goodbye: Coroutine[None, None, None]) -> None:
        """For LessonMedia: run a peer's closing to its end, which ``stop`` waits for."""
        task = asyncio.get_running_loop().create_task(goodbye)
        self._goodbyes.add(task)
        task.add_done_callback(self._seen_off)

    def _seen_off(self, task: asyncio.Task[None]) -> None:
        self._goodbyes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a peer was not closed", exc_info=error)

    def _shard_failed(self, shard: int) -> None:
        for lesson in list(self._lessons):
            if self._engine.shard_of(lesson.lesson) == shard:
                lesson.lose_all("the packet engine failed")


class LessonMedia:
    """The media of one lesson; implements bridge.ports.MediaPort, which says what each method does.

    Called on the event loop. The events of an endpoint come to ``sink`` between its ``admit`` and its
    ``dismiss``, and also from within ``route`` when the engine takes no more commands.
    """

    def __init__(
        self,
        service: MediaService,
        engine: PacketEngine,
        certificate: Certificate,
        lesson: LessonId,
        sink: Callable[[MediaEvent], None],
        *,
        recording: Path | None = None,
    ) -> None:
        self.lesson = lesson
        self._recording = recording
        self._service = service
        self._engine = engine
        self._certificate = certificate
        self._sink = sink
        self._peers: dict[EndpointId, MediaPeer] = {}
        self._common = CommonCodecs()
        self._routes: dict[EndpointId, dict[int, tuple[SourceRef | None, SourceRef | None]]] = {}
        self._closed = False

    def admit(self, endpoint: EndpointId, offer: Offer, grant: Grant) -> Admission:
        """Negotiate and create the endpoint's peer.

        Raises MediaRefusedError for what the client can't have, EngineUnavailableError for our own trouble.
        """
        if self._closed:
            raise RuntimeError("the lesson's media is closed")
        if endpoint in self._peers:
            raise ValueError(f"endpoint {endpoint} was admitted before")
        negotiated = negotiate(offer, grant, self._local_parameters())
        self._peers[endpoint] = MediaPeer(
            self._engine,
            self._certificate,
            self._sink,
            lesson=self.lesson,
            endpoint=endpoint,
            negotiated=negotiated,
            record_to=self._record_to(endpoint) if grant.teaches else None,
        )
        self._routes[endpoint] = {}
        missing = self._common.missing
        self._common.add(negotiated.plan)
        newcomer = self._peers[endpoint]
        self._agree(endpoint, newcomer)
        if self._common.missing != missing:
            self._agree_all()
        return Admission(
            answer=negotiated.answer,
            sources=frozenset(source.kind for source in negotiated.plan.sources),
            slots=tuple(slot.index for slot in negotiated.plan.slots),
            codecs={plan.kind: newcomer.codec_of(newcomer.sources[plan.kind]) for plan in newcomer.changing},
        )

    def restart(self, endpoint: EndpointId, sdp: str) -> str:
        """Answer the offer of an ICE restart.

        Raises MediaRefusedError with the code `not-joined` for an endpoint that was not admitted or is lost,
        `sdp-invalid` for an offer that changes more than its ICE credentials, EngineUnavailableError for our
        own trouble.
        """
        peer = self._peers.get(endpoint)
        if peer is None:
            raise MediaRefusedError("not-joined", "there is nothing to restart")
        fresh = FreshIce(_ice_string(_UFRAG_LENGTH), _ice_string(_PWD_LENGTH), self._service.candidates)
        return peer.restart(sdp, fresh)

    def route(
        self, endpoint: EndpointId, slot: int, picture: SourceRef | None, voice: SourceRef | None
    ) -> None:
        """Play these in a slot. A source that is not there (any more), or whose codec the endpoint did not
        offer for this slot, plays as nothing.

        Raises LookupError for an endpoint or a slot that was not admitted, ValueError for a sound in the
        place of a picture or the other way round.
        """
        peer = self._peers.get(endpoint)
        if peer is None:
            raise LookupError(f"endpoint {endpoint} is not admitted")
        halves: tuple[tuple[Media, SourceRef | None], ...] = (("video", picture), ("audio", voice))
        for media, ref in halves:
            if ref is not None and ref.kind.is_picture != (media == "video"):
                raise ValueError(f"{ref.kind.value} is no {media}")
            if (slot, media) not in peer.pictures_and_voices and (ref is not None or media == "audio"):
                raise LookupError(f"endpoint {endpoint} has no {media} in slot {slot}")
        self._routes[endpoint][slot] = (picture, voice)
        for media, ref in halves:
            if (slot, media) in peer.pictures_and_voices:
                peer.play(slot, media, self._playable(peer, slot, media, ref))

    def limit(self, endpoint: EndpointId, slot: int, level: int | None) -> None:
        """Play the picture of a slot up to this temporal level (0 is the base) of whatever plays in it; None:
        all. A source without levels, or whose levels can't be told apart, plays whole.

        Raises LookupError for an endpoint or a picture that was not admitted.
        """
        peer = self._peers.get(endpoint)
        if peer is None or (slot, "video") not in peer.pictures_and_voices:
            raise LookupError(f"endpoint {endpoint} has no picture in slot {slot}")
        peer.limit(slot, level)

    def dismiss(self, endpoint: EndpointId) -> None:
        """Remove the endpoint; its DTLS goodbye and its removal from the engine follow at once, in a task."""
        peer = self._peers.pop(endpoint, None)
        if peer is not None:
            del self._routes[endpoint]
            missing = self._common.missing
            self._common.remove(peer.plan)
            peer.stop_recording()
            self._service.see_off(peer.close())
            if self._common.missing != missing and not self._closed:
                self._agree_all()

    def close(self) -> None:
        """Dismiss all. Idempotent."""
        self._closed = True
        for endpoint in list(self._peers):
            self.dismiss(endpoint)
        self._service.forget(self)

    def lose_all(self, reason: str) -> None:
        """Say MediaLost of every endpoint."""
        for peer in list(self._peers.values()):
            peer.lose(reason)

    def _record_to(self, endpoint: EndpointId) -> Callable[[SourceKind], Path] | None:
        if (folder := self._recording) is None:
            return None
        return lambda kind: folder / raw_name(datetime.now(UTC), endpoint, kind.value)

    def _agree_all(self) -> None:
        """Somebody came or went, and what all can show is another set of codecs now."""
        for endpoint, peer in self._peers.items():
            for kind in self._agree(endpoint, peer):
                ref = SourceRef(endpoint, kind)
                self._sink(CodecChanged(ref, peer.codec_of(peer.sources[kind])))
                self._play_again(ref)

    def _agree(self, endpoint: EndpointId, peer: MediaPeer) -> list[SourceKind]:
        """Take those of its sources that can change as what all who are here can show; gives what changed."""
        changed = []
        for plan in peer.changing:
            codec = self._common.best(plan.codecs)
            if codec.name != peer.codec_of(peer.sources[plan.kind]):
                peer.change_codec(plan.kind, codec)
                if plan.kind in peer.sources:
                    logger.info(
                        "lesson %s endpoint %s: %s as %s", self.lesson, endpoint, plan.kind, codec.name
                    )
                    changed.append(plan.kind)
        return changed

    def _play_again(self, ref: SourceRef) -> None:
        """The source has another id in the engine, and others may be able to play it now."""
        for endpoint, routes in self._routes.items():
            for slot, (picture, voice) in routes.items():
                if ref == picture:
                    self.route(endpoint, slot, picture, voice)

    def names(self) -> list[PeerNames]:
        """For MediaService.statistics: who is here."""
        return [peer.names for peer in self._peers.values()]

    def _playable(self, viewer: MediaPeer, slot: int, media: Media, ref: SourceRef | None) -> int | None:
        """The source's id in the engine; None where there is none, or none that this place can play."""
        if ref is None or (publisher := self._peers.get(ref.endpoint)) is None:
            return None
        source = publisher.sources.get(ref.kind)
        if source is None or viewer.carries(slot, media, publisher.codec_of(source)):
            return source
        # Nothing here transcodes, and not every browser has H.264.
        logger.debug("lesson %s: %s can't play the codec of %s", self.lesson, viewer.names.endpoint, ref)
        return None

    def _local_parameters(self) -> LocalParameters:
        return LocalParameters(
            ice_ufrag=_ice_string(_UFRAG_LENGTH),
            ice_pwd=_ice_string(_PWD_LENGTH),
            fingerprints=(self._certificate.fingerprint,),
            candidates=self._service.candidates,
            ssrc_base=secrets.randbits(32),
            session_id=secrets.randbits(62),
        )


def _ice_string(length: int) -> str:
    return "".join(secrets.choice(_ICE_CHARACTERS) for _ in range(length))
