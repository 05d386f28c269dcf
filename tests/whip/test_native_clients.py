"""libwebrtc and GStreamer publish by WHIP and play by WHEP in the lesson of a real page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.values import Role
from tests.e2e.kit.lesson import KIOSK, SCHOOL, lesson_in
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.observation import LISTEN_S, assert_sees_and_hears_the_others, observe
from tests.e2e.kit.pages import wait_for_pictures
from tests.e2e.kit.server import running_server
from tests.whip.native import kept, native_client, sizes
from tests.whip.test_browser_clients import PLAYER, wish

pytestmark = pytest.mark.browser


async def until_it_plays(folder: Path) -> None:
    """The player is another process, which keeps its pictures in a file."""
    async with asyncio.timeout(20):
        while not (folder / "frames.grey").exists() or not all(sizes(folder)):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("name", ["wrtc", "gstreamer"])
async def test_a_school_by_whip_and_a_player_by_whep(
    tmp_path: Path, devices: tuple[Devices, ...], name: str
) -> None:
    heard = tmp_path / "heard"
    heard.mkdir()
    async with running_server(tmp_path) as server, lesson_in(server, devices, who=(KIOSK,)) as lesson:
        kiosk = lesson.browsers[KIOSK]
        school = await wish(server, lesson.id, "whip", Role.SCHOOL, "Iisalmi")
        guest = await wish(server, lesson.id, "whep", Role.GUEST, "Varkaus")
        files = (str(devices[SCHOOL].video), str(devices[SCHOOL].sound))
        async with (
            native_client(name, "publish", *school.values(), *files, log=tmp_path / "encoder.log") as encoder,
            native_client(name, "play", *guest.values(), str(heard), log=tmp_path / "player.log") as player,
        ):
            await wait_for_pictures(kiosk, 1)
            await until_it_plays(heard)
            rounds = 1 if name == "gstreamer" else 2
            for number in range(rounds):
                if number:
                    # Each gets a new ICE pair under way; what is seen afterwards came over it.
                    for client in (encoder, player):
                        await client.tell("restart")
                        assert await client.said("restarted") == "200"
                since = sizes(heard)
                at_kiosk, _ = await asyncio.gather(observe(kiosk), asyncio.sleep(LISTEN_S))
                at_player = kept(heard, since)
                assert_sees_and_hears_the_others(KIOSK, {KIOSK, SCHOOL}, at_kiosk)
                assert_sees_and_hears_the_others(PLAYER, {KIOSK}, at_player)
                assert at_player.bursts[SCHOOL] == 0
