"""Sound and picture of a live lesson stay together on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.kit.lesson import HOME, KIOSK, lesson_in
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.server import running_server
from tests.e2e.kit.timing import keep_captured, measure_way

pytestmark = pytest.mark.browser

SETTLES_S = 10.0
"""A browser brings a voice and its picture together step by step, once it has a sender report of each."""
APART_S = 0.080


async def test_the_way_keeps_lips_and_voice_together(tmp_path: Path, devices: tuple[Devices, ...]) -> None:
    async with (
        running_server(tmp_path) as server,
        lesson_in(server, devices, who=[KIOSK, HOME], prepare=keep_captured) as lesson,
    ):
        kiosk, home = lesson.browsers[KIOSK], lesson.browsers[HOME]
        await home.page.wait_for_timeout(1000 * SETTLES_S)
        way = await measure_way(kiosk, home, KIOSK, 8.0)
        assert len(way.sounds) >= 5
        print(f"{1000 * way.lips_s:.0f} ms of {len(way.sounds)} bursts and {len(way.pictures)} frames")
        assert abs(way.lips_s) <= APART_S, f"{1000 * way.lips_s:.0f} ms"
