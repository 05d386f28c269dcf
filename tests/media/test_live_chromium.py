"""The real Chromium with a lesson's media over a bad line: lost packets, H.264, a change of address."""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser

from bridge.ports import MediaConnected, MediaEvent, MediaLost, SourceLive
from bridge.values import EndpointId, LessonId, Role, SlotCounts, SourceKind, SourceRef
from media.service import LessonMedia, MediaService
from tests.media.live import LivePage, new_page
from tests.media.record_offers import Recipe
from tests.media.relay import Direction, is_rtp, relay_to
from tests.media.support import eventually

pytestmark = pytest.mark.browser

LESSON = LessonId("lesson")
TEACHER, PUPIL = EndpointId("teacher"), EndpointId("pupil")
CAMERA, MIC = SourceRef(TEACHER, SourceKind.CAMERA), SourceRef(TEACHER, SourceKind.MIC)

# With the layers of the pages: what a restart breaks on, if anything.
PUBLISHER = Recipe("publisher", Role.HOME, (SourceKind.CAMERA, SourceKind.MIC), SlotCounts(0, 0))
VIEWER = Recipe("viewer", Role.HOME, (), SlotCounts(1, 0))


@pytest.fixture
def events() -> list[MediaEvent]:
    return []


@pytest.fixture
def lesson(service: MediaService, events: list[MediaEvent]) -> LessonMedia:
    return service.open(LESSON, events.append)


async def _until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    await eventually(condition, what, within_s=30.0)


async def _happened(events: list[MediaEvent], *wanted: MediaEvent) -> None:
    async def all_there() -> bool:
        return all(event in events for event in wanted)

    await _until(all_there, f"{wanted}")


async def _counted(service: MediaService, endpoint: EndpointId) -> dict[str, Any]:
    counted: dict[str, Any] = (await service.statistics())["lessons"][LESSON][endpoint]
    return counted


async def _play(lesson: LessonMedia, events: list[MediaEvent], viewer: LivePage) -> None:
    """Wait until all are connected and the teacher publishes, and play that in the viewer's slot."""
    await _happened(
        events,
        MediaConnected(TEACHER),
        MediaConnected(PUPIL),
        SourceLive(CAMERA, True),
        SourceLive(MIC, True),
    )
    lesson.route(PUPIL, 0, CAMERA, MIC)
    before = await viewer.frames()

    async def plays() -> bool:
        return await viewer.frames() >= before + 20

    await _until(plays, "the viewer sees 20 frames")


async def test_lost_packets_are_repeated_both_ways(
    browser: Browser, service: MediaService, lesson: LessonMedia, events: list[MediaEvent]
) -> None:
    """Of each stream every twentieth packet is lost, up and down; pictures and voices are made whole."""
    line = random.Random(3)

    def loses(direction: Direction, data: bytes) -> bool:
        return is_rtp(data) and line.random() < 0.05

    teacher, pupil = [LivePage(await new_page(browser), lesson, endpoint) for endpoint in (TEACHER, PUPIL)]
    async with relay_to(service.candidates[0], loses) as up, relay_to(service.candidates[0], loses) as down:
        await teacher.join(PUBLISHER, up.put_into)
        await pupil.join(VIEWER, down.put_into)
        await _play(lesson, events, pupil)

        async def repaired() -> bool:
            published = (await _counted(service, TEACHER))["sources"]
            sent_again = [
                # A camera with layers has an entry for each, though it sends one.
                sum(
                    each["retransmittedPacketsSent"]
                    for each in await teacher.stats("outbound-rtp")
                    if each["kind"] == media
                )
                for media in ("video", "audio")
            ]
            return (
                all(published[kind]["layers"][0]["repaired"] >= 10 for kind in ("camera", "mic"))
                and all(count >= 10 for count in sent_again)
                and (await _counted(service, PUPIL))["counters"]["resent"] >= 20
            )

        await _until(repaired, "the publisher and the server repeated packets of picture and voice")
        picture, voice = [await pupil.stream("inbound-rtp", media) for media in ("video", "audio")]
    assert up.lost["up"] > 10
    assert down.lost["down"] > 10
    # Chromium counts as lost what then came as RTX, on an SSRC of its own, but not what came again as it was.
    assert picture["nackCount"] > 0
    assert picture["retransmittedPacketsReceived"] > 0.8 * picture["packetsLost"] > 0
    assert voice["nackCount"] > 0
    assert voice["packetsLost"] < 0.02 * voice["packetsReceived"]
    sources = (await _counted(service, TEACHER))["sources"]
    (picture,), (voice,) = sources["camera"]["layers"], sources["mic"]["layers"]
    # So does the server (RFC 3550 section 6.4.1).
    assert picture["lost"] - picture["repaired"] < 0.02 * picture["packets"]
    assert voice["lost"] < 0.02 * voice["packets"]
    assert not any(isinstance(event, MediaLost) for event in events)


async def test_h264_is_played_where_the_publisher_has_no_vp8(
    browser: Browser, service: MediaService, lesson: LessonMedia, events: list[MediaEvent]
) -> None:
    teacher, pupil = [LivePage(await new_page(browser), lesson, endpoint) for endpoint in (TEACHER, PUPIL)]
    only_h264 = ("video/H264", "video/rtx", "audio/opus")
    await teacher.join(Recipe("h264", Role.HOME, PUBLISHER.sources, SlotCounts(0, 0), codecs=only_h264))
    await pupil.join(VIEWER)
    await _play(lesson, events, pupil)
    assert (await _counted(service, TEACHER))["sources"]["camera"]["codec"] == "h264"

    async def plays_h264() -> bool:
        return await pupil.picture_codec() == "video/H264"

    await _until(plays_h264, "the slot plays H.264")

    # The same slot plays VP8 a moment later.
    other = EndpointId("other")
    await LivePage(await new_page(browser), lesson, other).join(PUBLISHER)
    camera = SourceRef(other, SourceKind.CAMERA)
    await _happened(events, SourceLive(camera, True))
    lesson.route(PUPIL, 0, camera, MIC)

    async def plays_vp8() -> bool:
        return await pupil.picture_codec() == "video/VP8"

    await _until(plays_vp8, "the slot plays VP8")
    before = await pupil.frames()

    async def goes_on() -> bool:
        return await pupil.frames() >= before + 10

    await _until(goes_on, "10 frames of it")


async def test_without_udp_the_lesson_goes_over_the_tcp_candidates(
    browser: Browser, service: MediaService, lesson: LessonMedia, events: list[MediaEvent]
) -> None:
    """As where UDP is blocked; a restart makes a new connection."""

    def without_udp(answer: str) -> str:
        return re.sub(r"a=candidate:\d+ 1 udp .*\r\n", "", answer)

    teacher, pupil = [LivePage(await new_page(browser), lesson, endpoint) for endpoint in (TEACHER, PUPIL)]
    await teacher.join(PUBLISHER, without_udp)
    await pupil.join(VIEWER, without_udp)
    await _play(lesson, events, pupil)
    pair = [each for each in await pupil.stats("candidate-pair") if each["nominated"]]
    candidates = {each["id"]: each for each in await pupil.stats("remote-candidate")}
    assert {candidates[each["remoteCandidateId"]]["protocol"] for each in pair} == {"tcp"}

    remote = (await _counted(service, TEACHER))["remote"]
    await teacher.restart_ice(without_udp)

    async def moved() -> bool:
        return bool((await _counted(service, TEACHER))["remote"] != remote)

    await _until(moved, "the server sends to another connection")
    before = await pupil.frames()

    async def goes_on() -> bool:
        return await pupil.frames() >= before + 20

    await _until(goes_on, "20 frames more")


async def test_a_page_that_closes_its_connection_is_lost_at_once(
    browser: Browser, lesson: LessonMedia, events: list[MediaEvent]
) -> None:
    teacher = LivePage(await new_page(browser), lesson, TEACHER)
    await teacher.join(PUBLISHER)
    await _happened(events, MediaConnected(TEACHER), SourceLive(CAMERA, True))
    await teacher.page.evaluate("() => pc.close()")
    await eventually(
        lambda: _is_in(MediaLost(TEACHER, "closed by the endpoint"), events), "it is lost", within_s=2
    )


async def _is_in(event: MediaEvent, events: list[MediaEvent]) -> bool:
    return event in events


@pytest.mark.parametrize("who", [TEACHER, PUPIL])
async def test_media_goes_on_over_an_ice_restart(
    browser: Browser, service: MediaService, lesson: LessonMedia, events: list[MediaEvent], who: EndpointId
) -> None:
    """Twice, by the publisher or by the viewer: another port of the browser, the same streams."""
    teacher, pupil = [LivePage(await new_page(browser), lesson, endpoint) for endpoint in (TEACHER, PUPIL)]
    answer = await teacher.join(PUBLISHER)
    assert re.search(r"a=rtcp-fb:\d+ nack\r\n", answer.split("m=audio")[1])
    await pupil.join(VIEWER)
    await _play(lesson, events, pupil)
    restarting = teacher if who == TEACHER else pupil
    for _ in range(2):
        remote = (await _counted(service, who))["remote"]
        await restarting.restart_ice()

        async def moved(remote: str = remote) -> bool:
            return bool((await _counted(service, who))["remote"] != remote)

        await _until(moved, "the server sends to another address")
        before = await pupil.frames()

        async def goes_on(before: int = before) -> bool:
            return await pupil.frames() >= before + 20

        await _until(goes_on, "20 frames more")
    voice = await pupil.stream("inbound-rtp", "audio")
    # Not a second of sound was lost in two restarts; the slot's silence before it played is not counted.
    concealed = voice["concealedSamples"] - voice["silentConcealedSamples"]
    assert concealed < 48_000
    assert not any(isinstance(event, MediaLost) for event in events)
    assert sum(isinstance(event, MediaConnected) for event in events) == 2, "no second DTLS handshake"
