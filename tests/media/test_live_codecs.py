"""Every codec of a picture that Chromium has, with three temporal levels, from one Chromium to another."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.async_api import Browser

from bridge.ports import MediaConnected, MediaEvent, MediaLost, SourceLive
from bridge.values import EndpointId, LessonId, Role, SlotCounts, SourceKind, SourceRef
from media.recording.remux import remux
from media.service import LessonMedia, MediaService
from tests.e2e.kit.browser import READ_WIDTH, shown_from
from tests.e2e.kit.own_devices import own_devices
from tests.e2e.kit.picture_code import Code, read_code
from tests.media.live import LivePage, new_page
from tests.media.record_offers import Recipe
from tests.media.support import eventually

pytestmark = pytest.mark.browser

LESSON = LessonId("lesson")
ONE, OTHER, VIEWER = EndpointId("one"), EndpointId("other"), EndpointId("viewer")
FRAMES_PER_SECOND = 20
LEVELS = {None: 1.0, 1: 0.5, 0: 0.25}
"""Of the frames, what is left of L1T3 up to this level (W3C WebRTC-SVC)."""
TELL_LEVELS = {"VP8", "VP9", "AV1"}
"""H.264 says nothing of levels in its payload, so it plays whole."""
EVERY = ("video/VP8", "video/H264", "video/VP9", "video/AV1", "video/rtx", "audio/opus")
_READ = (Path(__file__).parents[1] / "e2e/kit/read_frames.js").read_text()


@dataclass(frozen=True)
class Seen:
    """Frames that a slot presented in a while."""

    codes: list[Code]
    longest_gap_s: float
    """From one frame to the next."""

    @property
    def sources(self) -> set[int]:
        return {code.source for code in self.codes}

    @property
    def numbers(self) -> list[int]:
        return [code.frame for code in self.codes]

    def share(self) -> float:
        """Of the frames that were sent meanwhile, those that were seen."""
        return (len(set(self.numbers)) - 1) / (self.numbers[-1] - self.numbers[0])


async def look(viewer: LivePage, seconds: float) -> Seen:
    wish = {"selector": "video", "seconds": seconds, "width": READ_WIDTH}
    frames = await viewer.page.evaluate(_READ, wish)
    read = [
        (each["shownMs"], code)
        for each in frames
        if (code := read_code(shown_from({"slot": 0, "endpoint": "", "kind": "", "atMs": 0, **each}).grey))
    ]
    gaps = [(after - before) / 1000 for (before, _), (after, _) in itertools.pairwise(read)]
    return Seen([code for _, code in read], max(gaps, default=seconds))


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[MediaService]:
    media = MediaService(["127.0.0.1:0"], recordings=tmp_path)
    await media.start()
    yield media
    await media.stop()


def _recorded_codes(path: Path, stream: int) -> list[Code]:
    """Of every picture of a recording that can be read, in order; each must be decodable."""
    with av.open(str(path)) as container:
        pictures = (frame.to_ndarray(format="gray") for frame in container.decode(video=stream))
        return [code for picture in pictures if (code := read_code(picture.astype(np.uint8)))]


async def publish(
    browser: Browser, lesson: LessonMedia, endpoint: EndpointId, source: int, codec: str
) -> None:
    page = await new_page(browser)
    await page.evaluate(own_devices(source, FRAMES_PER_SECOND))
    only = (f"video/{codec}", "video/rtx", "audio/opus")
    recipe = Recipe(
        endpoint,
        Role.KIOSK,
        (SourceKind.CAMERA,),
        SlotCounts(0, 0),
        simulcast=False,
        mode="L1T3",
        codecs=only,
    )
    await LivePage(page, lesson, endpoint).join(recipe)


@pytest.mark.parametrize("codec", ["VP8", "H264", "VP9", "AV1"])
async def test_a_codec_plays_switches_and_gives_up_levels(
    browser: Browser, service: MediaService, codec: str, tmp_path: Path
) -> None:
    """And what was recorded of it meanwhile plays."""
    events: list[MediaEvent] = []
    lesson = service.open(LESSON, events.append, record=True)
    await publish(browser, lesson, ONE, 0, codec)
    await publish(browser, lesson, OTHER, 1, codec)
    viewer = LivePage(await new_page(browser), lesson, VIEWER)
    await viewer.join(Recipe("viewer", Role.HOME, (), SlotCounts(1, 0), codecs=EVERY))
    cameras = [SourceRef(each, SourceKind.CAMERA) for each in (ONE, OTHER)]

    async def all_there() -> bool:
        wanted = [MediaConnected(VIEWER), *(SourceLive(camera, True) for camera in cameras)]
        return all(event in events for event in wanted)

    await eventually(all_there, "all are there", within_s=30)

    async def shows(source: int) -> bool:
        return (await look(viewer, 0.3)).sources == {source}

    for source in (0, 1, 0):
        lesson.route(VIEWER, 0, cameras[source], None)
        await eventually(partial(shows, source), f"source {source} is seen", within_s=15)
    assert await viewer.picture_codec() == f"video/{codec}"

    before = await viewer.stream("inbound-rtp", "video")
    for level in (None, 1, 0, 1, None):
        lesson.limit(VIEWER, 0, level)
        # What the browser keeps against jitter is still of the level before.
        await asyncio.sleep(0.7)
        seen = await look(viewer, 2)
        assert seen.sources == {0}
        assert seen.numbers == sorted(seen.numbers)
        share = LEVELS[level] if codec in TELL_LEVELS else 1.0
        assert seen.share() == pytest.approx(share, abs=0.12), level
        # A frame's time at this rate, and as much again as two busy processors need.
        assert seen.longest_gap_s < 1 / (FRAMES_PER_SECOND * share) + 0.3
    after = await viewer.stream("inbound-rtp", "video")
    for counter in ("keyFramesDecoded", "pliCount", "freezeCount"):
        assert after[counter] == before[counter], counter
    requested = (await service.statistics())["lessons"][LESSON][ONE]["counters"]["key_frame_requests_sent"]
    assert requested >= 2, "a picture begins with a key frame that was asked for"
    assert not any(isinstance(event, MediaLost) for event in events)

    lesson.close()
    await service.sync_recordings()
    report = await asyncio.to_thread(remux, tmp_path / LESSON, tmp_path / "lesson.mkv")
    assert report.streams == 2
    for stream in range(2):
        recorded = await asyncio.to_thread(_recorded_codes, tmp_path / "lesson.mkv", stream)
        frames = [code.frame for code in recorded]
        assert len({code.source for code in recorded}) == 1
        assert frames == sorted(frames)
        assert len(frames) > 0.95 * (frames[-1] - frames[0]) > 100, "it has all levels, whatever was played"
