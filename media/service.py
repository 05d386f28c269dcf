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
from datetime import UTC, datetime
from pathlib import Path

from bridge.ports import Admission, MediaEvent
from bridge.values import EndpointId, Grant, LessonId, Offer, SourceKind, SourceRef
from media.addresses import candidates, interface_addresses
from media.dtls import Certificate
from media.engine import PacketEngine, ShardStats
from media.negotiation import LocalParameters, negotiate
from media.peer import MediaPeer
from media.plan import Media
from media.recording.layout import raw_folder, raw_name

logger = logging.getLogger(__name__)

# RFC 8839 section 5.4. Eight of them name a peer among thousands; 24 carry 144 bits, the RFC asks for 128.
_ICE_CHARACTERS = string.ascii_letters + string.digits + "+/"
_UFRAG_LENGTH = 8
_PWD_LENGTH = 24


class RecordingUnavailableError(Exception):
    """A lesson is to be recorded, and there is no place for it."""


class MediaService:
    """Owns the packet engine and the DTLS certificate of the process; ``open`` makes the media of a lesson.

    ``bind``: "ADDR:PORT" to hear UDP on. ``announce``: IP addresses for the answers' candidates; empty: those
    that the sockets are bound to. ``recordings``: the folder of recorded lessons; None: none can be recorded.
    """

    def __init__(
        self,
        bind: Sequence[str],
        announce: Sequence[str] = (),
        *,
        shards: int = 1,
        recordings: Path | None = None,
    ) -> None:
        self._engine = PacketEngine(bind, shards=shards, on_shard_failed=self._shard_failed)
        self._announce = tuple(announce)
        self._recordings = recordings
        self._certificate: Certificate | None = None
        self._candidates: tuple[tuple[str, int], ...] = ()
        self._lessons: set[LessonMedia] = set()
        self._goodbyes: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises EngineUnavailableError, or ValueError when there is no address to announce."""
        self._certificate = await asyncio.to_thread(Certificate)
        interfaces = await asyncio.to_thread(interface_addresses)
        await self._engine.start()
        try:
            self._candidates = candidates(self._engine.local_addresses, self._announce, interfaces)
        except ValueError:
            await self._engine.stop()
            raise
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
            plan=negotiated.plan,
            record_to=self._record_to(endpoint) if grant.teaches else None,
        )
        return Admission(
            answer=negotiated.answer,
            sources=frozenset(source.kind for source in negotiated.plan.sources),
            slots=tuple(slot.index for slot in negotiated.plan.slots),
        )

    def route(
        self, endpoint: EndpointId, slot: int, picture: SourceRef | None, voice: SourceRef | None
    ) -> None:
        """Play these in a slot. A source that is not there (any more) plays as nothing.

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
        for media, ref in halves:
            if (slot, media) in peer.pictures_and_voices:
                peer.play(slot, media, self._source_of(ref))

    def dismiss(self, endpoint: EndpointId) -> None:
        """Remove the endpoint; its DTLS goodbye and its removal from the engine follow at once, in a task."""
        peer = self._peers.pop(endpoint, None)
        if peer is not None:
            peer.stop_recording()
            self._service.see_off(peer.close())

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
        start = datetime.now(UTC)
        return lambda kind: folder / raw_name(start, endpoint, kind.value)

    def _source_of(self, ref: SourceRef | None) -> int | None:
        if ref is None or (publisher := self._peers.get(ref.endpoint)) is None:
            return None
        return publisher.sources.get(ref.kind)

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
