"""The first story: kiosk, school and home, each a real Chromium, see and hear each other in one lesson."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.e2e.kit.lesson import KIOSK, lesson_in
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.pages import end_lesson, expect_ended
from tests.e2e.kit.server import SERVE_WITHOUT_ROOM_RULE, running_server

pytestmark = pytest.mark.browser


async def test_three_sites_see_and_hear_each_other(tmp_path: Path, devices: tuple[Devices, ...]) -> None:
    async with running_server(tmp_path) as server, lesson_in(server, devices) as lesson:
        await lesson.observe_all()
        await end_lesson(lesson.browsers[KIOSK])
        await asyncio.gather(*(expect_ended(browser) for browser in lesson.browsers.values()))


async def test_own_sound_is_noticed_with_the_rule_off(tmp_path: Path, devices: tuple[Devices, ...]) -> None:
    """The same assertion where the server's own-room rule is off: it must fail, and for that reason."""
    async with (
        running_server(tmp_path, SERVE_WITHOUT_ROOM_RULE) as server,
        lesson_in(server, devices) as lesson,
    ):
        with pytest.raises(AssertionError, match="heard its own sound"):
            await lesson.observe_all()
