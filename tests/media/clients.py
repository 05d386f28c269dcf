"""A lesson's other side: aiortc clients, and a keeper of what the lesson hears of its media."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from bridge.ports import Admission, MediaEvent, MediaLost
from bridge.values import GRANTS, EndpointId, Offer, OfferedSlot, OfferedSource, Role, SourceKind
from media.service import LessonMedia

WAIT_S = 20.0


class Sink:
    """Keeps a lesson's events, and lets a test wait for one."""

    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, event: MediaEvent) -> None:
        self.events.append(event)
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(self, wanted: Callable[[MediaEvent], bool]) -> MediaEvent:
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: any(wanted(event) for event in self.events))
        return next(event for event in self.events if wanted(event))

    async def lost(self, endpoint: EndpointId) -> MediaLost:
        event = await self.wait_for(lambda event: isinstance(event, MediaLost) and event.endpoint == endpoint)
        assert isinstance(event, MediaLost)
        return event


class Client:
    """An aiortc endpoint."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._sources: list[tuple[SourceKind, RTCRtpTransceiver]] = []
        self._slots: list[tuple[RTCRtpTransceiver, RTCRtpTransceiver]] = []

    def publish(self, kind: SourceKind, track: MediaStreamTrack) -> None:
        self._sources.append((kind, self.connection.addTransceiver(track, "sendonly")))

    def receive_pair(self) -> tuple[RTCRtpTransceiver, RTCRtpTransceiver]:
        """Ask for a slot; returns its picture and its voice, whose tracks are there once it has joined."""
        add = self.connection.addTransceiver
        pair = add("video", "recvonly"), add("audio", "recvonly")
        self._slots.append(pair)
        return pair

    async def offer(self) -> Offer:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return Offer(
            self.connection.localDescription.sdp,
            tuple(OfferedSource(kind, str(each.mid)) for kind, each in self._sources),
            tuple(
                OfferedSlot(index, str(picture.mid), str(voice.mid))
                for index, (picture, voice) in enumerate(self._slots)
            ),
        )

    async def join(self, lesson: LessonMedia, endpoint: EndpointId) -> Admission:
        admission = lesson.admit(endpoint, await self.offer(), GRANTS[Role.SCHOOL])
        await self.connection.setRemoteDescription(RTCSessionDescription(admission.answer, "answer"))
        return admission

    @property
    def srtp_profile(self) -> bytes:
        """By OpenSSL's name, of the one transport that is in use."""
        ssl = self.connection.getTransceivers()[0].sender.transport._ssl
        assert ssl is not None
        return ssl.get_selected_srtp_profile()

    async def state(self, wanted: str) -> None:
        changed = asyncio.Event()
        self.connection.on("connectionstatechange", changed.set)
        async with asyncio.timeout(WAIT_S):
            while self.connection.connectionState != wanted:
                await changed.wait()
                changed.clear()
