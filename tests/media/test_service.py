"""A lesson's media with the real packet engine: aiortc clients join over UDP on loopback, see and leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from aiortc import (
    RTCRtpTransceiver,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcdtlstransport import SRTP_AES128_CM_SHA1_80
from av.frame import Frame

from bridge.ports import MediaConnected, MediaLost, MediaRefusedError, SourceLive
from bridge.values import (
    GRANTS,
    EndpointId,
    LessonId,
    Role,
    SourceKind,
    SourceRef,
)
from media.engine import EngineUnavailableError, PacketEngine
from media.service import LessonMedia, MediaService
from tests.media.clients import WAIT_S, Client, Sink
from tests.media.support import eventually, recorded_named

LESSON = LessonId("lesson")
TEACHER, PUPIL = EndpointId("teacher"), EndpointId("pupil")
CAMERA, MIC = SourceRef(TEACHER, SourceKind.CAMERA), SourceRef(TEACHER, SourceKind.MIC)


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def lesson(service: MediaService, sink: Sink) -> LessonMedia:
    return service.open(LESSON, sink)


@pytest.fixture
async def new_client() -> AsyncIterator[Callable[[], Client]]:
    made: list[Client] = []

    def make() -> Client:
        made.append(Client())
        return made[-1]

    yield make
    for client in made:
        await client.connection.close()


@pytest.fixture
def teacher(new_client: Callable[[], Client]) -> Client:
    client = new_client()
    client.publish(SourceKind.CAMERA, VideoStreamTrack())
    client.publish(SourceKind.MIC, AudioStreamTrack())
    return client


async def _peers(service: MediaService) -> int:
    return sum(len(shard.counters["peers"]) for shard in await service.stats())


async def _is_empty(service: MediaService) -> bool:
    return await _peers(service) == 0


async def _next(half: RTCRtpTransceiver) -> Frame:
    frame = await asyncio.wait_for(half.receiver.track.recv(), WAIT_S)
    assert isinstance(frame, Frame)
    return frame


async def test_an_endpoint_joins_and_its_sources_come_alive(
    service: MediaService, lesson: LessonMedia, sink: Sink, teacher: Client
) -> None:
    admission = await teacher.join(lesson, TEACHER)
    assert admission.sources == {SourceKind.CAMERA, SourceKind.MIC}
    assert admission.slots == ()
    await sink.wait_for(lambda event: event == MediaConnected(TEACHER))
    await teacher.state("connected")
    await sink.wait_for(lambda event: event == SourceLive(CAMERA, True))
    await sink.wait_for(lambda event: event == SourceLive(MIC, True))
    assert sink.events.count(MediaConnected(TEACHER)) == 1

    lesson.dismiss(TEACHER)
    lesson.dismiss(TEACHER)
    await teacher.state("closed")
    await eventually(lambda: _is_empty(service), "the peer is gone from the engine")
    assert not any(isinstance(event, MediaLost) for event in sink.events), "the Classroom knows already"


async def test_a_viewer_sees_and_hears_what_is_routed_to_its_slot(
    lesson: LessonMedia, sink: Sink, teacher: Client, new_client: Callable[[], Client]
) -> None:
    pupil = new_client()
    picture, voice = pupil.receive_pair()
    await asyncio.gather(teacher.join(lesson, TEACHER), pupil.join(lesson, PUPIL))
    await sink.wait_for(lambda event: event == MediaConnected(PUPIL))
    await sink.wait_for(lambda event: event == SourceLive(CAMERA, True))
    for _ in range(2):
        lesson.route(PUPIL, 0, CAMERA, MIC)
    times = [(await _next(picture)).pts or 0 for _ in range(5)]
    assert times == sorted(set(times))
    assert (await _next(voice)).pts is not None

    # The publisher leaves; what is routed from it then is nothing, and no fault.
    lesson.dismiss(TEACHER)
    lesson.route(PUPIL, 0, CAMERA, MIC)
    lesson.route(PUPIL, 0, None, None)
    await asyncio.sleep(0.1)
    assert not any(isinstance(event, MediaLost) for event in sink.events)


@pytest.mark.parametrize("narrow", ["publisher", "viewer"])
async def test_a_client_without_gcm_sees_and_is_seen(
    lesson: LessonMedia, sink: Sink, teacher: Client, new_client: Callable[[], Client], narrow: str
) -> None:
    """AES128_CM_HMAC_SHA1_80 on one side of the server, GCM on the other."""
    pupil = new_client()
    picture, voice = pupil.receive_pair()
    one, other = (teacher, pupil) if narrow == "publisher" else (pupil, teacher)
    for transceiver in one.connection.getTransceivers():
        transceiver.sender.transport._srtp_profiles = [SRTP_AES128_CM_SHA1_80]
    await asyncio.gather(teacher.join(lesson, TEACHER), pupil.join(lesson, PUPIL))
    await sink.wait_for(lambda event: event == MediaConnected(PUPIL))
    await sink.wait_for(lambda event: event == SourceLive(CAMERA, True))
    lesson.route(PUPIL, 0, CAMERA, MIC)
    times = [(await _next(picture)).pts or 0 for _ in range(5)]
    assert times == sorted(set(times))
    await _next(voice)
    assert one.srtp_profile == b"SRTP_AES128_CM_SHA1_80"
    assert other.srtp_profile == b"SRTP_AEAD_AES_128_GCM"


async def test_a_client_that_leaves_is_lost_once(
    service: MediaService, lesson: LessonMedia, sink: Sink, teacher: Client
) -> None:
    await teacher.join(lesson, TEACHER)
    await sink.wait_for(lambda event: event == MediaConnected(TEACHER))
    await teacher.state("connected")
    began = time.monotonic()
    await teacher.connection.close()
    lost = await sink.lost(TEACHER)
    assert lost.reason == "closed by the endpoint"
    assert time.monotonic() - began < 2, "its close_notify says so, and not its silence"
    assert await _peers(service) == 1, "it waits to be dismissed"
    lesson.dismiss(TEACHER)
    await eventually(lambda: _is_empty(service), "the peer is gone from the engine")
    assert sum(isinstance(event, MediaLost) for event in sink.events) == 1


async def test_another_certificate_than_offered_is_lost(
    lesson: LessonMedia, sink: Sink, teacher: Client
) -> None:
    offer = await teacher.offer()
    lines = [
        "a=fingerprint:sha-256 " + ":".join(["0F"] * 32) if "a=fingerprint:sha-256" in line else line
        for line in offer.sdp.split("\r\n")
    ]
    admission = lesson.admit(TEACHER, replace(offer, sdp="\r\n".join(lines)), GRANTS[Role.HOME])
    await teacher.connection.setRemoteDescription(RTCSessionDescription(admission.answer, "answer"))
    lost = await sink.lost(TEACHER)
    assert "another certificate" in lost.reason
    assert MediaConnected(TEACHER) not in sink.events
    assert not any(isinstance(event, SourceLive) for event in sink.events)


async def test_a_refused_offer_leaves_nothing_behind(service: MediaService, lesson: LessonMedia) -> None:
    record = recorded_named("chromium-home")
    with pytest.raises(MediaRefusedError) as refused:
        lesson.admit(TEACHER, replace(record.offer, sdp="v=0\r\n"), record.grant)
    assert refused.value.code == "sdp-invalid"
    assert await _peers(service) == 0
    lesson.admit(TEACHER, record.offer, record.grant)
    assert await _peers(service) == 1
    with pytest.raises(ValueError, match="admitted before"):
        lesson.admit(TEACHER, record.offer, record.grant)


async def test_each_answer_has_its_own_credentials_and_the_one_fingerprint(
    service: MediaService, lesson: LessonMedia
) -> None:
    record = recorded_named("chromium-home")
    answers = [
        lesson.admit(EndpointId(f"e{number}"), record.offer, record.grant).answer for number in range(2)
    ]

    def values(name: str) -> list[set[str]]:
        return [
            {line for line in answer.split("\r\n") if line.startswith(f"a={name}:")} for answer in answers
        ]

    for name in ("ice-ufrag", "ice-pwd"):
        one, other = values(name)
        assert len(one) == len(other) == 1
        assert one != other
    one, other = values("fingerprint")
    assert len(one) == 1
    assert one == other
    ((address, port),) = service.candidates
    assert all(f"udp 2130706431 {address} {port} typ host" in answer for answer in answers)


async def test_routing_what_was_never_admitted_is_an_error(lesson: LessonMedia) -> None:
    record = recorded_named("chromium-home")
    with pytest.raises(LookupError, match="not admitted"):
        lesson.route(PUPIL, 0, None, None)
    lesson.admit(PUPIL, record.offer, record.grant)
    with pytest.raises(LookupError, match="slot 7"):
        lesson.route(PUPIL, 7, None, None)
    with pytest.raises(LookupError, match="no video in slot 5"):
        lesson.route(PUPIL, 5, CAMERA, None)
    with pytest.raises(ValueError, match="mic is no video"):
        lesson.route(PUPIL, 0, MIC, None)
    with pytest.raises(ValueError, match="camera is no audio"):
        lesson.route(PUPIL, 0, None, CAMERA)
    lesson.route(PUPIL, 5, None, MIC)


async def test_a_slot_without_the_codec_of_a_source_plays_nothing_and_nobody_is_lost(
    service: MediaService, lesson: LessonMedia, sink: Sink
) -> None:
    """A publisher of H.264 alone, one viewer that has it and one that doesn't."""
    everything, narrow = recorded_named("chromium-every-codec"), recorded_named("firefox-home")
    lesson.admit(TEACHER, everything.with_sdp(lambda text: text.replace("VP8/", "VP7/")), everything.grant)
    able, unable = EndpointId("able"), EndpointId("unable")
    lesson.admit(able, everything.offer, everything.grant)
    lesson.admit(unable, narrow.offer, narrow.grant)
    for viewer in (able, unable):
        lesson.route(viewer, 0, CAMERA, MIC)
    told = (await service.statistics())["lessons"][LESSON]
    assert told[TEACHER]["sources"]["camera"]["codec"] == "h264"
    wanted = {
        viewer: [told[viewer]["slots"][0][half]["wanted"] for half in ("picture", "voice")]
        for viewer in (able, unable)
    }
    camera, mic = ({"endpoint": TEACHER, "kind": kind} for kind in ("camera", "mic"))
    assert wanted == {able: [camera, mic], unable: [None, mic]}
    assert not any(isinstance(event, MediaLost) for event in sink.events)
    assert (await service.statistics())["troubles"]["commands_failed"] == 0


async def test_a_route_that_cannot_be_queued_loses_the_endpoint(
    lesson: LessonMedia, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise EngineUnavailableError("the command queue is full")

    record = recorded_named("chromium-home")
    lesson.admit(PUPIL, record.offer, record.grant)
    lesson.admit(TEACHER, record.offer, record.grant)
    monkeypatch.setattr(PacketEngine, "route", full)
    lesson.route(PUPIL, 0, CAMERA, None)
    lesson.route(PUPIL, 1, CAMERA, None)
    assert [event.endpoint for event in sink.events if isinstance(event, MediaLost)] == [PUPIL]


async def test_a_failed_shard_loses_every_endpoint_of_its_lessons(
    service: MediaService, lesson: LessonMedia, sink: Sink
) -> None:
    record = recorded_named("chromium-home")
    for endpoint in (TEACHER, PUPIL):
        lesson.admit(endpoint, record.offer, record.grant)
    service._shard_failed(1)
    assert not sink.events
    service._shard_failed(0)
    service._shard_failed(0)
    assert sink.events == [MediaLost(endpoint, "the packet engine failed") for endpoint in (TEACHER, PUPIL)]


async def test_a_client_that_never_comes_is_lost(
    lesson: LessonMedia, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media.dtls.CONNECT_TIMEOUT_S", 0.05)
    record = recorded_named("chromium-home")
    lesson.admit(PUPIL, record.offer, record.grant)
    assert (await sink.lost(PUPIL)).reason == "no DTLS datagram within 0.05 s"


async def test_closing_ends_all_without_a_word_and_stopping_waits_for_it(sink: Sink) -> None:
    service = MediaService(["127.0.0.1:0"])
    await service.start()
    lesson, other = service.open(LESSON, sink), service.open(LessonId("other"), sink)
    record = recorded_named("chromium-home")
    lesson.admit(TEACHER, record.offer, record.grant)
    other.admit(PUPIL, record.offer, record.grant)
    before = asyncio.all_tasks()
    lesson.close()
    lesson.close()
    with pytest.raises(RuntimeError, match="closed"):
        lesson.admit(PUPIL, record.offer, record.grant)
    await asyncio.wait_for(service.stop(), 2)
    await service.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(before) > 1
    assert not sink.events


async def test_answers_name_what_is_announced(sink: Sink) -> None:
    service = MediaService(["127.0.0.1:0", "[::1]:0"], ["203.0.113.5:443", ("2001:db8::5", None)])
    await service.start()
    try:
        record = recorded_named("chromium-plain")
        answer = service.open(LESSON, sink).admit(PUPIL, record.offer, record.grant).answer
        port = service.candidates[1][1]
        assert service.candidates == (("203.0.113.5", 443), ("2001:db8::5", port))
        for number, named in enumerate(("203.0.113.5 443", f"2001:db8::5 {port}"), start=1):
            assert (
                f"a=candidate:{number} 1 udp {2130706431 - 256 * (number - 1)} {named} typ host\r\n" in answer
            )
            assert f" {named} typ host tcptype passive\r\n" in answer
    finally:
        await service.stop()


async def test_without_ipv6_the_service_starts_on_what_there_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("media.addresses._has_ipv6", lambda: False)
    service = MediaService(["127.0.0.1:0", "[::]:0"])
    await service.start()
    try:
        assert [address for address, _ in service.candidates] == ["127.0.0.1"]
        assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
            "this machine has no IPv6: media on 127.0.0.1:0 alone"
        ]
    finally:
        await service.stop()


async def test_a_machine_of_many_addresses_names_the_first_ones(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    many = tuple(f"192.0.2.{number}" for number in range(1, 40))
    monkeypatch.setattr("media.service.interface_addresses", lambda: many)
    service = MediaService(["0.0.0.0:0"])
    await service.start()
    try:
        assert tuple(address for address, _ in service.candidates) == many[:16]
        assert "39 addresses, of which clients are told the first 16" in caplog.text
    finally:
        await service.stop()


async def test_starting_without_an_address_to_announce_or_a_port(service: MediaService) -> None:
    with pytest.raises(ValueError, match="no address to announce"):
        await MediaService(["127.0.0.1:0"], ["2001:db8::1"]).start()
    with pytest.raises(ValueError, match="'here' is not an IP address"):
        MediaService(["127.0.0.1:0"], ["here"])
    ((address, port),) = service.candidates
    with pytest.raises(EngineUnavailableError):
        await MediaService([f"{address}:{port}"]).start()
    with pytest.raises(RuntimeError, match="not started"):
        MediaService(["127.0.0.1:0"]).open(LESSON, lambda event: None)
