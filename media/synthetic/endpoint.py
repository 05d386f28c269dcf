"""The synthetic classroom's side of the wire protocol (signalling/PROTOCOL.md): it stays, and comes back.

The peer connection is made anew for each stay: a transport that was lost can't be used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

import aiohttp
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpSender,
    RTCSessionDescription,
)

from bridge.values import LessonState, SourceKind
from media.synthetic.picture import Scene, Words
from media.synthetic.tracks import PictureTrack, Speech, SpeechTrack

log = logging.getLogger("luokkasilta.synthetic")

VERSION = 1
ANSWER_TIMEOUT_S = 10.0
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0
PATIENCE_S = 300.0
"""Longer than any restart of a server; a process that nobody stops any more must not try for ever."""
_HEARTBEAT_S = 15.0
_HOPELESS = frozenset({"token-invalid", "token-expired", "lesson-unknown", "version-unsupported"})

Message = dict[str, Any]


class RefusedError(Exception):
    """The server answered a request with an error. ``code`` is one of PROTOCOL.md, section 6."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code

    @property
    def hopeless(self) -> bool:
        """True where trying again can't help."""
        return self.code in _HOPELESS


class LostError(Exception):
    """The connection or the media ended without anybody's wish; try again."""


class GivenUpError(Exception):
    """The lesson could not be reached for so long that whoever started this endpoint is gone as well."""


class LessonOverError(Exception):
    """The lesson has ended."""


class Endpoint:
    """Joins the lesson of ``token`` at ``url`` (ws:// or wss://) and publishes until the lesson ends."""

    def __init__(
        self,
        url: str,
        token: str,
        speech: Speech,
        clock: Callable[[], datetime],
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._url = url
        self._token = token
        self._speech = speech
        self._clock = clock
        self._wait_s = FIRST_WAIT_S
        self._patience_s = patience_s
        self._last_inside_s = 0.0

    async def run(self) -> None:
        """Returns when the lesson is over. Cancel it to leave.

        Raises RefusedError where trying again is hopeless, GivenUpError after ``patience_s`` outside.
        """
        self._last_inside_s = asyncio.get_running_loop().time()
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    await self._stay(session)
                except LessonOverError:
                    log.info("the lesson is over")
                    return
                except RefusedError as error:
                    if error.code == "lesson-ended":
                        log.info("the lesson is over")
                        return
                    if error.hopeless:
                        raise
                    log.warning("refused (%s); trying again in %.1f s", error, self._wait_s)
                except (LostError, aiohttp.ClientError, TimeoutError, OSError) as error:
                    reason = str(error) or type(error).__name__
                    log.warning("connection lost (%s); trying again in %.1f s", reason, self._wait_s)
                if asyncio.get_running_loop().time() - self._last_inside_s >= self._patience_s:
                    raise GivenUpError(f"not let in for {self._patience_s:.0f} s")
                await asyncio.sleep(self._wait_s)
                self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    async def _stay(self, session: aiohttp.ClientSession) -> None:
        # The heartbeat is ours too: a server that vanished says nothing.
        async with session.ws_connect(self._url, heartbeat=_HEARTBEAT_S, max_msg_size=256 * 1024) as socket:
            talk = _Talk(socket)
            welcome = await talk.ask("hello", version=VERSION, token=self._token)
            lesson, you = welcome["lesson"], welcome["you"]
            if you["may_open"]:
                await talk.ask("open")
            scene = Scene(Words(lesson["course"], lesson["title"], you["site"]))
            peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
            try:
                lost = _watch(peer)
                await self._join(talk, peer, scene)
                log.info("joined lesson %s as %s", lesson["id"], welcome["endpoint"])
                self._wait_s = FIRST_WAIT_S
                try:
                    await _first(talk.listen(), lost)
                finally:
                    self._last_inside_s = asyncio.get_running_loop().time()
            finally:
                # Cancelled or not, say goodbye, so that the others see the place empty at once.
                with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                    await talk.tell("leave")
                await peer.close()

    async def _join(self, talk: _Talk, peer: RTCPeerConnection, scene: Scene) -> None:
        tracks = {
            SourceKind.CAMERA: PictureTrack(scene, self._clock),
            SourceKind.MIC: SpeechTrack(self._speech),
        }
        transceivers = {kind: peer.addTransceiver(track, "sendonly") for kind, track in tracks.items()}
        transceivers[SourceKind.CAMERA].setCodecPreferences(_only("video", "video/VP8"))
        transceivers[SourceKind.MIC].setCodecPreferences(_only("audio", "audio/opus"))
        await peer.setLocalDescription(await peer.createOffer())
        joined = await talk.ask(
            "join",
            label="synthetic",
            offer=peer.localDescription.sdp,
            sources=[{"kind": kind.value, "mid": each.mid} for kind, each in transceivers.items()],
            slots=[],
        )
        await peer.setRemoteDescription(RTCSessionDescription(joined["answer"], "answer"))


class _Talk:
    """Requests and their answers over one WebSocket; of what else the server says only the end matters."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last_id = 0

    async def tell(self, kind: str, **fields: object) -> int:
        self._last_id += 1
        await self._socket.send_json({"type": kind, "id": self._last_id, **fields})
        return self._last_id

    async def ask(self, kind: str, **fields: object) -> Message:
        """Raises RefusedError, LostError, LessonOverError, TimeoutError."""
        number = await self.tell(kind, **fields)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while True:
                message = await self._receive()
                if message.get("re") == number:
                    return message

    async def listen(self) -> None:
        """Read until the connection ends, which raises."""
        while True:
            await self._receive()

    async def _receive(self) -> Message:
        frame = await self._socket.receive()
        if frame.type is not aiohttp.WSMsgType.TEXT:
            raise LostError(f"closed with {self._socket.close_code}")
        message: Message = json.loads(frame.data)
        if message["type"] == "error":
            raise RefusedError(message["code"], message["text"])
        if message["type"] == "lesson" and message["lesson"]["state"] == LessonState.ENDED:
            raise LessonOverError
        return message


def _watch(peer: RTCPeerConnection) -> asyncio.Future[None]:
    """Fails with LostError when the peer connection has failed or was closed from afar."""
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def changed() -> None:
        if peer.connectionState in {"failed", "closed"} and not lost.done():
            lost.set_exception(LostError(f"media {peer.connectionState}"))
            # The stay may have ended by itself meanwhile, and then nobody asks.
            lost.exception()

    peer.on("connectionstatechange", changed)
    return lost


async def _first(listening: Coroutine[Any, Any, None], lost: asyncio.Future[None]) -> None:
    """Wait for either to fail."""
    reader = asyncio.ensure_future(listening)
    try:
        await asyncio.wait({reader, lost}, return_when=asyncio.FIRST_EXCEPTION)
        for ended in (reader, lost):
            if ended.done():
                ended.result()
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


def _only(media: str, codec: str) -> list[RTCRtpCodecCapability]:
    capabilities = RTCRtpSender.getCapabilities(media)
    return [each for each in capabilities.codecs if each.mimeType.lower() == codec.lower()]
