"""How a lesson hears that an endpoint's line is cut, back or moved, with aiortc clients behind a relay."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCSessionDescription, VideoStreamTrack

from bridge.ports import MediaConnected, MediaLost, MediaQuiet, MediaRefusedError, SourceLive
from bridge.values import GRANTS, EndpointId, LessonId, Role, SourceKind, SourceRef
from media.engine import EngineUnavailableError, PacketEngine
from media.plan import IcePlan
from media.service import LessonMedia, MediaService
from tests.media.clients import Client, Sink
from tests.media.relay import Relay, relay_to
from tests.media.support import eventually, recorded_named

LESSON, TEACHER = LessonId("lesson"), EndpointId("teacher")
CAMERA = SourceRef(TEACHER, SourceKind.CAMERA)


class Line:
    """A relay that can be cut in both directions."""

    def __init__(self) -> None:
        self.cut = False
        self.relay: Relay | None = None

    def loses(self, direction: str, data: bytes) -> bool:
        return self.cut


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def lesson(service: MediaService, sink: Sink) -> LessonMedia:
    return service.open(LESSON, sink)


@pytest.fixture
async def line(service: MediaService, lesson: LessonMedia, sink: Sink) -> AsyncIterator[Line]:
    """A teacher whose camera is live, and the line that it comes over."""
    line, client = Line(), Client()
    client.publish(SourceKind.CAMERA, VideoStreamTrack())
    async with relay_to(service.candidates[0], line.loses) as relay:
        line.relay = relay
        admission = lesson.admit(TEACHER, await client.offer(), GRANTS[Role.SCHOOL])
        answer = RTCSessionDescription(relay.put_into(admission.answer), "answer")
        await client.connection.setRemoteDescription(answer)
        await sink.wait_for(lambda event: event == MediaConnected(TEACHER))
        await sink.wait_for(lambda event: event == SourceLive(CAMERA, True))
        yield line
        await client.connection.close()


async def _packets(service: MediaService) -> int:
    (layer,) = (await service.statistics())["lessons"][LESSON][TEACHER]["sources"]["camera"]["layers"]
    packets: int = layer["packets"]
    return packets


async def test_a_cut_line_is_told_in_seconds_and_so_is_its_return(
    service: MediaService, line: Line, sink: Sink
) -> None:
    line.cut = True
    began = time.monotonic()
    await sink.wait_for(lambda event: event == MediaQuiet(TEACHER, True))
    # Three seconds without a packet of a publisher, and not thirty as for a loss.
    assert time.monotonic() - began > 1
    assert not any(isinstance(event, MediaLost) for event in sink.events)
    told = (await service.statistics())["lessons"][LESSON][TEACHER]
    assert told["state"] == "connected"
    assert told["silent_ms"] > 1000
    line.cut = False
    await sink.wait_for(lambda event: event == MediaQuiet(TEACHER, False))
    quiet = [event for event in sink.events if isinstance(event, MediaQuiet)]
    assert quiet == [MediaQuiet(TEACHER, True), MediaQuiet(TEACHER, False)]


async def test_media_follows_a_nat_that_gives_another_port(
    service: MediaService, line: Line, sink: Sink
) -> None:
    before = (await service.statistics())["lessons"][LESSON][TEACHER]
    assert before["local"] == "127.0.0.1"
    assert line.relay is not None
    await line.relay.rebind()

    async def followed() -> bool:
        now = (await service.statistics())["lessons"][LESSON][TEACHER]
        return bool(now["remote"] != before["remote"])

    # The client's next check of consent shows the way (RFC 7675: every 5 s or so).
    await eventually(followed, "the server sends to the new port", within_s=15)
    counted = await _packets(service)

    async def goes_on() -> bool:
        return await _packets(service) > counted + 20

    await eventually(goes_on, "the camera goes on", within_s=15)
    assert not any(isinstance(event, MediaLost) for event in sink.events)


@pytest.mark.usefixtures("line")
async def test_silence_of_the_whole_consent_time_is_a_loss(lesson: LessonMedia, sink: Sink) -> None:
    peer = lesson._peers[TEACHER]
    peer.fell_quiet(True)
    peer.fell_silent()
    peer.fell_quiet(False)
    assert sink.events[-2:] == [
        MediaQuiet(TEACHER, True),
        MediaLost(TEACHER, "no packet for the consent time"),
    ], "and what is lost has nothing more to say"


def _renewed(text: str) -> str:
    return re.sub(r"a=ice-(ufrag|pwd):\S+", lambda found: f"{found[0]}x", text)


async def test_a_restart_goes_to_the_engine_once(
    service: MediaService, lesson: LessonMedia, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = recorded_named("firefox-kiosk")
    joined = lesson.admit(TEACHER, record.offer, record.grant).answer
    told: list[tuple[int, str]] = []
    real = PacketEngine.restart_ice

    def watched(engine: PacketEngine, peer: int, ice: IcePlan) -> None:
        told.append((peer, ice.remote_ufrag))
        real(engine, peer, ice)

    monkeypatch.setattr(PacketEngine, "restart_ice", watched)
    answer = lesson.restart(TEACHER, _renewed(record.offer.sdp))
    assert lesson.restart(TEACHER, _renewed(record.offer.sdp)) == answer
    ufrag = re.findall(r"a=ice-ufrag:(\S+)", record.offer.sdp)[0]
    assert told == [(lesson._peers[TEACHER].peer, f"{ufrag}x")]
    assert (await service.statistics())["troubles"]["commands_failed"] == 0
    for name in ("ice-ufrag", "ice-pwd"):
        one, other = (set(re.findall(rf"a={name}:\S+", each)) for each in (joined, answer))
        assert len(one) == len(other) == 1
        assert one != other
    assert not sink.events


async def test_what_cannot_be_restarted(
    lesson: LessonMedia, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = recorded_named("chromium-home")
    text = _renewed(record.offer.sdp)
    with pytest.raises(MediaRefusedError) as unknown:
        lesson.restart(TEACHER, text)
    lesson.admit(TEACHER, record.offer, record.grant)
    with pytest.raises(MediaRefusedError) as same:
        lesson.restart(TEACHER, record.offer.sdp)

    def full(*_: object) -> None:
        raise EngineUnavailableError("the command queue is full")

    with monkeypatch.context() as patched:
        patched.setattr(PacketEngine, "restart_ice", full)
        with pytest.raises(EngineUnavailableError):
            lesson.restart(TEACHER, text)
    # It was not carried out, so it may be asked again.
    lesson.restart(TEACHER, text)
    lesson._peers[TEACHER].lose("for a test")
    with pytest.raises(MediaRefusedError) as lost:
        lesson.restart(TEACHER, _renewed(text))
    assert [each.value.code for each in (unknown, same, lost)] == ["not-joined", "sdp-invalid", "not-joined"]
    await asyncio.sleep(0)
    assert sink.events == [MediaLost(TEACHER, "for a test")]
