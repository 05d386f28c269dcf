"""Coming back: the line to the pages is cut, a page is loaded anew, an address changes, a cable is pulled.

Times are what a person would notice, asserted with room for a busy machine; tests/bench measures them.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.kit.browser import Browser
from tests.e2e.kit.far import BROWSER_FLAGS, CONTACT_PHONE, CONTACT_TEXT, far_server
from tests.e2e.kit.lesson import HOME, KIOSK, lesson_in
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.observation import Sighting, longest_still_s, pace, sightings_in
from tests.e2e.kit.pages import PATIENCE_MS, word
from tests.e2e.kit.relays import nat_relay, tcp_relay
from tests.e2e.kit.server import running_server
from tests.line.network import Line

pytestmark = pytest.mark.browser

EVERY_MS = 100


async def look_for(browser: Browser, source: int, seconds: float) -> list[Sighting]:
    """What was seen of ``source`` at ``browser``."""
    shown = await browser.look(round(1000 * seconds / EVERY_MS), EVERY_MS)
    return [each for each in sightings_in(shown) if each.source == source]


def assert_never_stopped(seen: Sequence[Sighting], still_s: float) -> None:
    assert len({each.endpoint for each in seen}) == 1, "another endpoint took the place"
    assert longest_still_s(seen) <= still_s
    assert pace(seen) >= 0.8


async def test_pictures_go_on_while_the_socket_is_cut_and_comes_back(
    tmp_path: Path, devices: tuple[Devices, ...]
) -> None:
    async with (
        running_server(tmp_path) as server,
        tcp_relay(server.address) as relay,
        lesson_in(
            server,
            devices,
            who=[KIOSK, HOME],
            base_urls={HOME: f"http://127.0.0.1:{relay.address[1]}"},
        ) as lesson,
    ):
        kiosk, home = lesson.browsers[KIOSK], lesson.browsers[HOME]
        away = kiosk.page.locator("[data-away]")

        async def disturb() -> None:
            await asyncio.sleep(1)
            relay.cut()
            await expect(away).to_have_count(1, timeout=PATIENCE_MS)
            await asyncio.sleep(1)
            relay.mend()
            await expect(away).to_have_count(0, timeout=PATIENCE_MS)

        at_kiosk, at_home, _ = await asyncio.gather(
            look_for(kiosk, HOME, 7), look_for(home, KIOSK, 7), disturb()
        )
        assert relay.refused > 0, "the page tried while it was cut"
        assert home.sent.count("hello") == 2
        assert home.sent.count("join") == 1, "what plays is not negotiated anew"
        assert_never_stopped(at_kiosk, 1.5)
        assert_never_stopped(at_home, 1.5)
        home.said = [line for line in home.said if "WebSocket connection" not in line]


async def test_a_page_that_is_loaded_anew_replaces_its_ghost(
    tmp_path: Path, devices: tuple[Devices, ...]
) -> None:
    async with (
        running_server(tmp_path) as server,
        lesson_in(server, devices, who=[KIOSK, HOME]) as lesson,
    ):
        kiosk, home = lesson.browsers[KIOSK], lesson.browsers[HOME]
        watching = asyncio.create_task(look_for(kiosk, HOME, 9))
        await asyncio.sleep(1)
        left_ms = 1000 * time.time()
        await home.page.reload()
        seen = await watching
        ghost, back = list(dict.fromkeys(each.endpoint for each in seen))
        last_of_ghost_ms = max(each.at_ms for each in seen if each.endpoint == ghost)
        first_back_ms = min(each.at_ms for each in seen if each.endpoint == back)
        assert last_of_ghost_ms <= left_ms + 1000, "the ghost stayed"
        assert last_of_ghost_ms <= first_back_ms
        assert first_back_ms <= left_ms + 3000 * SLOW, f"back after {first_back_ms - left_ms:.0f} ms"
        assert len(await look_for(home, KIOSK, 1.5)) >= 5, "and it sees the others again"


SLOW = 2.0
"""How much longer than promised a busy machine may take to load a page and start its camera."""


async def test_a_nat_that_forgets_its_binding_is_followed(
    tmp_path: Path, devices: tuple[Devices, ...]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with nat_relay(("127.0.0.1", port)) as relay:
        announced = f"127.0.0.1:{relay.address[1]}"
        async with (
            running_server(tmp_path, media=f"127.0.0.1:{port}", more=("--announce", announced)) as server,
            lesson_in(server, devices, who=[KIOSK, HOME]) as lesson,
        ):
            kiosk, home = lesson.browsers[KIOSK], lesson.browsers[HOME]
            before = set(relay.ports)
            watching = asyncio.gather(look_for(kiosk, HOME, 9), look_for(home, KIOSK, 9))
            await asyncio.sleep(1.5)
            relay.rebind()
            at_kiosk, at_home = await watching
            assert set(relay.ports) - before, "other ports are in use"
            for seen in (at_kiosk, at_home):
                assert len({each.endpoint for each in seen}) == 1, "nobody had to join anew"
                assert longest_still_s(seen) <= 6.0
                assert seen[-1].at_ms - seen[0].at_ms >= 7000


@pytest.mark.usefixtures("needs_namespaces")
async def test_another_network_takes_over_by_an_ice_restart(
    tmp_path: Path, devices: tuple[Devices, ...]
) -> None:
    async with far_server(tmp_path, None) as far:
        kiosk_namespace = await far.network.new_client()
        await far.network.join(kiosk_namespace)
        second = await far.network.join(far.client, Line(delay_s=0.01), up=False)
        namespaces = [kiosk_namespace, None, far.client]
        async with lesson_in(
            far.server, devices, who=[KIOSK, HOME], namespaces=namespaces, flags=BROWSER_FLAGS
        ) as lesson:
            kiosk, home = lesson.browsers[KIOSK], lesson.browsers[HOME]
            watching = asyncio.gather(look_for(kiosk, HOME, 18), look_for(home, KIOSK, 18))
            await asyncio.sleep(1)
            await second.set_up()
            await far.leg.set_down()
            at_kiosk, at_home = await watching
            assert (await second.counters()).up.delivered > 100, "media goes by the other network"
            for seen in (at_kiosk, at_home):
                assert len({each.endpoint for each in seen}) == 1, "nobody had to join anew"
                assert seen[-1].at_ms - seen[0].at_ms >= 14_000
                assert longest_still_s(seen) <= 15.0
            assert "restart" in home.sent
            assert home.sent.count("join") == kiosk.sent.count("join") == 1
            home.said = [line for line in home.said if "ERR_" not in line]


@pytest.mark.usefixtures("needs_namespaces")
async def test_the_lesson_waits_for_a_teacher_whose_line_is_down(
    tmp_path: Path, devices: tuple[Devices, ...]
) -> None:
    async with far_server(tmp_path, None) as far:
        home_namespace = await far.network.new_client()
        await far.network.join(home_namespace)
        namespaces = [far.client, None, home_namespace]
        async with lesson_in(
            far.server, devices, who=[KIOSK, HOME], namespaces=namespaces, flags=BROWSER_FLAGS
        ) as lesson:
            kiosk, home = lesson.browsers[KIOSK], lesson.browsers[HOME]
            await far.leg.set_down()
            missing = home.page.get_by_text(word("lesson.teacherAwayTitle"))
            await expect(missing.first).to_be_visible(timeout=PATIENCE_MS)
            await expect(home.page.get_by_text(CONTACT_TEXT).first).to_be_visible(timeout=PATIENCE_MS)
            await expect(home.page.get_by_text(CONTACT_PHONE).first).to_be_visible(timeout=PATIENCE_MS)
            await expect(kiosk.page.get_by_text(CONTACT_PHONE).first).to_be_visible(timeout=PATIENCE_MS)
            await far.leg.set_up()
            await expect(missing).to_have_count(0, timeout=PATIENCE_MS)
            await home.page.wait_for_timeout(1000)
            at_home = await look_for(home, KIOSK, 3)
            assert pace(at_home) >= 0.8
            kiosk.said = [line for line in kiosk.said if "ERR_" not in line and "WebSocket" not in line]
