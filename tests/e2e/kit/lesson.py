"""A lesson of three that is live: a kiosk, a school and a home, each a real Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bridge.values import Role
from tests.e2e.kit.browser import Browser, open_browser
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.observation import Observation, assert_sees_and_hears_the_others, observe
from tests.e2e.kit.pages import press, visit, wait_for_pictures
from tests.e2e.kit.server import Server
from tests.line.namespaces import Namespace

KIOSK, SCHOOL, HOME = range(3)
_ENDPOINTS = (
    ("kiosk", Role.KIOSK, "Närpiö", "kiosk.open"),
    ("school", Role.SCHOOL, "Iisalmi", "school.join"),
    ("home", Role.HOME, "Vieremä", "home.join"),
)
"""Name, role, site and the words on the button that lets it in; the place is the code of its picture."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Browsers in a lesson that is live, by the code of their pictures."""

    id: str
    browsers: dict[int, Browser]
    links: dict[int, str]

    async def observe_all(self) -> dict[int, Observation]:
        """Raises AssertionError for the first who doesn't see and hear the others, or does itself."""
        seen = await asyncio.gather(*(observe(browser) for browser in self.browsers.values()))
        for me, each in zip(self.browsers, seen, strict=True):
            assert_sees_and_hears_the_others(me, frozenset(self.browsers), each)
        return dict(zip(self.browsers, seen, strict=True))


@asynccontextmanager
async def lesson_in(
    server: Server,
    devices: tuple[Devices, ...],
    *,
    who: Sequence[int] = (KIOSK, SCHOOL, HOME),
    namespaces: Sequence[Namespace | None] = (None, None, None),
    flags: Sequence[str] = (),
    switches: str = "",
    base_urls: Mapping[int, str] | None = None,
    prepare: Callable[[Browser], Awaitable[None]] | None = None,
) -> AsyncIterator[Lesson]:
    """School and home wait; the kiosk presses its one button; all have pictures of the others.

    ``namespaces``: by place, where each browser runs. ``switches``: added to each link's fragment.
    ``base_urls``: by place, for who reaches the server elsewhere. ``prepare``: done to each browser before it
    loads its page.
    Raises AssertionError at the end when a page said that something went wrong.
    """
    lesson = await server.new_lesson()
    links = {
        each: await server.link(lesson, _ENDPOINTS[each][1], _ENDPOINTS[each][2]) + switches for each in who
    }
    for each, base_url in (base_urls or {}).items():
        links[each] = links[each].replace(server.base_url, base_url, 1)
    async with AsyncExitStack() as stack:
        browsers = {
            each: await stack.enter_async_context(
                open_browser(_ENDPOINTS[each][0], devices[each], namespace=namespaces[each], flags=flags)
            )
            for each in who
        }
        if prepare is not None:
            await asyncio.gather(*(prepare(browser) for browser in browsers.values()))
        await asyncio.gather(*(visit(browsers[each], links[each]) for each in who))
        for each in sorted(who, reverse=True):
            await press(browsers[each], _ENDPOINTS[each][3])
        await asyncio.gather(*(wait_for_pictures(browser, len(who) - 1) for browser in browsers.values()))
        yield Lesson(lesson, browsers, links)
        for browser in browsers.values():
            assert not browser.faults, f"{browser.name}: {browser.faults}"
