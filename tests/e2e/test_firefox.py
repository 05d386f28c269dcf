"""Firefox as home and as school, in a lesson with Chromium at the teacher's end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.values import Role
from tests.e2e.kit.far import BROWSER_FLAGS, far_server
from tests.e2e.kit.firefox import open_firefox, why_no_firefox
from tests.e2e.kit.lesson import HOME, KIOSK, SCHOOL, lesson_in
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.observation import assert_sees_and_hears_the_others, observe
from tests.e2e.kit.pages import wait_for_pictures

pytestmark = pytest.mark.browser


@pytest.mark.usefixtures("needs_namespaces")
@pytest.mark.skipif(why_no_firefox() is not None, reason=f"no Firefox here: {why_no_firefox()}")
@pytest.mark.parametrize(
    ("me", "role", "button"),
    [(HOME, Role.HOME, "home.join"), (SCHOOL, Role.SCHOOL, "school.join")],
    ids=["home", "school"],
)
async def test_firefox_and_a_teacher_in_chromium_see_and_hear_each_other(
    tmp_path: Path, devices: tuple[Devices, ...], me: int, role: Role, button: str
) -> None:
    async with (
        far_server(tmp_path, None) as far,
        lesson_in(far.server, devices, who=[KIOSK], namespaces=[far.client], flags=BROWSER_FLAGS) as lesson,
    ):
        link = await far.server.link(lesson.id, role, "Vieremä")
        async with open_firefox("firefox", me, link, namespace=far.client) as firefox:
            await firefox.press(button)
            kiosk = lesson.browsers[KIOSK]
            await asyncio.gather(firefox.wait_for_pictures(1), wait_for_pictures(kiosk, 1))
            seen = await asyncio.gather(observe(kiosk), observe(firefox))
            for viewer, each in zip((KIOSK, me), seen, strict=True):
                assert_sees_and_hears_the_others(viewer, frozenset({KIOSK, me}), each)
            assert not firefox.faults
