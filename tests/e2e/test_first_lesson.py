"""The first story: kiosk, school and home, each a real Chromium, see and hear each other in one lesson."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.values import Role
from tests.e2e.kit.browser import Browser, open_browser
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.observation import assert_sees_and_hears_the_others, observe
from tests.e2e.kit.pages import end_lesson, expect_ended, press, visit, wait_for_pictures
from tests.e2e.kit.server import SERVE_WITHOUT_ROOM_RULE, Server, running_server

pytestmark = pytest.mark.browser

KIOSK, SCHOOL, HOME = range(3)
EVERYONE = frozenset({KIOSK, SCHOOL, HOME})


@dataclass(frozen=True, slots=True)
class Lesson:
    """Three browsers in a lesson that is live."""

    browsers: tuple[Browser, Browser, Browser]

    async def observe_all(self) -> None:
        """Raises AssertionError for the first who doesn't see and hear the others, or does itself."""
        seen = await asyncio.gather(*(observe(browser) for browser in self.browsers))
        for me, each in enumerate(seen):
            assert_sees_and_hears_the_others(me, EVERYONE, each)


@asynccontextmanager
async def lesson_in(server: Server, devices: tuple[Devices, ...]) -> AsyncIterator[Lesson]:
    """School and home wait; the kiosk presses its one button; all have pictures of the others."""
    lesson = await server.new_lesson()
    links = await asyncio.gather(
        server.link(lesson, Role.KIOSK, "Närpiö"),
        server.link(lesson, Role.SCHOOL, "Iisalmi"),
        server.link(lesson, Role.HOME, "Vieremä"),
    )
    async with AsyncExitStack() as stack:
        names = ("kiosk", "school", "home")
        opened = [
            await stack.enter_async_context(open_browser(name, files))
            for name, files in zip(names, devices, strict=True)
        ]
        await asyncio.gather(*(visit(browser, link) for browser, link in zip(opened, links, strict=True)))
        await press(opened[SCHOOL], "school.join")
        await press(opened[HOME], "home.join")
        await press(opened[KIOSK], "kiosk.open")
        await asyncio.gather(*(wait_for_pictures(browser, len(EVERYONE) - 1) for browser in opened))
        yield Lesson((opened[KIOSK], opened[SCHOOL], opened[HOME]))
        for browser in opened:
            assert not browser.faults, f"{browser.name}: {browser.faults}"


async def test_three_sites_see_and_hear_each_other(tmp_path: Path, devices: tuple[Devices, ...]) -> None:
    async with running_server(tmp_path) as server, lesson_in(server, devices) as lesson:
        await lesson.observe_all()
        await end_lesson(lesson.browsers[KIOSK])
        await asyncio.gather(*(expect_ended(browser) for browser in lesson.browsers))


async def test_own_sound_is_noticed_with_the_rule_off(tmp_path: Path, devices: tuple[Devices, ...]) -> None:
    """The same assertion where the server's own-room rule is off: it must fail, and for that reason."""
    async with (
        running_server(tmp_path, SERVE_WITHOUT_ROOM_RULE) as server,
        lesson_in(server, devices) as lesson,
    ):
        with pytest.raises(AssertionError, match="heard its own sound"):
            await lesson.observe_all()
