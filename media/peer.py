"""One endpoint's media: its peer in the engine, its DTLS association, and what the lesson hears of them.

joining --(DTLS done)--> connected --(DTLS closed, silence)--> lost --(close)--> closed
   '-------------------(handshake failed, silence)--------------^
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bridge.ports import (
    MediaConnected,
    MediaEvent,
    MediaLost,
    MediaQuiet,
    MediaRefusedError,
    RecordingFailed,
    SourceLevel,
    SourceLive,
)
from bridge.values import EndpointId, LessonId, SourceKind, SourceRef
from media.dtls import Certificate, DtlsFailedError, DtlsPeer, SrtpKeys
from media.engine import EngineUnavailableError, PacketEngine
from media.negotiation import Negotiated
from media.plan import CodecName, CodecPlan, Media, SourcePlan
from media.restart import FreshIce, restart
from media.statistics import PeerNames

logger = logging.getLogger(__name__)

# Codes of failed commands that are in the nature of things: a datagram to a client whose pair is not valid
# yet (DTLS repeats it), and commands that crossed a removal.
_HARMLESS = frozenset({"no-path", "unknown-peer", "unknown-source"})


class PeerState(enum.Enum):
    JOINING = "joining"
    CONNECTED = "connected"
    LOST = "lost"
    CLOSED = "closed"


_NEXT = {
    PeerState.JOINING: {PeerState.CONNECTED, PeerState.LOST, PeerState.CLOSED},
    PeerState.CONNECTED: {PeerState.LOST, PeerState.CLOSED},
    PeerState.LOST: {PeerState.CLOSED},
    PeerState.CLOSED: set[PeerState](),
}


class MediaPeer:
    """Created by LessonMedia.admit and closed by LessonMedia.dismiss, never by itself.

    A lost peer says MediaLost once and then waits to be closed. ``sink`` is called on the event loop, at most
    once with MediaConnected and once with MediaLost, and never after ``close`` was called.
    """

    def __init__(
        self,
        engine: PacketEngine,
        certificate: Certificate,
        sink: Callable[[MediaEvent], None],
        *,
        lesson: LessonId,
        endpoint: EndpointId,
        negotiated: Negotiated,
        record_to: Callable[[SourceKind], Path] | None = None,
    ) -> None:
        """Create the peer, its sources and its slots in the engine. Raises EngineUnavailableError.

        ``record_to``: in which new file a source is recorded, until ``close``; None: nothing is.
        """
        self._engine = engine
        self._sink = sink
        self._name = f"lesson {lesson} endpoint {endpoint}"
        self._lesson = lesson
        self._endpoint = endpoint
        self._agreement = negotiated.agreement
        self.plan = negotiated.plan
        """As it was agreed, whatever its sources are sent as."""
        self._state = PeerState.JOINING
        plan = self.plan
        self._local: str | None = None
        self._plans: dict[int, SourcePlan] = {}
        self._live: dict[int, set[int]] = {}
        self._recorded: set[int] = set()
        self._record_to = record_to
        halves = {(slot.index, half.codec.media): half for slot in plan.slots for half in slot.halves}
        self._playing: dict[tuple[int, Media], int | None] = dict.fromkeys(halves)
        self._carried = {key: {codec.name for codec in half.codecs} for key, half in halves.items()}
        self._dtls = DtlsPeer(certificate, plan.dtls, send=self._send_dtls, on_keys=self._keys_agreed)
        self.peer = engine.add_peer(self, plan, shard=engine.shard_of(lesson))
        try:
            for source in plan.sources:
                self._publish(source)
            for slot in plan.slots:
                engine.add_slot(self.peer, slot)
        except EngineUnavailableError:
            self._remove()
            raise
        self.sources = {plan.kind: source for source, plan in self._plans.items()}
        """The engine's source ids by kind."""
        self._life = asyncio.get_running_loop().create_task(self._live_on(), name=f"dtls {endpoint}")

    @property
    def state(self) -> PeerState:
        return self._state

    @property
    def names(self) -> PeerNames:
        """What the engine's numbers of this peer stand for, for statistics."""
        return PeerNames(
            self.peer, self._lesson, self._endpoint, self._state.value, self._local, dict(self._plans)
        )

    @property
    def pictures_and_voices(self) -> frozenset[tuple[int, Media]]:
        """The slot halves that exist, as (index, media)."""
        return frozenset(self._playing)

    def carries(self, slot: int, media: Media, codec: CodecName) -> bool:
        """True if a slot half can play this codec."""
        return codec in self._carried[slot, media]

    def codec_of(self, source: int) -> CodecName:
        """In which codec one of its ``sources`` is published."""
        return self._plans[source].codec.name

    @property
    def changing(self) -> tuple[SourcePlan, ...]:
        """Those of its sources that can be sent as another codec, as they were agreed."""
        return tuple(plan for plan in self.plan.sources if len(plan.codecs) > 1 and plan.kind in self.sources)

    def change_codec(self, kind: SourceKind, codec: CodecPlan) -> None:
        """Take one of ``changing`` as this codec of it from now on, and no more as the other.

        It has another id in the engine then, and its recording goes on in another file. A no-op for the codec
        that it has.
        """
        number = self.sources[kind]
        plan = self._plans[number]
        if plan.codec == codec:
            return
        del self._plans[number], self.sources[kind]
        try:
            self._engine.unpublish(self.peer, number)
            self._recorded.discard(number)
            if self._live.pop(number, None):
                # The engine tells no more of what it has forgotten.
                self._sink(SourceLive(SourceRef(self._endpoint, kind), False))
            others = tuple(each for each in plan.codecs if each != codec)
            self.sources[kind] = self._publish(replace(plan, codecs=(codec, *others)))
        except EngineUnavailableError as exc:
            self.lose(f"the packet engine takes no commands: {exc}")

    def play(self, slot: int, media: Media, source: int | None) -> None:
        """Play a source in a slot half, or nothing. A no-op for what plays already."""
        if self._playing[slot, media] == source:
            return
        self._playing[slot, media] = source
        try:
            self._engine.route(self.peer, slot, media, source)
        except EngineUnavailableError as exc:
            self.lose(f"the packet engine takes no commands: {exc}")

    def limit(self, slot: int, level: int | None) -> None:
        """Play the picture of a slot up to this temporal level; None: all."""
        try:
            self._engine.set_temporal(self.peer, slot, level)
        except EngineUnavailableError as exc:
            self.lose(f"the packet engine takes no commands: {exc}")

    def restart(self, text: str, fresh: FreshIce) -> str:
        """Answer the offer of an ICE restart. Media goes on over the old path until the new one is there.

        Raises MediaRefusedError for another offer than that, also of a peer that is lost already, and
        EngineUnavailableError; either way everything stays as it was.
        """
        if self._state not in {PeerState.JOINING, PeerState.CONNECTED}:
            raise MediaRefusedError("not-joined", "its media is lost")
        restarted = restart(self._agreement, text, fresh)
        if restarted.ice is not None:
            self._engine.restart_ice(self.peer, restarted.ice)
            logger.info("%s: ICE restart", self._name)
        self._agreement = restarted.agreement
        return restarted.answer

    def lose(self, reason: str) -> None:
        """Say MediaLost, unless it was said before or the peer is closed."""
        if self._state in {PeerState.JOINING, PeerState.CONNECTED}:
            self._set_state(PeerState.LOST)
            self._sink(MediaLost(self._endpoint, reason))

    def stop_recording(self) -> None:
        """End the recordings of its sources: a goodbye takes a moment, which does not belong to them."""
        while self._recorded:
            try:
                self._engine.record(self.peer, self._recorded.pop(), None)
            except EngineUnavailableError as exc:
                # The removal of the peer, or the end of the engine, ends it as well.
                logger.warning("%s: a recording ends later: %s", self._name, exc)

    async def close(self) -> None:
        """Say close_notify as best one can, then remove the peer from the engine. Idempotent."""
        if self._state is PeerState.CLOSED:
            await asyncio.wait([self._life])
            return
        self._set_state(PeerState.CLOSED)
        try:
            await self._dtls.close()
        except DtlsFailedError as exc:
            logger.info("%s: DTLS ended badly: %s", self._name, exc)
        except Exception:
            logger.exception("%s: DTLS did not close", self._name)
        await asyncio.wait([self._life])
        if self._dtls.dropped:
            logger.warning("%s: %d DTLS datagrams were dropped", self._name, self._dtls.dropped)
        self._remove()

    def _publish(self, plan: SourcePlan) -> int:
        number = self._engine.publish(self.peer, plan)
        self._plans[number] = plan
        if self._record_to is not None:
            self._engine.record(self.peer, number, self._record_to(plan.kind), kind=plan.kind.value)
            self._recorded.add(number)
        return number

    # PeerHandler: what the engine says

    def dtls_received(self, data: bytes) -> None:
        self._dtls.received(data)

    def pair_selected(self, local: str, remote: str) -> None:
        logger.debug("%s: ICE pair %s %s", self._name, local, remote)
        self._local = local

    def fell_silent(self) -> None:
        self.lose("no packet for the consent time")

    def fell_quiet(self, quiet: bool) -> None:
        if self._state in {PeerState.JOINING, PeerState.CONNECTED}:
            self._sink(MediaQuiet(self._endpoint, quiet))

    def source_live(self, source: int, layer: int, live: bool) -> None:
        plan = self._plans.get(source)
        if plan is None or self._state is PeerState.CLOSED:
            return
        layers = self._live.setdefault(source, set())
        before = bool(layers)
        if live:
            layers.add(layer)
        else:
            layers.discard(layer)
        if bool(layers) != before:
            self._sink(SourceLive(SourceRef(self._endpoint, plan.kind), live))

    def source_level(self, source: int, level: int) -> None:
        plan = self._plans.get(source)
        if plan is not None and self._state is not PeerState.CLOSED:
            self._sink(SourceLevel(SourceRef(self._endpoint, plan.kind), level))

    def recording_failed(self, source: int, text: str) -> None:
        plan = self._plans.get(source)
        if plan is None or self._state is PeerState.CLOSED:
            return
        logger.error("%s: the recording of its %s: %s", self._name, plan.kind.value, text)
        self._sink(RecordingFailed(SourceRef(self._endpoint, plan.kind), text))

    def command_failed(self, code: str) -> None:
        if code in _HARMLESS or self._state is PeerState.CLOSED:
            logger.debug("%s: a command failed: %s", self._name, code)
            return
        logger.error("%s: the packet engine refused a command: %s", self._name, code)
        self.lose(f"packet engine: {code}")

    # DTLS

    async def _live_on(self) -> None:
        try:
            await self._dtls.run(self._connected)
        except DtlsFailedError as exc:
            self.lose(str(exc))
        except Exception:
            logger.exception("%s: DTLS failed by a fault", self._name)
            self.lose("a fault of the server")
        else:
            self.lose("closed by the endpoint")

    def _send_dtls(self, data: bytes) -> None:
        try:
            self._engine.send_dtls(self.peer, data)
        except EngineUnavailableError as exc:
            # As good as lost on the way: DTLS repeats it.
            logger.debug("%s: a DTLS datagram was not sent: %s", self._name, exc)

    def _keys_agreed(self, keys: SrtpKeys) -> None:
        self._engine.set_keys(self.peer, keys)

    def _connected(self) -> None:
        if self._state is PeerState.JOINING:
            self._set_state(PeerState.CONNECTED)
            self._sink(MediaConnected(self._endpoint))

    def _remove(self) -> None:
        try:
            self._engine.remove_peer(self.peer)
        except EngineUnavailableError as exc:
            logger.warning("%s: its peer stays in the engine: %s", self._name, exc)

    def _set_state(self, state: PeerState) -> None:
        if state not in _NEXT[self._state]:
            raise RuntimeError(f"{self._name}: {self._state.value} -> {state.value}")
        logger.info("%s: media %s -> %s", self._name, self._state.value, state.value)
        self._state = state
