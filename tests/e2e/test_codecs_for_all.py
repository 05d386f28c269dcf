"""A shared screen goes in a codec that everyone in the lesson can show, whoever comes and goes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.values import Role
from tests.e2e.kit.browser import Browser, open_browser
from tests.e2e.kit.lesson import HOME, KIOSK, lesson_in
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.observation import sightings_in
from tests.e2e.kit.own_devices import own_devices
from tests.e2e.kit.pages import press, visit
from tests.e2e.kit.server import running_server
from tests.media.support import eventually

pytestmark = pytest.mark.browser

SCREEN = 2
"""The code of the picture that is shared."""

_SHARES_A_CANVAS = f"""(() => {{
  const devices = navigator.mediaDevices;
  if (!devices) return; // the blank page before
  const real = devices.getUserMedia;
  ({own_devices(SCREEN)})();
  const canvas = devices.getUserMedia;
  devices.getUserMedia = real;
  devices.getDisplayMedia = () => canvas.call(devices, {{ video: true }});
}})()"""

_KEEPS_CONNECTIONS = """(() => {
  const connections = (window.connections = []);
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...given) {
      super(...given);
      connections.push(this);
    }
  };
})()"""

_LACKS_NEW_CODECS = """(() => {
  const real = RTCRtpReceiver.getCapabilities.bind(RTCRtpReceiver);
  RTCRtpReceiver.getCapabilities = (media) => {
    const codecs = real(media).codecs.filter(({ mimeType }) => !/VP9|AV1/.test(mimeType));
    return { ...real(media), codecs };
  };
})()"""

_SENT_AS = """async () => {
  const found = new Set();
  for (const connection of window.connections) {
    const entries = [...(await connection.getStats()).values()];
    for (const { type, kind, active, framesEncoded, framesPerSecond, codecId } of entries) {
      const sent = type === "outbound-rtp" && kind === "video" && active && framesEncoded > 0;
      if (sent && framesPerSecond > 0) found.add(entries.find(({ id }) => id === codecId)?.mimeType);
    }
  }
  return [...found].sort();
}"""


async def prepare(browser: Browser) -> None:
    await browser.page.add_init_script(_KEEPS_CONNECTIONS)
    await browser.page.add_init_script(_SHARES_A_CANVAS)


async def sees_the_screen(browser: Browser) -> None:
    """The picture of the screen moves on."""
    frames: list[int] = []

    async def moves() -> bool:
        shown = [each for each in await browser.look(4) if each.kind == "screen"]
        frames.extend(seen.frame for seen in sightings_in(shown) if seen.source == SCREEN)
        return len(set(frames[-4:])) >= 3

    await eventually(moves, f"{browser.name} sees the screen", within_s=15)
    assert frames == sorted(frames), "it went back"


async def sends(kiosk: Browser, *codecs: str) -> None:
    wanted = sorted(f"video/{codec}" for codec in codecs)

    async def does() -> bool:
        return bool(await kiosk.page.evaluate(_SENT_AS) == wanted)

    await eventually(does, f"the kiosk sends {wanted}", within_s=15)


async def test_a_screen_goes_as_what_all_can_show(tmp_path: Path, devices: tuple[Devices, ...]) -> None:
    async with (
        running_server(tmp_path) as server,
        lesson_in(server, devices, who=(KIOSK, HOME), prepare=prepare) as lesson,
    ):
        kiosk, home = lesson.browsers[KIOSK], lesson.browsers[HOME]
        await press(kiosk, "lesson.share")
        await sees_the_screen(home)
        # The camera goes as VP8 always.
        await sends(kiosk, "VP8", "VP9")

        link = await server.link(lesson.id, Role.SCHOOL, "Iisalmi")
        async with open_browser("school", devices[1]) as school:
            await school.page.add_init_script(_LACKS_NEW_CODECS)
            await visit(school, link)
            await press(school, "school.join")
            await sends(kiosk, "VP8")
            await asyncio.gather(sees_the_screen(school), sees_the_screen(home))
            await press(school, "lesson.leave")
            await sends(kiosk, "VP8", "VP9")
            await sees_the_screen(home)
