"""The kit itself: what Chromium captures from our files comes back from its own page, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.e2e.kit.browser import Browser, open_browser
from tests.e2e.kit.media_files import PITCHES_HZ, SOUND_RATE, write_devices
from tests.e2e.kit.picture_code import read_code
from tests.e2e.kit.tone_bursts import find_bursts

MIRROR = """<!doctype html><link rel=icon href="data:,">
<video id=shown data-slot=0 data-endpoint=me data-kind=camera autoplay muted></video>
<video data-slot=1 style="display:none" autoplay muted></video>
<audio id=played autoplay></audio>
<script>
  const start = async () => {
    const video = { width: 640, height: 360 };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: true });
    const [one, other] = [new RTCPeerConnection(), new RTCPeerConnection()];
    one.onicecandidate = ({ candidate }) => other.addIceCandidate(candidate);
    other.onicecandidate = ({ candidate }) => one.addIceCandidate(candidate);
    other.ontrack = ({ track }) => {
      const names = track.kind === "video" ? ["#shown", "[data-slot='1']"] : ["#played"];
      for (const name of names) document.querySelector(name).srcObject = new MediaStream([track]);
    };
    for (const track of stream.getTracks()) one.addTrack(track, stream);
    await one.setLocalDescription();
    await other.setRemoteDescription(one.localDescription);
    await other.setLocalDescription();
    await one.setRemoteDescription(other.localDescription);
  };
  start();
</script>"""

SOURCE = 1


async def mirror(_: web.Request) -> web.Response:
    return web.Response(text=MIRROR, content_type="text/html")


async def heard_bursts(browser: Browser, seconds: float) -> list[int]:
    found = find_bursts(await browser.listen(seconds), SOUND_RATE, PITCHES_HZ)
    return [len(found[pitch]) for pitch in PITCHES_HZ]


@pytest.mark.browser
async def test_reads_back_what_our_files_say(tmp_path: Path) -> None:
    devices = write_devices(tmp_path, SOURCE, 45)
    application = web.Application()
    application.router.add_get("/", mirror)
    async with TestServer(application) as server, open_browser("mirror", devices) as browser:
        await browser.page.goto(str(server.make_url("/")))
        await browser.page.wait_for_function("document.querySelector('#shown').videoWidth > 0")
        shown, bursts = await asyncio.gather(browser.look(12), heard_bursts(browser, 4))
        assert {each.slot for each in shown} == {0}, "a hidden element shows nothing"
        codes = [code for each in shown if (code := read_code(each.grey))]
        assert len(codes) >= 10
        assert {code.source for code in codes} == {SOURCE}
        frames = [code.frame for code in codes]
        assert frames == sorted(frames)
        assert frames[-1] - frames[0] >= 8
        assert bursts[SOURCE] >= 3
        assert [bursts[each] for each in range(3) if each != SOURCE] == [0, 0]

        await browser.page.evaluate("document.querySelector('#played').muted = true")
        assert await heard_bursts(browser, 2) == [0, 0, 0], "what is muted isn't played"
        assert not browser.faults
