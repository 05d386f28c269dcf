"""The synthetic classroom against a small server of the wire protocol with a real peer connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av.frame import Frame
from av.packet import Packet

from media.synthetic.endpoint import Endpoint, GivenUpError, RefusedError
from media.synthetic.tracks import SPEECH_FRAME

Message = dict[str, Any]
LESSON = {"id": "l1", "title": "Vem skriver?", "course": "RUB14", "state": "live"}


def loudest(voice: Frame | Packet[Any]) -> int:
    assert isinstance(voice, av.AudioFrame)
    return int(np.abs(voice.to_ndarray().astype(int)).max())


class School:
    """Answers one synthetic classroom after the other, and remembers what each said."""

    def __init__(self, *, may_open: bool = True, errors: dict[str, list[str]] | None = None) -> None:
        self.may_open = may_open
        self.errors = errors or {}
        """By request: the codes of the refusals that come before it is accepted."""
        self.said: list[Message] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.peers: list[RTCPeerConnection] = []
        self.tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        self.joined = asyncio.Event()
        self.left = asyncio.Event()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.peers.append(peer)
        peer.on("track", self.tracks.put_nowait)
        async for frame in socket:
            assert frame.type is WSMsgType.TEXT
            message = frame.json()
            self.said.append(message)
            await socket.send_json({"re": message["id"], **await self.answer(message, peer)})
            if message["type"] == "leave":
                self.left.set()
                break
        return socket

    async def answer(self, message: Message, peer: RTCPeerConnection) -> Message:
        if codes := self.errors.get(message["type"]):
            return {"type": "error", "code": codes.pop(0), "text": "as the test wishes", "fatal": True}
        if message["type"] == "hello":
            return {
                "type": "welcome",
                "version": 1,
                "endpoint": f"e{len(self.sockets)}",
                "lesson": LESSON,
                "you": {"role": "kiosk", "site": "Närpiö", "may_open": self.may_open},
                "slots": {"pairs": 12, "voices": 2},
            }
        if message["type"] == "join":
            await peer.setRemoteDescription(RTCSessionDescription(message["offer"], "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            self.joined.set()
            return {"type": "joined", "answer": peer.localDescription.sdp, "sources": ["camera", "mic"]}
        return {"type": "done"}

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.said]


@asynccontextmanager
async def running(school: School) -> AsyncIterator[asyncio.Task[None]]:
    application = web.Application()
    application.router.add_get("/ws", school.serve)
    async with TestServer(application) as server:
        speech = np.full(SPEECH_FRAME * 5, 8000, np.int16)
        url = str(server.make_url("/ws"))
        endpoint = Endpoint(url, "a.b.c", speech, lambda: datetime(2026, 11, 24, 10, 0, tzinfo=UTC))
        task = asyncio.create_task(endpoint.run())
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, RefusedError):
                await task
            # Not in the handler, which a closed connection may cancel at any point.
            for peer in school.peers:
                await peer.close()


async def joined(school: School, task: asyncio.Task[None]) -> None:
    """Wait for the next join; an endpoint that ended instead raises here."""
    waiting = asyncio.create_task(school.joined.wait())
    await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        task.result()
    assert waiting.done()
    school.joined.clear()


async def test_opens_joins_and_publishes_picture_and_voice() -> None:
    school = School()
    async with running(school) as task, asyncio.timeout(20):
        await joined(school, task)
        assert school.kinds() == ["hello", "open", "join"]
        hello, _, join = school.said
        assert (hello["version"], hello["token"]) == (1, "a.b.c")
        assert {each["kind"]: each["mid"] for each in join["sources"]} == {"camera": "0", "mic": "1"}
        assert join["slots"] == []
        assert "VP8" in join["offer"]
        assert "H264" not in join["offer"]
        assert join["offer"].count("a=sendonly") == 2
        tracks = {track.kind: track for track in (await school.tracks.get(), await school.tracks.get())}
        picture = await tracks["video"].recv()
        assert isinstance(picture, av.VideoFrame)
        assert (picture.width, picture.height) == (640, 360)
        voices = [await tracks["audio"].recv() for _ in range(10)]
        assert max(loudest(voice) for voice in voices) > 1000


async def test_does_not_open_what_it_may_not_open() -> None:
    school = School(may_open=False)
    async with running(school) as task, asyncio.timeout(20):
        await joined(school, task)
    assert "open" not in school.kinds()


async def test_says_goodbye_when_it_is_stopped() -> None:
    school = School()
    async with asyncio.timeout(20):
        async with running(school) as task:
            await joined(school, task)
            task.cancel()
            await school.left.wait()
    assert school.kinds()[-1] == "leave"


async def test_joins_anew_when_the_connection_is_lost() -> None:
    school = School()
    async with running(school) as task, asyncio.timeout(20):
        await joined(school, task)
        await school.sockets[0].close(code=1001)
        await joined(school, task)
        assert len(school.sockets) == 2
        assert school.kinds().count("join") == 2


async def test_tries_again_after_a_refusal_that_passes() -> None:
    school = School(errors={"join": ["lesson-not-open"], "hello": ["server-stopping"]})
    async with running(school) as task, asyncio.timeout(20):
        await joined(school, task)
        assert school.kinds().count("hello") >= 2


@pytest.mark.parametrize("code", ["token-expired", "token-invalid", "lesson-unknown", "version-unsupported"])
async def test_gives_up_where_trying_again_is_hopeless(code: str) -> None:
    school = School(errors={"hello": [code]})
    async with running(school) as task, asyncio.timeout(20):
        with pytest.raises(RefusedError, match=code):
            await task
    assert len(school.sockets) == 1


async def test_gives_up_when_nobody_answers_for_long() -> None:
    async with TestServer(web.Application()) as server:
        url = str(server.make_url("/ws"))
    endpoint = Endpoint(url, "a.b.c", np.zeros(SPEECH_FRAME, np.int16), datetime.now, patience_s=0.4)
    async with asyncio.timeout(20):
        with pytest.raises(GivenUpError):
            await endpoint.run()


async def test_ends_with_the_lesson() -> None:
    school = School()
    async with running(school) as task, asyncio.timeout(20):
        await joined(school, task)
        await school.sockets[0].send_json({"type": "lesson", "lesson": {**LESSON, "state": "ended"}})
        await task
    assert school.kinds()[-1] == "leave"


async def test_a_lesson_that_is_over_already_is_an_end_too() -> None:
    school = School(errors={"hello": ["lesson-ended"]})
    async with running(school) as task, asyncio.timeout(20):
        await task
    assert school.kinds() == ["hello"]
