"""@eyevinn/whip-web-client publishes and @eyevinn/webrtc-player plays, each in a Chromium, off our pages."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.values import Role
from tests.e2e.kit.browser import Browser, open_browser
from tests.e2e.kit.lesson import KIOSK, SCHOOL, lesson_in
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.observation import assert_sees_and_hears_the_others, observe
from tests.e2e.kit.pages import end_lesson, visit, wait_for_pictures
from tests.e2e.kit.server import Server, running_server
from tests.whip.clients import page_of_clients

pytestmark = pytest.mark.browser

PLAYER = 2
"""A number that no picture has here: it publishes nothing."""


async def wish(server: Server, lesson: str, way: str, role: Role, site: str) -> dict[str, str]:
    link = await server.link(lesson, role, site)
    return {"endpoint": f"{server.base_url}/api/{way}/{lesson}", "token": link.partition("#t=")[2]}


def keep_answers(browser: Browser) -> list[tuple[str, int, dict[str, str]]]:
    """(method, status, headers) of each answer under /api from now on."""
    kept: list[tuple[str, int, dict[str, str]]] = []

    def keep(response: Any) -> None:
        if "/api/" in response.url:
            kept.append((response.request.method, response.status, response.headers))

    browser.page.on("response", keep)
    return kept


async def test_a_school_by_whip_and_a_player_by_whep(tmp_path: Path, devices: tuple[Devices, ...]) -> None:
    async with (
        running_server(tmp_path) as server,
        page_of_clients() as page,
        lesson_in(server, devices, who=(KIOSK,)) as lesson,
        open_browser("encoder", devices[SCHOOL]) as encoder,
        open_browser("player") as player,
    ):
        kiosk = lesson.browsers[KIOSK]
        await asyncio.gather(visit(encoder, page), visit(player, page))
        published, played = keep_answers(encoder), keep_answers(player)
        school = await wish(server, lesson.id, "whip", Role.SCHOOL, "Iisalmi")
        session = await encoder.page.evaluate("wish => window.publish(wish)", school)
        guest = await wish(server, lesson.id, "whep", Role.GUEST, "Varkaus")
        await player.page.evaluate("wish => window.play(wish)", guest)
        await asyncio.gather(wait_for_pictures(kiosk, 1), wait_for_pictures(player, 1))

        at_kiosk, at_player = await asyncio.gather(observe(kiosk), observe(player))
        assert_sees_and_hears_the_others(KIOSK, {KIOSK, SCHOOL}, at_kiosk)
        # The teacher's, though the school's is there as well.
        assert_sees_and_hears_the_others(PLAYER, {KIOSK}, at_player)
        assert at_player.bursts[SCHOOL] == 0

        assert session.startswith(f"{server.base_url}/api/whip/{lesson.id}/")
        statuses = [(method, status) for method, status, _ in published]
        assert ("POST", 201) in statuses
        # It writes its ETag where the RFC wants If-Match, is refused, and does without trickle.
        assert {status for method, status in statuses if method == "PATCH"} <= {428}
        assert ("POST", 201) in [(method, status) for method, status, _ in played]

        await player.page.evaluate("window.unplay()")
        assert played[-1][:2] == ("DELETE", 200)
        assert await status_of(encoder, session, school["token"]) == 204
        await end_lesson(kiosk)
        async with asyncio.timeout(10):
            while await status_of(encoder, session, school["token"]) != 404:  # noqa: ASYNC110
                await asyncio.sleep(0.2)


async def status_of(browser: Browser, session: str, token: str) -> int:
    """What a trickle of nothing is answered by now."""
    ask = """async ({ session, token }) => (await fetch(session, {
        method: "PATCH",
        body: "a=end-of-candidates",
        headers: {
            Authorization: `Bearer ${token}`,
            "If-Match": "*",
            "Content-Type": "application/trickle-ice-sdpfrag",
        },
    })).status"""
    return int(await browser.page.evaluate(ask, {"session": session, "token": token}))
